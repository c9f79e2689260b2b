//! A source: connecting to it, and its passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{self, SourceKind};
use crate::error::Failure;
use crate::job::{Job, Origin, SourceId};
use crate::schedule::Backoff;

use super::hearing::Hearing;
use super::pass::Passes;
use super::task::{State, Task};
use super::{Cause, Engine, Key, Mode, Moment, Notice, Thing, Timer};

/// How often the registration is looked at.
const WATCH: Duration = Duration::from_secs(30);

/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Source {
    /// Where OPA is, or what the file held when it was last looked at.
    pub(super) origin: Option<Arc<Origin>>,
    pub(super) discover: Task,
    pub(super) register: Task,
    pub(super) watch: Task,
    pub(super) passes: Passes,
    /// Discovery and registration have not both been tried yet: passes wait for them, so that no
    /// change falls between a query and the registration.
    pub(super) connecting: bool,
    pub(super) discovers: bool,
    pub(super) is_file: bool,
    /// Since when a look at the file has been out.
    pub(super) looking_since: Option<Instant>,
    pub(super) registers: bool,
    pub(super) has_registered: bool,
    pub(super) hearing: Hearing,
    pub(super) interval: Option<Duration>,
    /// Asked to find OPA again when it does not answer; not more often than a retry.
    pub(super) suspicion: Backoff,
    pub(super) suspect_after: Option<Instant>,
}

impl Source {
    pub(super) fn new(source: &config::Source, mode: Mode, places: usize) -> Source {
        let origin = Origin::configured(&source.kind).map(Arc::new);
        let (opal, interval) = match &source.kind {
            SourceKind::Opal(opal) => (Some(opal), None),
            SourceKind::Opa(opa) => (None, Some(opa.poll_interval)),
            SourceKind::File(_) => (None, Some(LOOK)),
        };
        Source {
            discovers: origin.is_none(),
            is_file: matches!(source.kind, SourceKind::File(_)),
            registers: opal.is_some() && mode == Mode::Serve,
            passes: Passes::new(opal.is_some_and(|opal| opal.wait_until_ready), places),
            interval: match mode {
                Mode::Serve => interval,
                Mode::Sync { interval } => Some(interval),
                Mode::Once { .. } => None,
            },
            origin,
            discover: Task::default(),
            register: Task::default(),
            watch: Task::default(),
            connecting: false,
            looking_since: None,
            has_registered: false,
            hearing: Hearing::default(),
            suspicion: Backoff::default(),
            suspect_after: None,
        }
    }

    /// Takes over what is known of the same source.
    pub(super) fn inherit(&mut self, old: &Source) {
        // A document was read for the rules of the old configuration alone.
        if !self.is_file {
            self.origin = old.origin.clone();
        }
        self.connecting = old.connecting;
        self.has_registered = old.has_registered;
        self.hearing = old.hearing;
        self.discover = old.discover.inherit();
        self.register = old.register.inherit();
        self.watch = old.watch.inherit();
        self.passes.inherit(&old.passes);
    }

    /// Whether it was inherited, connected: then there is nothing to do but a pass.
    pub(super) fn resumes(&self) -> bool {
        self.has_registered && self.is_connected() && !self.connecting
    }

    /// Whether it was discovered and registered with, once.
    pub(super) fn is_connected(&self) -> bool {
        self.origin.is_some() && (self.has_registered || !self.registers)
    }

    /// Whether its users can be asked for only after something that failed is tried again.
    pub(super) fn is_waiting(&self) -> bool {
        (self.origin.is_none() && self.discover.is_waiting()) || self.passes.ready.is_waiting()
    }

    /// Whether its users cannot be asked for any more, in a single pass.
    pub(super) fn has_given_up(&self) -> bool {
        (self.origin.is_none() && self.discover.has_given_up()) || self.passes.ready.has_given_up()
    }
}

impl Engine {
    /// Discovers, then registers, then runs a pass.
    pub(super) fn connect(&mut self, id: SourceId, now: Moment) {
        self.sources[id].connecting = true;
        self.sources[id]
            .passes
            .waiting
            .get_or_insert(Cause::Connected);
        match self.sources[id].discovers {
            true => self.begin(Key::Discover(id)),
            false => self.after_discovery(id, now),
        }
    }

    fn after_discovery(&mut self, id: SourceId, now: Moment) {
        match self.sources[id].registers {
            true => self.begin(Key::Register(id)),
            false => self.after_connecting(id, now),
        }
    }

