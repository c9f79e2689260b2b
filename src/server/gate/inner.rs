//! The HTTP server behind the gate: where it listens, and how requests reach it.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[cfg(not(target_os = "linux"))]
pub(crate) use std::net::{TcpListener as InnerListener, TcpStream as Stream};
#[cfg(target_os = "linux")]
pub(crate) use std::os::unix::net::{UnixListener as InnerListener, UnixStream as Stream};

use super::head::{Refusal, Request, UNAVAILABLE};

/// For each read and write. The server answers from memory: if it takes longer, it is stuck.
const TIME: Duration = Duration::from_secs(30);

/// The only connection to the HTTP server.
///
/// The server needs a descriptor to accept a connection, and stops for good if there is none. So it gets
/// one connection before the first client comes, and answers all requests there.
pub(crate) struct Inner {
    /// `None` once it is broken.
    connection: Mutex<Option<BufReader<Stream>>>,
    on_broken: Box<dyn Fn(&str) + Send + Sync>,
}

impl Inner {
    /// Connects to a new listener, which the server is to serve. `on_broken` is called at most once, with
    /// the reason, when the server does not answer: only a new process helps then.
    pub(crate) fn bind(
        on_broken: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<(Inner, InnerListener)> {
        let (listener, stream) = connected()?;
        stream.set_read_timeout(Some(TIME))?;
        stream.set_write_timeout(Some(TIME))?;
        let inner = Inner {
            connection: Mutex::new(Some(BufReader::new(stream))),
            on_broken: Box::new(on_broken),
        };
        Ok((inner, listener))
    }

    /// The complete answer, so that a client that reads slowly does not hold up the server.
    pub(super) fn ask(&self, request: &Request) -> Result<Vec<u8>, Refusal> {
        let connection = self.connection.lock();
        let mut connection = connection.unwrap_or_else(PoisonError::into_inner);
        let server = connection.as_mut().ok_or(UNAVAILABLE)?;
        exchange(server, request).map_err(|error| {
            *connection = None;
            (self.on_broken)(&format!("the HTTP server does not answer: {error}"));
            UNAVAILABLE
        })
    }
}

/// Sends a request and reads its answer, with `Connection: close` added.
fn exchange(server: &mut BufReader<Stream>, request: &Request) -> io::Result<Vec<u8>> {
    server.get_mut().write_all(request.clean.as_bytes())?;
    let mut head = String::new();
    server.read_line(&mut head)?;
    head.push_str("Connection: close\r\n");
    let mut length = 0;
    while !head.ends_with("\r\n\r\n") {
        let line = head.len();
        if server.read_line(&mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = head[line..].strip_prefix("Content-Length: ") {
            length = value.trim_end().parse().map_err(io::Error::other)?;
        }
    }
    let mut answer = head.into_bytes();
    if !request.is_head {
        let body = answer.len();
        answer.resize(body + length, 0);
        server.read_exact(&mut answer[body..])?;
    }
    Ok(answer)
}

/// A Unix socket with an abstract name needs no file: it works in a read-only container.
#[cfg(target_os = "linux")]
fn connected() -> io::Result<(InnerListener, Stream)> {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let name = format!("optoggles-{:032x}", u128::from_ne_bytes(random));
    let address = SocketAddr::from_abstract_name(name)?;
    let listener = InnerListener::bind_addr(&address)?;
    Ok((listener, Stream::connect_addr(&address)?))
}

#[cfg(not(target_os = "linux"))]
fn connected() -> io::Result<(InnerListener, Stream)> {
    let listener = InnerListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let stream = Stream::connect(listener.local_addr()?)?;
    Ok((listener, stream))
}
