//! A stand-in: an HTTP server on loopback that counts its requests, and delays its answers as told.

use std::collections::HashMap;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{TrySendError, after, bounded};

use crate::wire::{Connection, Request};

/// Longer than anything measured takes.
const LIMIT: Duration = Duration::from_secs(120);

/// An answer, and the name under which its request is counted.
pub(crate) struct Reply {
    pub(crate) kind: &'static str,
    pub(crate) status: u16,
    pub(crate) body: Arc<Vec<u8>>,
}

impl Reply {
    pub(crate) fn new(kind: &'static str, status: u16, body: impl Into<Vec<u8>>) -> Reply {
        let body = Arc::new(body.into());
        Reply { kind, status, body }
    }
}

/// The requests of one kind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) requests: usize,
    /// Of their bodies.
    pub(crate) bytes: usize,
    /// When the last one had been read.
    pub(crate) received: Option<Instant>,
    /// When its answer was ready to be written.
    pub(crate) answered: Option<Instant>,
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server, until the process ends.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    handler: Box<Handler>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tallies: HashMap<&'static str, Tally>,
    delays: HashMap<&'static str, Duration>,
}

impl Peer {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            // A thread that has ended a conversation waits for the next one: on a busy machine a new thread
            // takes milliseconds to begin.
            let (give, take) = bounded(0);
            for stream in listener.incoming().flatten() {
                let Err(TrySendError::Full(stream)) = give.try_send(stream) else {
                    continue;
                };
                let (shared, take) = (Arc::clone(&ours), take.clone());
                thread::spawn(move || {
                    for stream in iter::once(stream).chain(&take) {
                        shared.converse(Connection::new(stream));
                    }
                });
            }
        });
        Peer { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Delays the answers to requests of this kind from now on.
    pub(crate) fn delay(&self, kind: &'static str, time: Duration) {
        self.shared.lock().delays.insert(kind, time);
    }

    /// The requests of this kind so far.
    pub(crate) fn tally(&self, kind: &str) -> Tally {
        let tallies = &self.shared.lock().tallies;
        tallies.get(kind).copied().unwrap_or_default()
    }

    /// The same, once there are this many.
    pub(crate) fn wait_for(&self, kind: &str, requests: usize) -> Tally {
        let enough = |state: &mut State| {
            let seen = state.tallies.get(kind);
            seen.is_none_or(|tally| tally.requests < requests)
        };
        let changed = &self.shared.changed;
        let waited = changed.wait_timeout_while(self.shared.lock(), LIMIT, enough);
        let (state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        let tally = state.tallies.get(kind).copied().unwrap_or_default();
        assert!(
            !time.timed_out(),
            "{} of {requests} requests of the kind {kind} came",
            tally.requests
        );
        tally
    }
}

impl Shared {
    fn converse(&self, mut connection: Connection) {
        while let Ok(Some(request)) = connection.receive() {
            let received = Instant::now();
            let reply = (self.handler)(&request);
            let delay = self.lock().delays.get(reply.kind).copied();
            if let Some(delay) = delay.filter(|delay| !delay.is_zero()) {
                let _ = after(delay).recv();
            }
            let mut state = self.lock();
            let tally = state.tallies.entry(reply.kind).or_default();
            tally.requests += 1;
            tally.bytes += request.length;
            tally.received = Some(received);
            tally.answered = Some(Instant::now());
            drop(state);
            self.changed.notify_all();
            if connection.answer(reply.status, &reply.body).is_err() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
