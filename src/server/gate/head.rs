//! A request's head: what is kept of it, and what is rejected.

use std::str;

use crate::target::Asked;
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
pub(super) const BODY_LATE: Refusal =
    Refusal("408 Request Timeout", "the body did not arrive in time");
pub(super) const BODY_TOO_LARGE: Refusal =
    Refusal("413 Content Too Large", "the body is larger than 64 KiB");
pub(super) const NO_LENGTH: Refusal =
    Refusal("411 Length Required", "the request has no Content-Length");
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
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) host: Option<String>,
    /// The header `If-None-Match`.
    pub(super) tag: Option<String>,
    /// The client may send another request on the connection.
    pub(super) keeps: bool,
    /// What came with the head: of the body, and of what follows it.
    pub(super) early: Vec<u8>,
    /// The bytes of the body; `None` if that is not known.
    pub(super) length: Option<u64>,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) asks_first: bool,
}

impl Request {
    /// What an evaluation depends on.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.method,
            path: &self.path,
            authorization: self.authorization.as_deref(),
            host: self.host.as_deref(),
            tag: self.tag.as_deref(),
        }
    }

    pub(super) fn is(&self, method: &str) -> bool {
        self.method == method
    }

    /// The bytes of the body still to come. `None`: the length is not known, or the client may leave the
    /// body out.
    pub(super) fn rest(&self) -> Option<u64> {
        let rest = self.length?.saturating_sub(self.early.len() as u64);
        (rest == 0 || !self.asks_first).then_some(rest)
    }
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
    let host = single(headers, "Host")?;
    if host.is_none() && version == 1 {
        return Err(malformed("the Host header is missing"));
    }
    let authorization = single(headers, "Authorization")?;
    let header = match authorization {
        Some(value) => format!("Authorization: {value}\r\n"),
        None => String::new(),
    };
    let closes = |value: &[u8]| {
        value
            .to_ascii_lowercase()
            .windows(5)
            .any(|it| it == b"close")
    };
    Ok(Some(Request {
        clean: format!("{method} {target} HTTP/1.1\r\n{header}\r\n"),
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        authorization: authorization.map(str::to_owned),
        host: host.map(str::to_owned),
        // What only saves bytes refuses nothing.
        tag: single(headers, "If-None-Match")
            .ok()
            .flatten()
            .map(str::to_owned),
        keeps: version == 1 && !values(headers, "Connection").any(closes),
        length: body_length(headers)?,
        asks_first: values(headers, "Expect").next().is_some(),
        early: bytes[length..].to_vec(),
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

/// `Request::length`.
fn body_length(headers: &[Header<'_>]) -> Result<Option<u64>, Refusal> {
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
    Ok((!is_encoded).then_some(length.unwrap_or(0)))
}
