//! One thing that is tried until it succeeds.

use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::schedule::Backoff;

/// The moment at which an event is handled: time and randomness come in from outside.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time.
    pub at: Instant,
    /// A random number from 0 to 1, for the waits.
    pub chance: f64,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to do.
    #[default]
    Idle,
    /// To be handed out as soon as there is a place.
    Queued,
    /// In flight.
    Running,
    /// To be tried again when its timer rings.
    Waiting {
        /// The remote asked for the wait: nothing may shorten it.
        asked: bool,
    },
    /// Failed for good: `sync --once` does not try again.
    GivenUp,
}

/// A failure that goes on.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What fails, such as `update`.
    pub what: &'static str,
    /// How it failed the last time.
    pub failure: Failure,
    /// How often it failed in a row.
    pub count: u32,
}

/// A query, registration, update or the like: its state, and its failures in a row.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) state: State,
    pub(super) trouble: Option<Trouble>,
    backoff: Backoff,
}

impl Task {
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.state == State::GivenUp
    }

    /// Whether it waits for its retry, and the remote did not ask for the wait.
    pub(super) fn may_be_hurried(&self) -> bool {
        self.state == State::Waiting { asked: false }
    }

    /// Ends the trouble, and tells what it was.
    pub(super) fn succeed(&mut self) -> Option<Trouble> {
        self.state = State::Idle;
        self.backoff.reset();
        self.trouble.take()
    }

    /// Counts a failure, and tells how long to wait before the next try: none where there will be
    /// none, because it would come after `until` or because the failure will not pass by itself.
    pub(super) fn fail(
        &mut self,
        what: &'static str,
        failure: Failure,
        now: Moment,
        until: Option<Instant>,
    ) -> Option<Duration> {
        let wait = self.backoff.fail(failure.pause, now.chance);
        let hopeless = until.is_some_and(|until| failure.is_lasting() || now.at + wait > until);
        self.state = match hopeless {
            true => State::GivenUp,
            false => State::Waiting {
                asked: failure.pause.is_some(),
            },
        };
        let news = !matches!(&self.trouble, Some(known) if known.failure.kind == failure.kind);
        let count = match &self.trouble {
            Some(known) if !news => known.count + 1,
            _ => 1,
        };
        self.trouble = Some(Trouble {
            what,
            failure,
            count,
        });
        (!hopeless).then_some(wait)
    }
}
