//! Just enough HTTP/1.1 for measurements: cheap, because it shares the machine.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Larger bodies are read and discarded.
const SMALL: usize = 64 * 1024;

/// A received request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Empty if it is large.
    pub(crate) body: Vec<u8>,
    /// The length of the body.
    pub(crate) length: usize,
}

/// Either side of a connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Connection {
        let _ = stream.set_nodelay(true);
        Connection {
            stream,
            buffer: vec![0; SMALL],
            filled: 0,
        }
    }

    pub(crate) fn open(address: SocketAddr) -> Connection {
        Connection::new(TcpStream::connect(address).expect("the peer listens"))
    }

    /// The next request, or `None` if the other side has left.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Request>> {
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&self.buffer[..head]).map_err(invalid)?;
        let (method, path) = (parsed.method.unwrap_or(""), parsed.path.unwrap_or(""));
        let (method, path) = (method.to_owned(), path.to_owned());
        let length = length(parsed.headers);
        let body = self.body(head, length)?;
        Ok(Some(Request {
            method,
            path,
            body,
            length,
        }))
    }

    /// Sends a request and reads the answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, usize)> {
        self.send(request)?;
        self.answered()
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// Reads an answer: its status, and the length of its body.
    pub(crate) fn answered(&mut self) -> io::Result<(u16, usize)> {
        let head = self.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Response::new(&mut headers);
        parsed.parse(&self.buffer[..head]).map_err(invalid)?;
        let (status, length) = (parsed.code.unwrap_or_default(), length(parsed.headers));
        self.body(head, length)?;
        Ok((status, length))
    }

    /// Sends an answer; a small one in one piece.
    pub(crate) fn answer(&mut self, status: u16, body: &[u8]) -> io::Result<()> {
        let length = body.len();
        let mut bytes = format!(
            "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
        .into_bytes();
        if length <= SMALL {
            bytes.extend_from_slice(body);
            return self.stream.write_all(&bytes);
        }
        self.stream.write_all(&bytes)?;
        self.stream.write_all(body)
    }

    /// Reads a complete head, and returns its length.
    fn head(&mut self) -> io::Result<Option<usize>> {
        loop {
            let seen = &self.buffer[..self.filled];
            if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                return Ok(Some(end + 4));
            }
            let read = self.stream.read(&mut self.buffer[self.filled..])?;
            if read == 0 {
                return Ok(None);
            }
            self.filled += read;
        }
    }

    /// Reads the body after the head, and leaves what follows it.
    fn body(&mut self, head: usize, length: usize) -> io::Result<Vec<u8>> {
        let here = length.min(self.filled - head);
        let mut body = self.buffer[head..head + here].to_vec();
        self.buffer.copy_within(head + here..self.filled, 0);
        self.filled -= head + here;
        let mut rest = length - here;
        let keep = length <= SMALL;
        while rest > 0 {
            // Nothing else is buffered.
            let most = rest.min(SMALL);
            let read = self.stream.read(&mut self.buffer[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if keep {
                body.extend_from_slice(&self.buffer[..read]);
            }
            rest -= read;
        }
        Ok(if keep { body } else { Vec::new() })
    }
}

/// A request's bytes.
pub(crate) fn request(method: &str, path: &str, authorization: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {authorization}\r\n\
         accept: */*\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn length(headers: &[httparse::Header<'_>]) -> usize {
    let mut headers = headers.iter();
    let found = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let value = found.and_then(|header| str::from_utf8(header.value).ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn invalid(error: httparse::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
