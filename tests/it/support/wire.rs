//! HTTP/1.1 as the stand-ins speak it: requests in, answers out.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path as it was sent, with its query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's value; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Whether it carries this token as `Authorization: Bearer`; without a token: always.
    pub(crate) fn may(&self, token: Option<&str>) -> bool {
        token.is_none_or(|token| {
            self.header("authorization")
                .is_some_and(|value| value == format!("Bearer {token}"))
        })
    }

    /// `METHOD PATH BODY`, the JSON without blanks; the body is left out where there is none.
    pub(crate) fn line(&self) -> String {
        let body = match self.json() {
            Value::Null => String::from_utf8_lossy(&self.body).into_owned(),
            json => json.to_string(),
        };
        format!("{} {} {body}", self.method, self.path)
            .trim_end()
            .to_owned()
    }
}

/// An answer: from a stand-in, or from the program.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case when it was read.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Answer {
        let json = ("content-type".to_owned(), "application/json".to_owned());
        Answer {
            status,
            headers: vec![json],
            body: body.to_string().into_bytes(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header's value; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }

    /// The bytes of its head: all that a HEAD is answered with.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} Stand-in\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        if self.status != 204 {
            bytes.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes
    }
}

/// A request of which one byte was left in the socket.
///
/// A socket that is closed with bytes unread sends a reset: this is how a stand-in breaks a
/// connection without asking for `SO_LINGER`.
pub(crate) struct Incoming {
    pub(crate) request: Request,
    stream: TcpStream,
}

impl Incoming {
    /// Waits for the next request of a connection; none: the client has left.
    pub(crate) fn read(mut stream: TcpStream) -> io::Result<Option<Incoming>> {
        let Some(head) = read_head(&mut stream)? else {
            return Ok(None);
        };
        let mut request = parse_head(&head)?;
        let length = request.header("content-length").unwrap_or("0").parse();
        let length: usize = length.map_err(|_| invalid("content-length"))?;
        if length > 0 {
            stream.read_exact(&mut [0])?;
            request.body = vec![0; length];
            stream.read_exact(&mut request.body[..length - 1])?;
            if stream.peek(&mut request.body[length - 1..])? == 0 {
                return Err(invalid("body"));
            }
        }
        Ok(Some(Incoming { request, stream }))
    }

    /// Takes the last byte too: from here on the connection can be used and closed in peace.
    pub(crate) fn finish(mut self) -> io::Result<TcpStream> {
        self.stream.read_exact(&mut [0])?;
        Ok(self.stream)
    }

    /// Sends these bytes and breaks the connection.
    pub(crate) fn reset(mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }
}

/// Reads up to the blank line, and leaves that line's last byte in the socket.
fn read_head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let seen = stream.peek(&mut chunk)?;
        if seen == 0 {
            return Ok(None);
        }
        let before = head.len();
        head.extend(&chunk[..seen]);
        let end = head.windows(4).position(|window| window == b"\r\n\r\n");
        let take = end.map_or(seen, |end| end + 3 - before);
        stream.read_exact(&mut chunk[..take])?;
        if let Some(end) = end {
            head.truncate(end + 4);
            return Ok(Some(head));
        }
    }
}

fn parse_head(head: &[u8]) -> io::Result<Request> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(head).map_err(|_| invalid("head"))?;
    Ok(Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: owned_headers(parsed.headers),
        body: Vec::new(),
    })
}

/// Headers with their names in lower case.
pub(crate) fn owned_headers(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let owned = |header: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    };
    headers.iter().map(owned).collect()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(header, _)| header == name);
    found.map(|(_, value)| value.as_str())
}

/// The error of what is not HTTP as it should be.
pub(crate) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no valid {what}"))
}
