//! The gate in front of the HTTP server: it lets in only small, well-formed requests.
//!
//! Only connections with evaluations are kept. Those are answered without the server, by the thread of their
//! connection: through the server, each would cost three more thread switches.
//!
//! The server behind it trusts its clients: it allocates what they announce, waits for what they never
//! send, and stops for good when descriptors run out. So clients talk only to the gate. It reads a
//! request's head within bounds of size and time (`head`), sends what matters of it over the server's
//! only connection (`inner`), and passes the answer back.
//!
//! Each admitted connection has a thread (`connection`). When all places are taken, the connection that loses
//! least is shut, so idle ones never keep a request out.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::crew::Crew;
use crate::target::{Asked, Evaluations};
use connection::{Connection, Stage};
pub(crate) use inner::{Inner, LINKS};

mod connection;
mod head;
mod inner;
#[cfg(test)]
mod tests;

/// Connections at once, if there are descriptors for them.
const PLACES: u64 = 64;

/// Connections that the system holds until they are admitted. The standard library's 128 are too few for
/// a burst, and when the queue is full, clients try again only after a second.
const QUEUE: i32 = 1024;

/// How long the gate waits for a place or a descriptor before it tries again, and how long a client may
/// send its request or take its answer although its place is needed.
const PAUSE: Duration = Duration::from_millis(50);

/// How long clients that are being answered have left when the gate closes.
const CLOSING: Duration = Duration::from_millis(500);

/// The open gate. Dropping it closes it too, without waiting.
pub(crate) struct Gate {
    /// Once it is dropped, the thread ends.
    wake: UnixStream,
    thread: JoinHandle<()>,
}

impl Gate {
    /// Stops listening at once, and waits up to `CLOSING` for clients that are being answered.
    pub(crate) fn close(self) {
        drop(self.wake);
        // A panic has already been reported where it happened.
        let _ = self.thread.join();
    }
}

/// What all connections share.
struct Door {
    inner: Inner,
    evaluations: Arc<Evaluations>,
    /// How many more connections may be kept.
    keeps: AtomicUsize,
    /// None is kept: the gate closes, or another connection lacks a descriptor or a thread.
    keeps_none: AtomicBool,
    hooks: Hooks,
}

/// What is called for each request that goes to the server.
pub(crate) struct Hooks {
    /// Before it is answered.
    pub(crate) on_head: Box<dyn Fn(&Asked<'_>) + Send + Sync>,
    /// After an answer 202, with the path and the body; what it does not read is discarded.
    pub(crate) on_body: Box<OnBody>,
}

type OnBody = dyn Fn(&str, &mut dyn Read) + Send + Sync;

/// What the thread of the gate owns.
struct Admission {
    door: Arc<Door>,
    places: usize,
    /// The oldest first; each is dropped when it has been served.
    connections: Vec<Weak<Connection>>,
    /// Serves the connections.
    crew: Crew,
}

/// Lets clients of `listener` through to `inner`, `places` at once, on a thread named `gate`.
pub(crate) fn open(
    listener: TcpListener,
    places: usize,
    inner: Inner,
    evaluations: Arc<Evaluations>,
    hooks: Hooks,
) -> io::Result<Gate> {
    let door = Door::new(places, inner, evaluations, hooks);
    door.open(listener, places, Crew::new("connection", places)?)
}

impl Door {
    fn new(places: usize, inner: Inner, evaluations: Arc<Evaluations>, hooks: Hooks) -> Door {
        Door {
            inner,
            evaluations,
            // The others are always there for callbacks and health checks.
            keeps: AtomicUsize::new(places / 2),
            keeps_none: AtomicBool::default(),
            hooks,
        }
    }

    fn open(self, listener: TcpListener, places: usize, crew: Crew) -> io::Result<Gate> {
        // A client may leave before it is accepted: accept must not block then.
        listener.set_nonblocking(true)?;
        rustix::net::listen(&listener, QUEUE)?;
        let (wake, woken) = UnixStream::pair()?;
        let admission = Admission {
            door: Arc::new(self),
            places,
            connections: Vec::new(),
            crew,
        };
        let thread = thread::Builder::new().name("gate".into());
        let thread = thread.spawn(move || admission.run(listener, &woken))?;
        Ok(Gate { wake, thread })
    }
}

impl Admission {
    /// Admits clients until the other end of `woken` is dropped. No failure ends it.
    fn run(mut self, listener: TcpListener, woken: &UnixStream) {
        let mut failures = 0_u64;
        while wait_for_client(&listener, woken) {
            match self.find_place().then(|| listener.accept()) {
                None => {}
                Some(Ok((client, peer))) => {
                    if failures > 0 {
                        log::info!("accepting connections again after={failures} failures");
                        failures = 0;
                    }
                    self.admit(client, peer);
                    continue;
                }
                // The client has already left.
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => continue,
                Some(Err(error)) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Some(Err(error)) => {
                    // Their descriptors may be what is missing.
                    self.keep_none();
                    failures += 1;
                    if failures.is_power_of_two() {
                        log::warn!("cannot accept connections failures={failures} error={error}");
                    }
                }
            }
            // A connection that ends frees a place and a descriptor, and unparks this thread.
            thread::park_timeout(PAUSE);
        }
        drop(listener);
        self.close();
    }

