//! Ports of loopback, which the system gives to no one else while a test has them.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
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

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn listen(&self) -> TcpListener {
        listen_at(self.address)
    }
}

pub(crate) fn listen_anywhere() -> TcpListener {
    listen_at(any_port())
}

/// Serves each connection on a thread of its own until it is dropped.
pub(crate) struct Acceptor {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    pub(crate) fn start<S>(serve: S) -> Acceptor
    where
        S: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = listen_anywhere();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::<AtomicBool>::default();
        let thread = std::thread::spawn({
            let (stopped, serve) = (stopped.clone(), Arc::new(serve));
            move || {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let serve = serve.clone();
                    // It ends when the client leaves, or the stand-in.
                    std::thread::spawn(move || serve(stream?));
                }
            }
        });
        Acceptor {
            address,
            stopped,
            thread: Some(thread),
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // The thread waits for a connection: this is the one that ends it.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
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
