//! The door in front of the HTTP server: only small, clean requests come in, one a connection.
//!
//! The server behind it answers well, but trusts its clients: it allocates what they announce, waits
//! for what they never send, and gives up for good when descriptors run out. So clients only ever
//! talk to the gate. It reads a request's head within bounds of size and time, asks the server anew
//! with a few words of it, on the one connection that the server ever gets, and passes the answer back.
//!
//! Each admitted connection has a short-lived thread. When all places are taken, whoever needs its
//! place least leaves (`crowd`), so connections that do nothing never keep a request out.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crowd::Crowd;
pub use inner::{Inner, InnerListener};

mod connection;
mod crowd;
mod head;
mod inner;
#[cfg(test)]
mod tests;

/// Bytes of stack for each thread of the gate: none recurses or keeps a large buffer there.
const STACK: usize = 128 * 1024;

/// Connections that may wait to be admitted: the system holds them.
const QUEUE: i32 = 1024;

/// What the gate lets one client, and all of them together, cost.
///
/// All times are for the whole of what they bound, however it is split into reads and writes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// The bytes of a request's head: its first line and its headers.
    pub head_bytes: usize,
    /// For a client to send its head.
    pub head_time: Duration,
    /// For a request to get its turn at the server. It is long: on a busy machine, with many clients, a
    /// callback that is answered late is better than one that is lost.
    pub turn_time: Duration,
    /// For the server to answer, and then for the client to take the answer.
    pub answer_time: Duration,
    /// The bytes of a body that are read after the answer 202.
    pub body_bytes: u64,
    /// For such a body to arrive.
    pub body_time: Duration,
    /// The bytes that are thrown away before an answered connection is closed. Closing with unread
    /// bytes would reset it, and the client could lose the answer.
    pub linger_bytes: u64,
    /// For the client to close first.
    pub linger_time: Duration,
    /// The pause after the system could not give out a connection.
    pub accept_pause: Duration,
    /// For the connections being answered when the gate closes.
    pub closing_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 64,
            head_bytes: 8 * 1024,
            head_time: Duration::from_secs(5),
            turn_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(5),
            body_bytes: 64 * 1024 * 1024,
            body_time: Duration::from_secs(5),
            linger_bytes: 256 * 1024,
            linger_time: Duration::from_millis(250),
            accept_pause: Duration::from_millis(50),
            closing_time: Duration::from_millis(500),
        }
    }
}

impl Limits {
    /// The defaults, with no more connections than this process has file descriptors for.
    ///
    /// Raises the process's soft limit of descriptors towards the hard one first.
    pub fn of_this_process() -> Limits {
        let defaults = Limits::default();
        let fitting = connections_within(raise_descriptor_limit());
        Limits {
            connections: fitting.min(defaults.connections),
            ..defaults
        }
    }
}

/// The open gate. Dropping it closes it too, without waiting.
pub struct Gate {
    // Stands before the thread: once it is dropped, the thread ends.
    wake: UnixStream,
    thread: JoinHandle<()>,
    door: Arc<Door>,
}

impl Gate {
    /// Stops listening at once, lets the clients that are being answered have their answer, and
    /// returns when they have left, at the latest after `closing_time`.
    pub fn close(self) {
        self.door.crowd.close();
        drop(self.wake);
        // A panic there has already been reported where it happened.
        let _ = self.thread.join();
        self.door.crowd.leave_within(self.door.limits.closing_time);
    }
}

/// Starts to let the clients of `listener` through to `inner`, on a thread named `gate`.
///
/// `on_body` is given the path and the body of each request that is answered 202, whatever it is, after
/// the answer; what it leaves of it is thrown away. `on_broken` is called at most once, with the reason, when nothing listens behind `inner` any more:
/// from then on every client is answered 503, and only a new process helps.
///
/// # Errors
///
/// When the thread cannot be started, or no descriptor is left for waking it.
pub fn open(
    listener: TcpListener,
    inner: Inner,
    limits: Limits,
    on_body: impl Fn(&str, &mut dyn Read) + Send + Sync + 'static,
    on_broken: impl FnOnce(String) + Send + 'static,
) -> io::Result<Gate> {
    // A client can be gone between the report that it is there and accept, which must not block then.
    listener.set_nonblocking(true)?;
    // Where the queue is full, a client's system tries again only after a second. The standard
    // library's 128 are too few for a burst that is admitted one by one.
    rustix::net::listen(&listener, QUEUE)?;
    let (wake, woken) = UnixStream::pair()?;
    let door = Arc::new(Door {
        crowd: Crowd::new(limits.connections),
        inner,
        limits,
        on_body: Box::new(on_body),
        on_broken: Mutex::new(Some(Box::new(on_broken))),
    });
    let ours = Arc::clone(&door);
    let thread = thread::Builder::new()
        .name("gate".into())
        .stack_size(STACK)
        .spawn(move || ours.accept(&listener, &woken))?;
    Ok(Gate { wake, thread, door })
}

