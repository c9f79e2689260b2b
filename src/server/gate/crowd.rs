//! The connections that are in, and who leaves when one more wants to come in.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How soon to look again whether somebody can leave.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not sent a whole head.
    Head,
    /// Its answer is being made.
    Answering,
    /// Its answer is being written to it.
    Writing,
    /// Its body is being read and thrown away.
    Draining,
    /// It has been answered in full and is only waited for to close first.
    Lingering,
    /// It has been shut to make room; its thread is about to end.
    Shut,
}

/// Who leaves first: those who lose nothing, then those who have asked for nothing, then those who
/// do not send their body or take their answer. Whoever is being answered stays.
const LEAVE: [Phase; 4] = [
    Phase::Lingering,
    Phase::Head,
    Phase::Draining,
    Phase::Writing,
];

/// All connections that are in, the oldest first.
pub(super) struct Crowd {
    size: usize,
    state: Mutex<State>,
    /// Somebody left or went on to another phase, or the gate closes.
    changed: Condvar,
}

struct State {
    open: bool,
    next_id: u64,
    members: Vec<Member>,
}

struct Member {
    id: u64,
    phase: Phase,
    stream: Arc<TcpStream>,
}

impl Crowd {
    /// Room for `size` connections.
    pub(super) fn new(size: usize) -> Arc<Crowd> {
        Arc::new(Crowd {
            size,
            state: Mutex::new(State {
                open: true,
                next_id: 0,
                members: Vec::new(),
            }),
            changed: Condvar::new(),
        })
    }

    /// Takes a connection in, where it is full as soon as another has left; `None` once it is closed.
    pub(super) fn enter(crowd: &Arc<Crowd>, stream: TcpStream) -> Option<Place> {
        let mut state = crowd.lock();
        while state.open && state.members.len() >= crowd.size {
            state.make_room();
            state = crowd.wait(state, LOOK_AGAIN);
        }
        if !state.open {
            return None;
        }
        let stream = Arc::new(stream);
        let id = state.next_id;
        state.next_id += 1;
        state.members.push(Member {
            id,
            phase: Phase::Head,
            stream: Arc::clone(&stream),
        });
        Some(Place {
            crowd: Arc::clone(crowd),
            id,
            stream,
        })
    }

    /// Whether connections may still come in.
    pub(super) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Whether all have left.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().members.is_empty()
    }

    /// Lets nobody in any more and shuts those who have asked for nothing yet.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        state.shut_all(|phase| phase == Phase::Head);
        self.changed.notify_all();
    }

    /// Waits until all have left, and shuts those who have not after `time`.
    pub(super) fn leave_within(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut state = self.lock();
        while !state.members.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.shut_all(|_| true);
                return;
            }
            state = self.wait(state, left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl State {
    /// Shuts the one connection that loses least, unless one is on its way out already.
    fn make_room(&mut self) {
        let is_shut = |member: &Member| member.phase == Phase::Shut;
        if self.members.iter().any(is_shut) {
            return;
        }
        for phase in LEAVE {
            let mut members = self.members.iter_mut();
            if let Some(member) = members.find(|member| member.is_stuck_in(phase)) {
                member.shut();
                return;
            }
        }
    }

    fn shut_all(&mut self, who: impl Fn(Phase) -> bool) {
        for member in &mut self.members {
            if who(member.phase) {
                member.shut();
            }
        }
    }
}

impl Member {
    /// Whether it is in this phase and waits for its client. Where the client has done its part, it
    /// waits for its own thread alone, which may have been started a moment ago.
    fn is_stuck_in(&self, phase: Phase) -> bool {
        if self.phase != phase {
            return false;
        }
        let done = match phase {
            Phase::Writing => PollFlags::OUT,
            _ => PollFlags::IN,
        };
        let mut wait = [PollFd::new(&*self.stream, done)];
        matches!(poll(&mut wait, Some(&Timespec::default())), Ok(0))
    }

    /// Makes its thread end: what it waits for fails or ends.
    fn shut(&mut self) {
        let how = match self.phase {
            // Its thread may hold a whole head already, and can still answer then.
            Phase::Head => Shutdown::Read,
            _ => Shutdown::Both,
        };
        self.phase = Phase::Shut;
        // It fails where the client has gone already.
        let _ = self.stream.shutdown(how);
    }
}

/// One connection's place in the crowd: free again when this is dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    id: u64,
    stream: Arc<TcpStream>,
}

impl Place {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Notes that the connection goes on to `phase`. One that has been shut ends by itself.
    pub(super) fn enter(&self, phase: Phase) {
        let mut state = self.crowd.lock();
        let mine = |member: &&mut Member| member.id == self.id;
        if let Some(member) = state.members.iter_mut().find(mine) {
            member.phase = phase;
        }
        self.crowd.changed.notify_all();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.crowd.lock();
        state.members.retain(|member| member.id != self.id);
        self.crowd.changed.notify_all();
    }
}
