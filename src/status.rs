//! What `/health` and `/status` show; only the worker writes it.
//!
//! Nothing here holds a user's name, a token, or the remote's own words, which can quote users.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Serialize, Serializer};

use crate::audit;
use crate::config::Config;
use crate::engine::{Engine, EnvironmentView, State, Subject, TargetView, Trouble, View};

/// Past `http_timeout`, what should have happened has not (as a change that has not arrived).
const LATE: Duration = Duration::from_secs(5);

const REJECTED: &str = "; reload rejected, keeping the current configuration";

const UNAUDITED: &str = ", audit log failing";

pub(crate) struct Status {
    begun: Instant,
    rows: Mutex<Rows>,
    pub(crate) audit: Arc<audit::State>,
}

/// The answer of `/health`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) status: State,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reasons: Vec<String>,
}

/// The answer of `/status`, in the order of the configuration.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Rows {
    pub(crate) version: &'static str,
    pub(crate) uptime_seconds: u64,
    pub(crate) status: State,
    pub(crate) started: bool,
    pub(crate) last_reload_successful: bool,
    pub(crate) audit_log_error: Option<String>,
    pub(crate) sources: Vec<SourceRow>,
    pub(crate) targets: Vec<TargetRow>,
    pub(crate) toggles: Vec<ToggleRow>,
    /// When the worker turns next, at the latest.
    #[serde(skip)]
    next_turn: Option<Instant>,
    /// How late its turn may be.
    #[serde(skip)]
    patience: Duration,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SourceRow {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) state: State,
    pub(crate) last_success: Option<Time>,
    pub(crate) last_error: Option<String>,
    pub(crate) next_retry: Option<Time>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct TargetRow {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) state: State,
    pub(crate) paused_until: Option<Time>,
    pub(crate) resync_overdue: bool,
    pub(crate) last_error: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ToggleRow {
    pub(crate) key: String,
    pub(crate) target: String,
    /// None of one that is retired.
    pub(crate) source: Option<String>,
    pub(crate) state: State,
    pub(crate) users: Option<usize>,
    pub(crate) last_success: Option<Time>,
    pub(crate) last_error: Option<String>,
    pub(crate) next_retry: Option<Time>,
    /// Empty at a target without environments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) environments: Vec<EnvironmentView>,
    /// With its target, if there are several.
    #[serde(skip)]
    pub(crate) name: String,
}

/// Shown as RFC 3339, in UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) SystemTime);

/// The engine's clock and the wall clock, read together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) at: Instant,
    pub(crate) wall: SystemTime,
}

impl Status {
    pub(crate) fn new(config: &Config, now: Instant) -> Status {
        Status {
            begun: now,
            rows: Mutex::new(Rows::of(config)),
            audit: Arc::default(),
        }
    }

    /// Takes over what has changed in the engine.
    pub(crate) fn publish(&self, engine: &mut Engine, now: Clocks) {
        self.rows().take_over(engine, now);
    }

    /// Switches to another configuration and its engine, perhaps because of a reload.
    pub(crate) fn show(&self, config: &Config, engine: &mut Engine, now: Clocks) {
        let mut rows = Rows::of(config);
        rows.take_over(engine, now);
        let mut shown = self.rows();
        rows.next_turn = shown.next_turn;
        rows.last_reload_successful = shown.last_reload_successful;
        *shown = rows;
    }

    /// Whether the last reload was accepted.
    pub(crate) fn note_reload(&self, is_accepted: bool) {
        self.rows().last_reload_successful = is_accepted;
    }

    /// The worker is busy until it says when it turns next, or waits until then.
    pub(crate) fn set_next_turn(&self, at: Instant) {
        self.rows().next_turn = Some(at);
    }

    pub(crate) fn at(&self, now: Instant) -> Rows {
        let mut rows = self.rows_with_audit().clone();
        rows.uptime_seconds = (now - self.begun).as_secs();
        rows.status = rows.health(now);
        rows
    }

    pub(crate) fn report(&self, now: Instant) -> Report {
        let rows = self.rows_with_audit();
        Report {
            status: rows.health(now),
            reasons: rows.reasons(now).collect(),
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        self.rows().started
    }

    /// Everything in one line, such as `8 of 10 toggles in sync, 2 failing`.
    pub(crate) fn line(&self) -> String {
        let rows = self.rows_with_audit();
        let in_sync = rows.count(State::InSync);
        let all = rows.toggles.len() - rows.count(State::Retired);
        let noun = if all == 1 { "toggle" } else { "toggles" };
        let mut line = format!("{in_sync} of {all} {noun} in sync{}", rows.stuck());
        let failing = |row: &&SourceRow| row.state == State::Failing;
        for row in rows.sources.iter().filter(failing) {
            line += &format!(", source {} failing", row.id);
        }
        if rows.audit_log_error.is_some() {
            line += UNAUDITED;
        }
        if !rows.last_reload_successful {
            line += REJECTED;
        }
        line
    }

    fn rows_with_audit(&self) -> MutexGuard<'_, Rows> {
        let mut rows = self.rows();
        rows.audit_log_error = self.audit.trouble(rows.patience);
        rows
    }

