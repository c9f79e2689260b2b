//! A port that nobody else is given, also while nobody listens there.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crossbeam_channel::after;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::net::{bind, getsockname, socket_with, sockopt};

/// How long to wait for a port.
const LONGEST: Duration = Duration::from_secs(30);

/// A port on loopback. A socket that does not listen holds it: without it the system would give the
/// port of a stopped server to another, who would then answer in its place.
pub(crate) struct Port {
    address: SocketAddr,
    _held: OwnedFd,
}

impl Port {
    /// Any that is free.
    pub(crate) fn new() -> Port {
        let (inet, stream) = (AddressFamily::INET, SocketType::STREAM);
        let held = socket_with(inet, stream, SocketFlags::CLOEXEC, None).unwrap();
        sockopt::set_socket_reuseaddr(&held, true).unwrap();
        as_soon_as_it_is_free(|| Ok(bind(&held, &any_port())?));
        Port {
            address: getsockname(&held).unwrap().try_into().unwrap(),
            _held: held,
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there.
    pub(crate) fn listen(&self) -> TcpListener {
        listen_at(self.address)
    }
}

/// Listens at a free port of loopback.
pub(crate) fn listen_anywhere() -> TcpListener {
    listen_at(any_port())
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn listen_at(address: SocketAddr) -> TcpListener {
    as_soon_as_it_is_free(|| TcpListener::bind(address))
}

/// On a busy machine a port is in use for a while after it was left: by a child that was forked before
/// and has not become its program yet, and any port there is by connections that have just ended.
fn as_soon_as_it_is_free<T>(bind: impl Fn() -> io::Result<T>) -> T {
    let end = Instant::now() + LONGEST;
    loop {
        match bind() {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < end => {
                let _ = after(Duration::from_millis(5)).recv();
            }
            bound => return bound.unwrap(),
        }
    }
}
