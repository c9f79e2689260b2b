//! Where the HTTP server behind the gate listens, and one exchange with it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use address::{Address, Stream};

/// The server's own listener: a Unix socket on Linux, loopback TCP elsewhere.
pub type InnerListener = address::Listener;

/// Descriptors that must be free before the server is given a connection.
///
/// It takes two for it, and one more to wait for the next; when it finds none, it stops for good.
/// The others allow for what the rest of the program takes in the same moment.
const SPARE: usize = 8;

/// Where the HTTP server listens that the gate stands in front of.
#[derive(Debug)]
pub struct Inner {
    address: Address,
}

impl Inner {
    /// Makes a new listener that is known to nobody else, for the server to serve.
    ///
    /// # Errors
    ///
    /// When the system gives out no random bytes or no socket.
    pub fn bind() -> io::Result<(Inner, InnerListener)> {
        let (address, listener) = address::bind()?;
        Ok((Inner { address }, listener))
    }

    /// Sends a request's head on a connection of its own and returns the whole answer.
    ///
    /// The answer is read whole before the client sees any of it, so that a client which reads slowly
    /// never holds up the server. `client` is there to count free descriptors with; `time` is for
    /// each read and write.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` when nothing listens any more; others may pass.
    pub(super) fn ask(
        &self,
        head: &[u8],
        client: &TcpStream,
        time: Duration,
    ) -> io::Result<Vec<u8>> {
        let spare: Result<Vec<_>, _> = (0..SPARE).map(|_| client.try_clone()).collect();
        drop(spare?);
        let mut stream: Stream = address::connect(&self.address)?;
        stream.set_read_timeout(Some(time))?;
        stream.set_write_timeout(Some(time))?;
        stream.write_all(head)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
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