/// What all connections share.
struct Door {
    inner: Inner,
    limits: Limits,
    crowd: Arc<Crowd>,
    on_body: OnBody,
    on_broken: Mutex<Option<OnBroken>>,
}

type OnBody = Box<dyn Fn(&str, &mut dyn Read) + Send + Sync>;
type OnBroken = Box<dyn FnOnce(String) + Send>;

impl Door {
    /// Lets clients in until the other end of `woken` is gone. No failure ends it.
    fn accept(self: &Arc<Door>, listener: &TcpListener, woken: &UnixStream) {
        let mut failures = 0_u64;
        while wait_for_client(listener, woken) {
            match listener.accept() {
                Ok((client, peer)) => {
                    if failures > 0 {
                        log::info!("accepting connections again after={failures} failures");
                        failures = 0;
                    }
                    self.admit(client, peer);
                }
                Err(error) if is_clients_doing(&error) => {}
                Err(error) => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        log::warn!("cannot accept connections failures={failures} error={error}");
                    }
                    pause(woken, self.limits.accept_pause);
                }
            }
        }
    }

    fn admit(self: &Arc<Door>, client: TcpStream, peer: SocketAddr) {
        // Elsewhere than on Linux it inherits this from the listener.
        let blocking = client.set_nonblocking(false);
        let Some(place) = Crowd::enter(&self.crowd, client) else {
            return;
        };
        let door = Arc::clone(self);
        let started = blocking.and_then(|()| {
            thread::Builder::new()
                .name("connection".into())
                .stack_size(STACK)
                .spawn(move || connection::serve(&door, &place, peer))
        });
        // The client has been dropped with the closure.
        if let Err(error) = started {
            log::warn!("connection dropped peer={peer} error={error}");
        }
    }

    /// Says once that the server is gone; not while the gate closes, when it may well be.
    fn broken(&self, error: &io::Error) {
        let mut on_broken = self
            .on_broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.crowd.is_open()
            && let Some(tell) = on_broken.take()
        {
            tell(format!("the HTTP server does not listen any more: {error}"));
        }
    }
}

/// Waits until a client may be there (true) or the gate is to close (false).
fn wait_for_client(listener: &TcpListener, woken: &UnixStream) -> bool {
    let mut waits = [
        PollFd::new(woken, PollFlags::IN),
        PollFd::new(listener, PollFlags::IN),
    ];
    // Interrupted by a signal, accept finds nobody, and the wait goes on.
    let _ = poll(&mut waits, None);
    waits[0].revents().is_empty()
}

/// Waits for `time`, less if the gate is to close.
fn pause(woken: &UnixStream, time: Duration) {
    if let Ok(time) = Timespec::try_from(time) {
        let _ = poll(&mut [PollFd::new(woken, PollFlags::IN)], Some(&time));
    }
}

/// Whether `accept` failed for a reason that concerns one client alone, so that the next may do.
fn is_clients_doing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
    )
}

/// Raises the soft limit of descriptors to the hard one, as far as is of use, and says what it is.
fn raise_descriptor_limit() -> u64 {
    /// More is of no use to the gate, and some systems refuse much more.
    const ENOUGH: u64 = 4096;
    let before = getrlimit(Resource::Nofile);
    let soft = before.current.unwrap_or(ENOUGH);
    let wanted = before.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let raised = Rlimit {
        current: Some(wanted),
        ..before
    };
    if soft < wanted && setrlimit(Resource::Nofile, raised).is_ok() {
        return wanted;
    }
    soft
}

/// How many connections fit: one for each four descriptors, with 32 kept besides, so that clients never
/// take those with which sources and the target are asked.
fn connections_within(descriptors: u64) -> usize {
    let fitting = descriptors.saturating_sub(32) / 4;
    usize::try_from(fitting).unwrap_or(usize::MAX).max(1)
}
