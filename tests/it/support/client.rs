//! A small HTTP/1.1 client: one request a connection, for the tests and for OPAL's callbacks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::stage::LIMIT;
use super::wire::{Answer, invalid, owned_headers};

/// Sends a request and reads the answer to the end of the connection.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    parse(&raw(address, &[head.as_bytes(), body].concat())?)
}

/// Sends these bytes and reads to the end of the connection.
pub(crate) fn raw(address: SocketAddr, sent: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(address)?;
    stream.write_all(sent)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Connects; nothing on the connection takes for ever.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn parse(bytes: &[u8]) -> io::Result<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(end)) = parsed.parse(bytes) else {
        return Err(invalid("answer"));
    };
    Ok(Answer {
        status: parsed.code.unwrap_or_default(),
        headers: owned_headers(parsed.headers),
        body: bytes[end..].to_vec(),
    })
}
