//! A request's head: what is kept of it, and what is rejected.

use std::str;

use httparse::{EMPTY_HEADER, Error, Header, Status};

#[cfg(test)]
mod tests;

/// Headers in one head.
const HEADERS: usize = 64;

/// An answer of the gate itself: a status with its phrase, and the error.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) &'static str, &'static str);

pub(super) const LATE: Refusal = Refusal("408 Request Timeout", "the head did not arrive in time");
pub(super) const TOO_LARGE: Refusal = Refusal(
    "431 Request Header Fields Too Large",
    "the head is too large",
);
pub(super) const UNAVAILABLE: Refusal =
    Refusal("503 Service Unavailable", "the server does not answer");
const VERSION: Refusal = Refusal(
    "505 HTTP Version Not Supported",
    "only HTTP/1.0 and 1.1 are supported",
);

/// `error` is put into JSON without escaping.
const fn malformed(error: &'static str) -> Refusal {
    Refusal("400 Bad Request", error)
}

impl Refusal {
    /// The answer, without its body if the request was `HEAD`.
    pub(super) fn answer(&self, is_head: bool) -> Vec<u8> {
        let Refusal(status, error) = self;
        let body = format!("{{\"error\":\"{error}\"}}");
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        (head + if is_head { "" } else { &body }).into_bytes()
    }
}

/// What the gate keeps of a valid request. It holds a token, so it is not `Debug`.
pub(super) struct Request {
    /// The head for the server, with only what it needs.
    pub(super) clean: String,
    pub(super) path: String,
    pub(super) is_get: bool,
    pub(super) is_head: bool,
    /// The part of the body that came with the head.
    pub(super) early: Vec<u8>,
    /// The bytes of the body still to come. `None`: the length is not known, or the client may leave the
    /// body out.
    pub(super) rest: Option<u64>,
}

/// Reads a head from the start of `bytes`; `None` while it is incomplete.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(refusal(error, bytes)),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(malformed("the request line is incomplete"));
    };
    let Some(target) = origin_form(target) else {
        let error = "the target is neither a path nor an HTTP URL of visible ASCII characters";
        return Err(malformed(error));
    };
    let headers = &*parsed.headers;
    if single(headers, "Host")?.is_none() && version == 1 {
        return Err(malformed("the Host header is missing"));
    }
    let authorization = match single(headers, "Authorization")? {
        Some(value) => format!("Authorization: {value}\r\n"),
        None => String::new(),
    };
    let early = bytes[length..].to_vec();
    Ok(Some(Request {
        clean: format!("{method} {target} HTTP/1.1\r\n{authorization}\r\n"),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        is_get: method == "GET",
        is_head: method == "HEAD",
        rest: rest(headers, early.len())?,
        early,
    }))
}

fn refusal(error: Error, bytes: &[u8]) -> Refusal {
    let first_line = bytes.trim_ascii_start().split(|&byte| byte == b'\n').next();
    let names_version = |line: &[u8]| line.windows(6).any(|part| part == b" HTTP/");
    match error {
        Error::TooManyHeaders => TOO_LARGE,
        Error::Version if first_line.is_some_and(names_version) => VERSION,
        Error::HeaderName | Error::HeaderValue => malformed("a header is malformed"),
        _ => malformed("this is not an HTTP request"),
    }
}

/// The path and query of a request's target, which may be a URL (RFC 9112, 3.2.2).
fn origin_form(target: &str) -> Option<String> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    if target.starts_with('/') {
        return Some(target.to_owned());
    }
    let (scheme, rest) = target.split_once("://")?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let path = rest.trim_start_matches(|c| c != '/' && c != '?');
    let slash = if path.starts_with('/') { "" } else { "/" };
    (is_http && path.len() < rest.len()).then(|| format!("{slash}{path}"))
}

fn values<'a>(headers: &[Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let named = |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
    headers.iter().filter(named).map(|header| header.value)
}

/// The value of a header that may occur once, in printable ASCII: other bytes make the server close the
/// connection.
fn single<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = values(headers, name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let is_printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
    match str::from_utf8(value) {
        Ok(value) if is_printable && values.next().is_none() => Ok(Some(value)),
        _ => Err(malformed("the Host or Authorization header is malformed")),
    }
}

/// `Request::rest`, with `early` bytes of the body already there.
fn rest(headers: &[Header<'_>], early: usize) -> Result<Option<u64>, Refusal> {
    let mut length = None;
    for value in values(headers, "Content-Length") {
        let digits = str::from_utf8(value).ok();
        let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
        let number: Option<u64> = digits.and_then(|it| it.parse().ok());
        let wrong = malformed("the Content-Length is not a number of bytes");
        let number = number.ok_or(wrong)?;
        if length.replace(number).is_some_and(|other| other != number) {
            return Err(malformed("the Content-Length headers differ"));
        }
    }
    let is_encoded = values(headers, "Transfer-Encoding").next().is_some();
    if is_encoded && length.is_some() {
        let error = "Content-Length and Transfer-Encoding exclude each other";
        return Err(malformed(error));
    }
    let rest = length.unwrap_or(0).saturating_sub(early as u64);
    let asks_first = values(headers, "Expect").next().is_some() && rest > 0;
    Ok((!is_encoded && !asks_first).then_some(rest))
}
