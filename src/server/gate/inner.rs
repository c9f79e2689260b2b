//! Where the HTTP server behind the gate listens, and what is exchanged with it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Limits;
use super::head::Request;
use address::{Address, Stream};

/// The server's own listener: a Unix socket on Linux, loopback TCP elsewhere.
pub type InnerListener = address::Listener;

/// Descriptors that must be free before the server is given another connection.
///
/// It takes two for it, and one more to wait for the next; when it finds none, it stops for good.
/// The others allow for what the rest of the program takes in the same moment.
const SPARE: usize = 8;

/// Headers in an answer of the server.
const HEADERS: usize = 16;

/// The HTTP server that the gate stands in front of.
///
/// It answers one request at a time, so one connection is enough. It gets it before the first client
/// comes, and keeps it: to answer costs no descriptor, and so they cannot run out at the wrong moment.
#[derive(Debug)]
pub struct Inner {
    address: Address,
    /// The connection, for whose turn it is; none where the last one broke.
    give: Sender<Option<Stream>>,
    take: Receiver<Option<Stream>>,
}

impl Inner {
    /// Makes a new listener that is known to nobody else, for the server to serve.
    ///
    /// # Errors
    ///
    /// When the system gives out no random bytes or no socket.
    pub fn bind() -> io::Result<(Inner, InnerListener)> {
        let (address, listener) = address::bind()?;
        let (give, take) = bounded(1);
        // It waits in the listener's queue for the server.
        let stream = address::connect(&address)?;
        // There is room for it, and its receiver is here.
        let _ = give.send(Some(stream));
        let inner = Inner {
            address,
            give,
            take,
        };
        Ok((inner, listener))
    }

    /// Sends a request's head when it is its turn, and returns the whole answer.
    ///
    /// The answer is read whole before the client sees any of it, so that a client which reads slowly
    /// never holds up the server. `client` is there to count free descriptors with. The answer time of
    /// `limits` is for each read and write.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` when nothing listens any more; others may pass.
    pub(super) fn ask(
        &self,
        request: &Request,
        client: &TcpStream,
        limits: &Limits,
    ) -> io::Result<Vec<u8>> {
        let turn = self.take.recv_timeout(limits.turn_time);
        let kept = turn.map_err(|_| io::Error::from(ErrorKind::TimedOut))?;
        let (kept, answer) = match self.exchange(kept, request, client, limits.answer_time) {
            Ok((stream, answer)) => (Some(stream), Ok(answer)),
            Err(error) => (None, Err(error)),
        };
        // There is room: it was taken from there.
        let _ = self.give.send(kept);
        answer
    }

    /// The answer, and the connection for the next request. One that the server has closed is
    /// replaced; one on which the answer is late is given up.
    fn exchange(
        &self,
        kept: Option<Stream>,
        request: &Request,
        client: &TcpStream,
        time: Duration,
    ) -> io::Result<(Stream, Vec<u8>)> {
        if let Some(mut stream) = kept {
            match exchange(&mut stream, request, time) {
                Ok(answer) => return Ok((stream, answer)),
                Err(error) if is_late(&error) => return Err(error),
                Err(_) => {}
            }
        }
        let mut stream = self.connect(client)?;
        let answer = exchange(&mut stream, request, time)?;
        Ok((stream, answer))
    }

    fn connect(&self, client: &TcpStream) -> io::Result<Stream> {
        let spare: Result<Vec<_>, _> = (0..SPARE).map(|_| client.try_clone()).collect();
        drop(spare?);
        address::connect(&self.address)
    }
}

fn exchange(stream: &mut Stream, request: &Request, time: Duration) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(time))?;
    stream.set_write_timeout(Some(time))?;
    stream.write_all(&request.clean)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    let mut whole = None;
    while whole.is_none_or(|whole| answer.len() < whole) {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&chunk[..read]);
        if whole.is_none() {
            whole = length(&answer, request.is_head)?;
        }
    }
    Ok(answer)
}

/// The length of the answer that begins with `bytes`; `None` as long as its head is not whole.
fn length(bytes: &[u8], is_head: bool) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
    };
    if is_head {
        return Ok(Some(head));
    }
    let mut headers = parsed.headers.iter();
    let length = headers.find(|header| header.name.eq_ignore_ascii_case("Content-Length"));
    let length = length.and_then(|header| str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    match length {
        Some(length) => Ok(Some(head.saturating_add(length))),
        None => Err(ErrorKind::InvalidData.into()),
    }
}

/// Whether the answer may still come. The system says `WouldBlock` when a read's time is over.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A Unix socket with an abstract name needs no file, so a read-only container will do.
#[cfg(target_os = "linux")]
mod address {
    use std::fmt::Write;
    use std::io;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    pub(super) type Address = SocketAddr;
    pub(super) type Listener = UnixListener;
    pub(super) type Stream = UnixStream;

    pub(super) fn bind() -> io::Result<(Address, Listener)> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)?;
        let mut name = String::from("optoggles-");
        for byte in random {
            let _ = write!(name, "{byte:02x}");
        }
        let address = SocketAddr::from_abstract_name(name)?;
        let listener = UnixListener::bind_addr(&address)?;
        Ok((address, listener))
    }

    pub(super) fn connect(address: &Address) -> io::Result<Stream> {
        UnixStream::connect_addr(address)
    }
}

#[cfg(not(target_os = "linux"))]
mod address {
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    pub(super) type Address = SocketAddr;
    pub(super) type Listener = TcpListener;
    pub(super) type Stream = TcpStream;

    pub(super) fn bind() -> io::Result<(Address, Listener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok((listener.local_addr()?, listener))
    }

    pub(super) fn connect(address: &Address) -> io::Result<Stream> {
        TcpStream::connect(address)
    }
}
