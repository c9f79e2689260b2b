//! A row for each source and toggle, and one for the target.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use serde::{Serialize, Serializer};

use super::Clocks;
use crate::config::Config;
use crate::engine::{Engine, SourceView, State, Subject, TargetView, ToggleView, Trouble};

/// The answer of `/status`.
#[derive(Clone, Debug, Serialize)]
pub struct Rows {
    /// Of this program.
    pub version: &'static str,
    /// Since the process was started.
    pub uptime_seconds: u64,
    /// How everything is.
    pub status: State,
    /// Whether everything was connected and created, once.
    pub started: bool,
    /// In the order of the configuration.
    pub sources: Vec<SourceRow>,
    /// Where the toggles are.
    pub target: TargetRow,
    /// In the order of the configuration.
    pub toggles: Vec<ToggleRow>,
}

/// A source.
#[derive(Clone, Debug, Serialize)]
pub struct SourceRow {
    /// Its id.
    pub id: String,
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How it is.
    pub state: State,
    /// When all was well the last time.
    pub last_success: Option<Time>,
    /// What fails, as long as it does.
    pub last_error: Option<String>,
    /// When what fails is tried again.
    pub next_retry: Option<Time>,
}

/// The target.
#[derive(Clone, Debug, Serialize)]
pub struct TargetRow {
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How it is.
    pub state: State,
    /// Until when it wants to be left alone.
    pub paused_until: Option<Time>,
    /// Whether a resync takes longer than the time from one to the next.
    pub resync_overdue: bool,
    /// What is in the way, as long as it is.
    pub last_error: Option<String>,
}

/// A toggle.
#[derive(Clone, Debug, Serialize)]
pub struct ToggleRow {
    /// Its key.
    pub key: String,
    /// The id of its source.
    pub source: String,
    /// How it is.
    pub state: State,
    /// How many users the last good answer had.
    pub users: Option<usize>,
    /// When all was well the last time.
    pub last_success: Option<Time>,
    /// What fails, as long as it does.
    pub last_error: Option<String>,
    /// When what fails is tried again.
    pub next_retry: Option<Time>,
}

/// A time of the day, as RFC 3339 has it, in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub SystemTime);

impl Rows {
    /// What there is to tell before anything has happened.
    pub(super) fn of(config: &Config) -> Rows {
        let sources = config.sources.iter().map(|source| SourceRow {
            id: source.id.clone(),
            kind: source.kind.name,
            state: State::Connecting,
            last_success: None,
            last_error: None,
            next_retry: None,
        });
        let toggles = config.toggles.iter().map(|toggle| ToggleRow {
            key: toggle.key.clone(),
            source: config.sources[toggle.users_policy.source].id.clone(),
            state: State::Waiting,
            users: None,
            last_success: None,
            last_error: None,
            next_retry: None,
        });
        Rows {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: 0,
            status: State::Starting,
            started: false,
            sources: sources.collect(),
            target: TargetRow {
                kind: config.target.kind.name,
                state: State::Ok,
                paused_until: None,
                resync_overdue: false,
                last_error: None,
            },
            toggles: toggles.collect(),
        }
    }

    pub(super) fn take_over(&mut self, engine: &mut Engine, now: Clocks) {
        for subject in engine.take_touched() {
            match subject {
                Subject::Source(id) => self.sources[id].show(&engine.source(id), now),
                Subject::Toggle(id) => self.toggles[id].show(&engine.toggle(id), now),
                Subject::Target => self.target.show(&engine.target(), now),
            }
        }
        self.started = engine.is_started();
    }

    pub(super) fn health(&self) -> State {
        match self.reasons().next() {
            Some(_) => State::Failing,
            None if !self.started => State::Starting,
            None => State::Ok,
        }
    }

    pub(super) fn reasons(&self) -> impl Iterator<Item = String> {
        let reason = |what: &str, error: &Option<String>| {
            let error = error.as_ref()?;
            Some(format!("{what}: {error}"))
        };
        let sources = self
            .sources
            .iter()
            .filter_map(move |row| reason(&format!("source {}", row.id), &row.last_error));
        let target = reason("target", &self.target.last_error);
        let toggles = self
            .toggles
            .iter()
            .filter_map(move |row| reason(&format!("toggle {}", row.key), &row.last_error));
        sources.chain(target).chain(toggles)
    }
}

impl SourceRow {
    fn show(&mut self, source: &SourceView, now: Clocks) {
        self.state = source.state;
        self.last_success = now.time(source.last_success);
        self.last_error = reasons(&source.troubles);
        self.next_retry = now.time(source.next_retry);
    }
}

impl TargetRow {
    fn show(&mut self, target: &TargetView, now: Clocks) {
        self.state = target.state;
        self.paused_until = now.time(target.paused_until);
        self.resync_overdue = target.is_overdue;
        let held_up = target.held_up.as_ref();
        let errors = [
            held_up.map(|failure| format!("paused: {}", failure.reason())),
            self.resync_overdue
                .then(|| "the resync takes longer than resync_interval".to_owned()),
        ];
        let errors: Vec<String> = errors.into_iter().flatten().collect();
        self.last_error = (!errors.is_empty()).then(|| errors.join("; "));
    }
}

impl ToggleRow {
    fn show(&mut self, toggle: &ToggleView, now: Clocks) {
        self.state = toggle.state;
        self.users = toggle.users;
        self.last_success = now.time(toggle.last_success);
        self.last_error = reasons(&toggle.troubles);
        self.next_retry = now.time(toggle.next_retry);
    }
}

impl Clocks {
    fn time(&self, at: Option<Instant>) -> Option<Time> {
        let at = at?;
        let ago = self.at.saturating_duration_since(at);
        let ahead = at.saturating_duration_since(self.at);
        let wall = self.wall.checked_sub(ago)?.checked_add(ahead)?;
        (wall >= SystemTime::UNIX_EPOCH + Duration::from_secs(1)).then_some(Time(wall))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.0).fmt(f)
    }
}

impl State {
    /// As `/status` and the log have it.
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Starting => "starting",
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::NotReady => "not ready",
            State::Paused => "paused",
            State::Waiting => "waiting",
            State::Syncing => "syncing",
            State::InSync => "in sync",
            State::Held => "held",
            State::Failing => "failing",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn reasons(troubles: &[Trouble]) -> Option<String> {
    let describe =
        |trouble: &Trouble| format!("{}: {}", trouble.operation.word(), trouble.failure.reason());
    let all: Vec<String> = troubles.iter().map(describe).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests;