    fn after_connecting(&mut self, id: SourceId, now: Moment) {
        self.sources[id].connecting = false;
        self.try_pass(id, now);
    }

    /// Starts a task that needs no place, unless it is running, or the program is to end.
    pub(super) fn begin(&mut self, key: Key) {
        if self.stopping {
            return;
        }
        let job = match key {
            Key::Discover(source) => Job::Discover(source),
            Key::Register(source) => Job::Register(source),
            Key::Watch(source) => Job::Watch(source),
            Key::Ready(_) | Key::Query(_) | Key::Apply(_) => return,
        };
        self.timers.cancel(Timer::Task(key));
        let task = self.task(key);
        if !task.is_running() {
            task.state = State::Running;
            self.urgent.push_back(job);
        }
    }

    pub(super) fn discovered(
        &mut self,
        id: SourceId,
        result: Result<Origin, Failure>,
        now: Moment,
    ) {
        let key = Key::Discover(id);
        let is_file = self.sources[id].is_file;
        let moved = match result {
            Ok(origin) => {
                self.succeeded(key);
                if let Origin::Opa(opa) = &origin
                    && let Some(wait) = opa.renew_in()
                {
                    self.timers.set(Timer::Task(key), now.at + wait);
                }
                self.found(id, origin)
            }
            Err(failure) if is_file => {
                // What it held is out of date: the users are not known.
                self.sources[id].origin = None;
                self.outdate_answers(id);
                self.forget_users(id);
                self.failed(key, "reading", failure, now);
                false
            }
            Err(failure) => {
                self.failed(key, "discovery", failure, now);
                false
            }
        };
        if self.sources[id].connecting {
            self.after_discovery(id, now);
        } else if moved {
            let cause = if is_file {
                Cause::Changed
            } else {
                Cause::Moved
            };
            self.ask_for_pass(id, cause, now);
        }
    }

    pub(super) fn forget_users(&mut self, id: SourceId) {
        for toggle in self.toggles_of(id) {
            self.toggles[toggle].wanted = None;
            self.touched.insert(Thing::Toggle(toggle));
        }
    }

    /// Whether OPA is elsewhere than it was, or a file holds something else.
    fn found(&mut self, id: SourceId, origin: Origin) -> bool {
        let source = &mut self.sources[id];
        if source.origin.as_deref() == Some(&origin) {
            return false;
        }
        let opa = match &origin {
            Origin::Opa(opa) => Some(opa.url.to_string()),
            Origin::File(_) => None,
        };
        source.origin = Some(Arc::new(origin));
        self.outdate_answers(id);
        if let Some(opa) = opa {
            let name = self.source_name(id);
            self.notices.push(Notice::Discovered { name, opa });
        }
        true
    }

    pub(super) fn registered(&mut self, id: SourceId, result: Result<(), Failure>, now: Moment) {
        let key = Key::Register(id);
        match result {
            Ok(()) => {
                self.succeeded(key);
                self.sources[id].has_registered = true;
                self.timers.set(Timer::Task(Key::Watch(id)), now.at + WATCH);
                let name = self.source_name(id);
                self.notices.push(Notice::Registered { name });
                // A change may have fallen between an earlier pass and now.
                self.sources[id]
                    .passes
                    .waiting
                    .get_or_insert(Cause::Connected);
            }
            Err(failure) => self.failed(key, "registration", failure, now),
        }
        if self.stopping {
            self.leave(id);
        } else {
            self.after_connecting(id, now);
        }
    }

    pub(super) fn watched(&mut self, id: SourceId, result: Result<bool, Failure>, now: Moment) {
        let key = Key::Watch(id);
        match result {
            Ok(ours) => {
                let failed = self.sources[id].watch.trouble.is_some();
                self.succeeded(key);
                if ours {
                    self.timers.set(Timer::Task(key), now.at + WATCH);
                    self.tell_if_deaf(id);
                    // Whom we could not reach may not have reached us: a callback can be lost.
                    if failed {
                        self.ask_for_pass(id, Cause::Connected, now);
                    }
                } else if !self.stopping {
                    let name = self.source_name(id);
                    self.notices.push(Notice::Lost { name });
                    self.connect(id, now);
                }
            }
            Err(failure) => self.failed(key, "watch", failure, now),
        }
    }

    pub(super) fn source_name(&self, id: SourceId) -> String {
        format!("source {}", self.config.sources[id].id)
    }
}