    fn alive(&mut self) -> Vec<Arc<Connection>> {
        self.connections.retain(|it| it.strong_count() > 0);
        self.connections.iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether there is a place. If not, shuts the connection that loses least.
    fn find_place(&mut self) -> bool {
        let alive = self.alive();
        if alive.len() < self.places {
            return true;
        }
        let stages = alive.iter().map(|it| (*it.stage(), &it.client));
        let _ = match stages.min_by_key(|(stage, _)| *stage) {
            // A request that has arrived is still read and answered.
            Some((Stage::Lingering | Stage::Kept, client)) => client.shutdown(Shutdown::Read),
            Some((Stage::Head(since), client)) if since.elapsed() >= PAUSE => {
                client.shutdown(Shutdown::Read)
            }
            Some((Stage::Transfer(since), client)) if since.elapsed() >= PAUSE => {
                client.shutdown(Shutdown::Both)
            }
            _ => Ok(()),
        };
        false
    }

    fn admit(&mut self, client: TcpStream, peer: SocketAddr) {
        // On some systems it inherits this from the listener.
        if let Err(error) = client.set_nonblocking(false) {
            return log::warn!("connection dropped peer={peer} error={error}");
        }
        let connection = Arc::new(Connection::new(client));
        self.connections.push(Arc::downgrade(&connection));
        let (door, gate) = (Arc::clone(&self.door), thread::current());
        self.crew.run(move || {
            connection.serve(&door, peer);
            drop(connection);
            gate.unpark();
        });
        match self.crew.is_short() {
            true => self.keep_none(),
            false => self.door.keeps_none.store(false, SeqCst),
        }
    }

    /// Ends the connections that are kept, because others need what they take.
    fn keep_none(&mut self) {
        self.door.keeps_none.store(true, SeqCst);
        self.end(|stage| stage == Stage::Kept);
    }

    /// Ends connections that are this far.
    fn end(&mut self, is_so_far: impl Fn(Stage) -> bool) {
        let alive = self.alive().into_iter();
        for idle in alive.filter(|it| is_so_far(*it.stage())) {
            let _ = idle.client.shutdown(Shutdown::Read);
        }
    }

    /// Waits until clients that have sent a request have left.
    fn close(mut self) {
        let deadline = Instant::now() + CLOSING;
        self.keep_none();
        self.end(|stage| matches!(stage, Stage::Head(_)));
        while !self.alive().is_empty() && Instant::now() < deadline {
            thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        for late in self.alive() {
            let _ = late.client.shutdown(Shutdown::Both);
        }
    }
}

/// Waits until a client may be there (true) or the gate is to close (false).
fn wait_for_client(listener: &TcpListener, woken: &UnixStream) -> bool {
    let mut waits = [
        PollFd::new(woken, PollFlags::IN),
        PollFd::new(listener, PollFlags::IN),
    ];
    // After a signal, accept finds no client, and the wait goes on.
    let _ = poll(&mut waits, None);
    waits[0].revents().is_empty()
}

/// How many connections this process has descriptors for, `PLACES` at most.
///
/// Raises its soft limit of descriptors towards the hard one first.
pub(crate) fn places() -> usize {
    /// More is of no use, and some systems reject much more.
    const ENOUGH: u64 = 4096;
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(ENOUGH);
    let raised = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let current = Some(raised);
    if soft < raised && setrlimit(Resource::Nofile, Rlimit { current, ..limit }).is_ok() {
        return places_within(raised);
    }
    places_within(soft)
}

/// One for every four descriptors beyond 32, so that clients never take those that the sources and the
/// target need.
fn places_within(descriptors: u64) -> usize {
    (descriptors.saturating_sub(32) / 4).clamp(1, PLACES) as usize
}
