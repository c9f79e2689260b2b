//! What `/health` and `/status` show; written by the worker only.
//!
//! Nothing here holds a user's name, a token, or the remote's own words: those can quote users.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Serialize, Serializer};

use crate::config::Config;
use crate::engine::{Engine, SourceView, Thing, ToggleState, ToggleView, Trouble};

/// The state of everything, for whoever asks.
pub struct Status {
    begun: Instant,
    rows: Mutex<Rows>,
}

/// The answer of `/status`.
#[derive(Clone, Debug, Serialize)]
struct Rows {
    version: &'static str,
    uptime_seconds: u64,
    status: Health,
    started: bool,
    sources: Vec<SourceRow>,
    target: TargetRow,
    toggles: Vec<ToggleRow>,
}

/// How everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Every toggle exists, and nothing fails.
    Ok,
    /// Not everything was discovered, registered and created yet.
    Starting,
    /// Something fails.
    Failing,
}

/// The answer of `/health`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How everything is.
    pub status: Health,
    /// What fails, and how.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct SourceRow {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    state: &'static str,
    last_success: Option<Time>,
    last_error: Option<String>,
    next_retry: Option<Time>,
}

#[derive(Clone, Debug, Serialize)]
struct TargetRow {
    #[serde(rename = "type")]
    kind: &'static str,
    state: &'static str,
    paused_until: Option<Time>,
}

#[derive(Clone, Debug, Serialize)]
struct ToggleRow {
    key: String,
    source: String,
    state: &'static str,
    users: Option<usize>,
    last_success: Option<Time>,
    last_error: Option<String>,
    next_retry: Option<Time>,
}

/// A time of the day, as RFC 3339 has it, in UTC.
#[derive(Clone, Copy, Debug)]
struct Time(SystemTime);

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
        let sources = config.sources.iter().map(|source| SourceRow {
            id: source.id.clone(),
            kind: source.kind.type_name(),
            state: "connecting",
            last_success: None,
            last_error: None,
            next_retry: None,
        });
        let toggles = config.toggles.iter().map(|toggle| ToggleRow {
            key: toggle.key.clone(),
            source: config.sources[toggle.users_policy.source].id.clone(),
            state: "waiting",
            users: None,
            last_success: None,
            last_error: None,
            next_retry: None,
        });
        let rows = Rows {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: 0,
            status: Health::Starting,
            started: false,
            sources: sources.collect(),
            target: TargetRow {
                kind: config.target.type_name(),
                state: "ok",
                paused_until: None,
            },
            toggles: toggles.collect(),
        };
        Status {
            begun: now,
            rows: Mutex::new(rows),
        }
    }

    /// Takes over what has changed in the engine. For the worker only.
    pub fn publish(&self, engine: &mut Engine, now: Clocks) {
        let mut rows = self.rows();
        for thing in engine.take_touched() {
            match thing {
                Thing::Source(id) => rows.sources[id].show(&engine.source(id), now),
                Thing::Toggle(id) => rows.toggles[id].show(&engine.toggle(id), now),
                Thing::Target => {
                    let paused_until = engine.target().paused_until;
                    rows.target.state = if paused_until.is_some() {
                        "paused"
                    } else {
                        "ok"
                    };
                    rows.target.paused_until = now.time(paused_until);
                }
            }
        }
        rows.started = engine.is_started();
    }

    /// The answer of `/status`, as JSON.
    pub fn to_json(&self, now: Instant) -> String {
        let mut rows = self.rows().clone();
        rows.uptime_seconds = (now - self.begun).as_secs();
        rows.status = rows.health();
        serde_json::to_string(&rows).unwrap_or_default()
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

impl Rows {
    fn health(&self) -> Health {
        match self.reasons().next() {
            Some(_) => Health::Failing,
            None if !self.started => Health::Starting,
            None => Health::Ok,
        }
    }

    fn reasons(&self) -> impl Iterator<Item = String> {
        let sources = self
            .sources
            .iter()
            .map(|row| ("source", &row.id, &row.last_error));
        let toggles = self
            .toggles
            .iter()
            .map(|row| ("toggle", &row.key, &row.last_error));
        sources.chain(toggles).filter_map(|(word, name, error)| {
            let error = error.as_ref()?;
            Some(format!("{word} {name}: {error}"))
        })
    }
}

impl SourceRow {
    fn show(&mut self, source: &SourceView, now: Clocks) {
        self.state = match source {
            _ if !source.troubles.is_empty() => "failing",
            _ if source.held => "not ready",
            _ if source.connected => "connected",
            _ => "connecting",
        };
        self.last_success = now.time(source.last_success);
        self.last_error = reasons(&source.troubles);
        self.next_retry = now.time(source.next_retry);
    }
}

impl ToggleRow {
    fn show(&mut self, toggle: &ToggleView, now: Clocks) {
        self.state = match toggle.state {
            ToggleState::InSync => "in sync",
            ToggleState::Waiting => "waiting",
            ToggleState::Syncing => "syncing",
            ToggleState::Failing => "failing",
            ToggleState::Held => "held",
        };
        self.users = toggle.users;
        self.last_success = now.time(toggle.last_success);
        self.last_error = reasons(&toggle.troubles);
        self.next_retry = now.time(toggle.next_retry);
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

    fn time(&self, at: Option<Instant>) -> Option<Time> {
        let at = at?;
        let ago = self.at.saturating_duration_since(at);
        let ahead = at.saturating_duration_since(self.at);
        let wall = self.wall.checked_sub(ago)?.checked_add(ahead)?;
        (wall >= SystemTime::UNIX_EPOCH + Duration::from_secs(1)).then_some(Time(wall))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(self.0))
    }
}

fn reasons(troubles: &[Trouble]) -> Option<String> {
    let describe = |trouble: &Trouble| format!("{}: {}", trouble.what, trouble.failure.reason());
    let all: Vec<String> = troubles.iter().map(describe).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests;
