//! A request's head: what is taken from it, and what is refused.

use std::str;

use httparse::{EMPTY_HEADER, Error, Header, Status};

#[cfg(test)]
mod tests;

/// Headers in one head.
const HEADERS: usize = 64;

/// A head that did not arrive in time.
pub(super) const LATE: Refusal = Refusal {
    status: "408 Request Timeout",
    error: "the head of the request did not arrive in time",
};

/// A head that is longer than the limit or has too many headers.
pub(super) const TOO_LARGE: Refusal = Refusal {
    status: "431 Request Header Fields Too Large",
    error: "the head of the request is too large",
};

/// The server behind the gate gives no answer.
pub(super) const UNAVAILABLE: Refusal = Refusal {
    status: "503 Service Unavailable",
    error: "the server gives no answer",
};

const VERSION: Refusal = Refusal {
    status: "505 HTTP Version Not Supported",
    error: "only HTTP/1.0 and HTTP/1.1 are spoken here",
};

/// What the gate itself answers to a request that it does not let through.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The code and its phrase.
    pub(super) status: &'static str,
    error: &'static str,
}

impl Refusal {
    /// The whole answer, without its body if the request was `HEAD`.
    pub(super) fn answer(&self, is_head: bool) -> Vec<u8> {
        let Refusal { status, error } = self;
        let body = format!("{{\"error\":\"{error}\"}}");
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        if !is_head {
            answer.push_str(&body);
        }
        answer.into_bytes()
    }
}

/// What the gate keeps of a good request. It holds a token, so it has no `Debug`.
pub(super) struct Request {
    /// The head that the server gets: of the client's words only those it needs.
    pub(super) clean: Vec<u8>,
    pub(super) path: String,
    pub(super) is_head: bool,
    /// What has come of its body together with the head.
    pub(super) early: Vec<u8>,
    pub(super) body: Body,
}

/// What is still to come of a request's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Announced(u64),
    /// Something whose end is not known beforehand, or that the client may leave out.
    Open,
}

/// Reads a head from the start of `bytes`; `None` as long as it is not whole.
///
/// # Errors
///
/// What to answer, if it is no head of a request that the server may see.
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
        return Err(malformed("the request line is not whole"));
    };
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed(
            "the target is not a path of visible ASCII characters",
        ));
    }
    let fields = Fields::of(parsed.headers)?;
    if version == 1 && fields.host.is_none() {
        return Err(malformed("the Host header is missing"));
    }
    Ok(Some(Request {
        clean: clean(method, target, &fields),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        is_head: method == "HEAD",
        early: bytes[length..].to_vec(),
        body: fields.body(bytes.len() - length),
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

/// `error` goes into JSON as it is.
fn malformed(error: &'static str) -> Refusal {
    Refusal {
        status: "400 Bad Request",
        error,
    }
}

/// The same request without a body, the way the server likes it.
fn clean(method: &str, target: &str, fields: &Fields) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in [
        ("Host", fields.host),
        ("Authorization", fields.authorization),
        ("Content-Length", Some("0")),
    ] {
        if let Some(value) = value {
            head.extend([name, ": ", value, "\r\n"]);
        }
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// The headers that matter here.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    authorization: Option<&'a str>,
    length: Option<u64>,
    encoded: bool,
    expects: bool,
}

impl<'a> Fields<'a> {
    fn of(headers: &[Header<'a>]) -> Result<Fields<'a>, Refusal> {
        let mut fields = Fields::default();
        for &Header { name, value } in headers {
            if name.eq_ignore_ascii_case("Host") {
                set(&mut fields.host, value, "the Host header is malformed")?;
            } else if name.eq_ignore_ascii_case("Authorization") {
                let wrong = "the Authorization header is malformed";
                set(&mut fields.authorization, value, wrong)?;
            } else if name.eq_ignore_ascii_case("Content-Length") {
                let length = number(value)?;
                if fields.length.is_some_and(|other| other != length) {
                    return Err(malformed("the Content-Length headers differ"));
                }
                fields.length = Some(length);
            } else if name.eq_ignore_ascii_case("Transfer-Encoding") {
                fields.encoded = true;
            } else if name.eq_ignore_ascii_case("Expect") {
                fields.expects = true;
            }
        }
        if fields.encoded && fields.length.is_some() {
            return Err(malformed(
                "Content-Length and Transfer-Encoding exclude each other",
            ));
        }
        Ok(fields)
    }

    /// What is to come of the body when `arrived` bytes of it are there.
    fn body(&self, arrived: usize) -> Body {
        let length = self.length.unwrap_or(0);
        let rest = length.saturating_sub(u64::try_from(arrived).unwrap_or(u64::MAX));
        // Who asks whether to send a body may, now that it has its answer, leave it out.
        if self.encoded || self.expects && rest > 0 {
            return Body::Open;
        }
        Body::Announced(rest)
    }
}

/// Takes a header's value that may stand there once and consists of printable ASCII: the server drops
/// a connection with other bytes without a word.
fn set<'a>(
    field: &mut Option<&'a str>,
    value: &'a [u8],
    wrong: &'static str,
) -> Result<(), Refusal> {
    let printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
    let text = str::from_utf8(value).ok().filter(|_| printable);
    match text {
        Some(text) if field.is_none() => *field = Some(text),
        _ => return Err(malformed(wrong)),
    }
    Ok(())
}

fn number(value: &[u8]) -> Result<u64, Refusal> {
    let digits = str::from_utf8(value).ok();
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|text| text.parse().ok())
        .ok_or(malformed("the Content-Length is not a number of bytes"))
}