    /// Locked for a moment only, never while a thread waits.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    /// Before anything has happened.
    fn of(config: &Config) -> Rows {
        let sources = config.sources.iter().map(|source| SourceRow {
            id: source.id.clone(),
            kind: source.kind,
            state: State::Connecting,
            ..SourceRow::default()
        });
        let targets = config.targets.iter().map(|target| TargetRow {
            id: target.id.clone(),
            kind: target.kind.peer.name,
            ..TargetRow::default()
        });
        let toggles = config.toggles.iter().enumerate();
        let toggles = toggles.map(|(id, toggle)| ToggleRow {
            key: config.name_at_target(id).to_owned(),
            target: config.targets[toggle.target].id.clone(),
            source: config.source_of(toggle).map(|source| source.id.clone()),
            state: State::Waiting,
            name: config.name_of(id).to_owned(),
            ..ToggleRow::default()
        });
        Rows {
            version: env!("CARGO_PKG_VERSION"),
            sources: sources.collect(),
            targets: targets.collect(),
            toggles: toggles.collect(),
            status: State::Starting,
            last_reload_successful: true,
            patience: config.http_timeout + LATE,
            ..Rows::default()
        }
    }

    fn take_over(&mut self, engine: &mut Engine, now: Clocks) {
        for subject in engine.take_touched() {
            match subject {
                Subject::Source(id) => self.sources[id].show(&engine.source(id), now),
                Subject::Toggle(id) => self.toggles[id].show(&engine.toggle(id), now),
                Subject::Target(id) => self.targets[id].show(&engine.target(id), now),
                // The engine touches their toggles.
                Subject::Rule(_) | Subject::Environment(..) => {}
            }
        }
        self.started = engine.is_started();
    }

    fn health(&self, now: Instant) -> State {
        match self.reasons(now).next() {
            Some(_) => State::Failing,
            None if !self.started => State::Starting,
            None => State::Ok,
        }
    }

    fn reasons(&self, now: Instant) -> impl Iterator<Item = String> {
        let late = self
            .next_turn
            .map(|turn| now.saturating_duration_since(turn));
        let late = late.filter(|late| *late > self.patience).map(|late| {
            let late = late.as_secs();
            format!("the worker is stuck: its turn is {late}s late")
        });
        let sources = self.sources.iter();
        let sources = sources.map(|row| ("source ", &*row.id, &row.last_error));
        let targets = self.targets.iter();
        let targets = targets.map(|row| ("target ", &*row.id, &row.last_error));
        let toggles = self.toggles.iter();
        let toggles = toggles.map(|row| ("toggle ", &*row.name, &row.last_error));
        let all = sources.chain(targets).chain(toggles);
        let all =
            all.filter_map(|(what, id, error)| Some(format!("{what}{id}: {}", error.as_ref()?)));
        let audit = self.audit_log_error.clone();
        late.into_iter().chain(audit).chain(all)
    }

    pub(crate) fn count(&self, state: State) -> usize {
        self.toggles.iter().filter(|row| row.state == state).count()
    }

    /// Such as `, 2 failing, 1 held`; empty where none is.
    pub(crate) fn stuck(&self) -> String {
        let stuck = [State::Failing, State::Held].map(|state| match self.count(state) {
            0 => String::new(),
            count => format!(", {count} {state}"),
        });
        stuck.concat()
    }
}

impl SourceRow {
    fn show(&mut self, source: &View, now: Clocks) {
        self.state = source.state;
        self.last_success = now.time(source.last_success);
        self.last_error = joined(source.troubles.iter().map(Trouble::reason));
        self.next_retry = now.time(source.next_retry);
    }
}

impl ToggleRow {
    fn show(&mut self, toggle: &View, now: Clocks) {
        self.state = toggle.state;
        self.users = toggle.users;
        self.last_success = now.time(toggle.last_success);
        let failing = toggle.environments.iter().filter_map(|it| {
            let error = it.last_error.clone()?;
            Some(match &*it.name {
                "" => error,
                name => format!("environment {name}: {error}"),
            })
        });
        self.last_error = joined(toggle.troubles.iter().map(Trouble::reason).chain(failing));
        self.next_retry = now.time(toggle.next_retry);
        self.environments.clone_from(&toggle.environments);
        self.environments.retain(|it| !it.name.is_empty());
    }
}

impl TargetRow {
    fn show(&mut self, target: &TargetView, now: Clocks) {
        let held_up = target.held_up.as_ref();
        let overdue = "the resync takes longer than resync_interval";
        let errors = [
            held_up.map(|failure| format!("paused: {}", failure.reason())),
            target.is_overdue.then(|| overdue.to_owned()),
            target.trouble.as_ref().map(Trouble::reason),
        ];
        self.state = target.state;
        self.paused_until = now.time(target.paused_until);
        self.resync_overdue = target.is_overdue;
        self.last_error = joined(errors.into_iter().flatten());
    }
}

fn joined(errors: impl Iterator<Item = String>) -> Option<String> {
    errors.reduce(|all, next| format!("{all}; {next}"))
}

impl Clocks {
    pub(crate) fn read() -> Clocks {
        Clocks {
            at: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    pub(crate) fn time(&self, at: Option<Instant>) -> Option<Time> {
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

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
