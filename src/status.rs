//! What `/health` and `/status` show; written by the worker only.
//!
//! Nothing here holds a user's name, a token, or the remote's own words: those can quote users.

mod line;
mod rows;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use serde::Serialize;

use crate::config::Config;
use crate::engine::{Engine, State};
pub use rows::{Rows, SourceRow, TargetRow, Time, ToggleRow};

/// The state of everything, for whoever asks.
pub struct Status {
    begun: Instant,
    rows: Mutex<Rows>,
}

/// The answer of `/health`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How everything is.
    pub status: State,
    /// What fails, and how.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// The two clocks, read together: the engine's, and that of the world.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The engine's.
    pub at: Instant,
    /// The world's.
    pub wall: SystemTime,
}

impl Status {
    /// The state before anything has happened.
    pub fn new(config: &Config, now: Instant) -> Status {
        Status {
            begun: now,
            rows: Mutex::new(Rows::of(config)),
        }
    }

    /// Takes over what has changed in the engine. For the worker only.
    pub fn publish(&self, engine: &mut Engine, now: Clocks) {
        self.rows().take_over(engine, now);
    }

    /// Goes on with another configuration, and its engine. For the worker only.
    pub fn show(&self, config: &Config, engine: &mut Engine, now: Clocks) {
        let mut rows = Rows::of(config);
        rows.take_over(engine, now);
        *self.rows() = rows;
    }

    /// All there is to tell.
    pub fn at(&self, now: Instant) -> Rows {
        let mut rows = self.rows().clone();
        rows.uptime_seconds = (now - self.begun).as_secs();
        rows.status = rows.health();
        rows
    }

    /// How everything is, and what fails.
    pub fn report(&self) -> Report {
        let rows = self.rows();
        Report {
            status: rows.health(),
            reasons: rows.reasons().collect(),
        }
    }

    /// Whether every source was discovered and registered with, and every toggle created, once.
    pub fn is_started(&self) -> bool {
        self.rows().started
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clocks {
    /// Reads both clocks.
    pub fn read() -> Clocks {
        Clocks {
            at: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}
