//! A port that nobody else is given, also while nobody listens there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::net::{bind, getsockname, socket_with, sockopt};

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
        bind(&held, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
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
        TcpListener::bind(self.address).unwrap()
    }
}
