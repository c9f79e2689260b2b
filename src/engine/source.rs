//! A source: connecting to it, and its passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::job::{Job, Operation, Origin, RuleId, SourceId, SourceTerms, Writes};
use crate::schedule::Backoff;

use super::pass::Passes;
use super::task::{Slots, State, Task};
use super::{Cause, Engine, Key, Mode, Moment, News, Subject, Timer};

/// Time between checks of a registration.
const WATCH: Duration = Duration::from_secs(30);

/// Time between requests for OPA's count of writes.
const COUNT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Source {
    pub(super) terms: SourceTerms,
    pub(super) rules: Vec<RuleId>,
    /// Where OPA is, or what the file contained when it was last read.
    pub(super) origin: Option<Arc<Origin>>,
    pub(super) discover: Task,
    pub(super) register: Task,
    pub(super) watch: Task,
    /// OPA's count of writes shows changes whose callback was lost.
    pub(super) count: Task,
    pub(super) counted: Option<Writes>,
    pub(super) load: Task,
    pub(super) load_asked: Option<Instant>,
    /// How often OPAL may be asked again at once when it reports a load.
    pub(super) loads_left: u8,
    pub(super) passes: Passes,
    /// Discovery and registration have not both been tried yet: passes wait for them, so that no
    /// change is lost between a query and the registration.
    pub(super) connecting: bool,
    /// When the file was last read, and when the read in flight began, in turns.
    pub(super) asked: u64,
    pub(super) asking: u64,
    pub(super) registers: bool,
    pub(super) is_leaving: bool,
    pub(super) has_registered: bool,
    pub(super) callback_health: CallbackHealth,
    pub(super) interval: Option<Duration>,
    /// Limits rediscoveries to the pace of retries.
    pub(super) rediscovery: Backoff,
}

impl Source {
    pub(super) fn new(terms: SourceTerms, mode: Mode, slots: usize, rules: Vec<RuleId>) -> Source {
        Source {
            origin: terms.origin.clone().map(Arc::new),
            registers: terms.registration.is_some() && mode == Mode::Serve,
            passes: Passes {
                asks_if_ready: terms.waits_until_ready,
                slots: Slots::new(slots, false),
                ..Passes::default()
            },
            interval: match mode {
                Mode::Serve => terms.poll_interval,
                Mode::Sync { interval } => Some(interval),
                Mode::Once { .. } => None,
            },
            terms,
            rules,
            ..Source::default()
        }
    }

    pub(super) fn inherit(&mut self, old: &Source) {
        // A document only has the rules of the old configuration.
        if !self.terms.is_read {
            self.origin = old.origin.clone();
        }
        self.connecting = old.connecting;
        let old_pass = old.passes.running.as_ref().map(|pass| pass.cause);
        let cause = old_pass.or(old.passes.waiting);
        self.passes.waiting = Some(cause.unwrap_or(Cause::Reload));
        self.has_registered = old.has_registered;
        self.callback_health = old.callback_health;
        for (task, old) in [
            (&mut self.discover, &old.discover),
            (&mut self.register, &old.register),
            (&mut self.watch, &old.watch),
            (&mut self.count, &old.count),
            (&mut self.load, &old.load),
        ] {
            *task = old.inherit();
        }
        self.load_asked = old.load_asked;
        self.loads_left = old.loads_left;
        self.counted = old.counted;
    }

    /// Whether discovery and registration have succeeded once.
    pub(super) fn is_connected(&self) -> bool {
        self.origin.is_some() && (self.has_registered || !self.registers)
    }

    /// A pass without a callback has found a change.
    pub(super) fn missed_callback(&mut self) {
        if self.has_registered && self.callback_health == CallbackHealth::Unknown {
            self.callback_health = CallbackHealth::Missed;
        }
    }

    /// Whether its rules can be queried only after a retry.
    pub(super) fn is_waiting(&self) -> bool {
        (self.origin.is_none() && self.discover.is_waiting()) || self.passes.ready.is_waiting()
    }

    /// Whether its rules can no longer be queried, in a single pass.
    pub(super) fn has_given_up(&self) -> bool {
        (self.origin.is_none() && self.discover.has_given_up()) || self.passes.ready.has_given_up()
    }
}

impl Engine {
    /// Discovers, then registers, then runs a pass.
    pub(super) fn connect(&mut self, id: SourceId, now: Moment) {
        let source = &mut self.sources[id];
        source.connecting = true;
        source.passes.waiting.get_or_insert(Cause::Connected);
        match source.terms.origin {
            None => self.begin(Key::Discover(id)),
            Some(_) => self.after_discovery(id, now),
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

    /// Starts a task that needs no slot, unless it is running or the program is stopping.
    pub(super) fn begin(&mut self, key: Key) {
        if self.stopping {
            return;
        }
        let job = match key {
            Key::Discover(source) => Job::Discover(source),
            Key::Register(source) => Job::Register(source),
            Key::Watch(source) => Job::Watch(source),
            Key::Load(source) => Job::Load(source),
            Key::Count(source) => match &self.sources[source].origin {
                Some(origin) => Job::Count(source, Arc::clone(origin)),
                None => return,
            },
            Key::Ready(_) | Key::Query(_) | Key::Find(_) | Key::Apply(..) => return,
        };
        // A wait that the remote asked for is kept.
        let is_early = self.timers.get(Timer::Task(key)).is_some();
        let task = self.task(key);
        if is_early && task.state == (State::Waiting { asked: true }) {
            return;
        }
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
        let is_read = self.sources[id].terms.is_read;
        let moved = match result {
            Ok(origin) => {
                self.succeeded(key);
                self.sources[id].asked = self.sources[id].asking;
                if let Origin::Opa(opa) = &origin
                    && let Some(wait) = opa.renew_in()
                {
                    self.timers.set(Timer::Task(key), now.at + wait);
                }
                self.found(id, origin)
            }
            Err(failure) if is_read => {
                self.forget_origin(id, now);
                self.failed(key, Operation::ReadFile, failure, now);
                false
            }
            Err(failure) => {
                self.failed(key, Operation::Discover, failure, now);
                false
            }
        };
        if self.sources[id].connecting {
            self.after_discovery(id, now);
        } else if moved {
            let cause = match is_read {
                true => Cause::Changed,
                false => Cause::Moved,
            };
            self.ask_for_pass(id, cause, now);
        } else if is_read {
            self.ask_stale(id);
        }
    }

    /// The contents of a file are out of date: the users are unknown.
    fn forget_origin(&mut self, id: SourceId, now: Moment) {
        self.sources[id].origin = None;
        self.outdate_answers(id);
        for rule in self.sources[id].rules.clone() {
            self.rules[rule].desired = None;
            self.touch(Subject::Rule(rule));
        }
        for toggle in self.toggles_of(id) {
            // What is queued is not sent.
            self.decide_again(toggle, now);
        }
    }

    /// Whether OPA has moved, or a file has changed.
    fn found(&mut self, id: SourceId, origin: Origin) -> bool {
        let source = &mut self.sources[id];
        if source.origin.as_deref() == Some(&origin) {
            return false;
        }
        let origin = Arc::new(origin);
        source.origin = Some(Arc::clone(&origin));
        source.counted = None;
        self.outdate_answers(id);
        if self.sources[id].registers {
            self.begin(Key::Count(id));
        }
        if let Origin::Opa(opa) = &*origin {
            let opa = opa.url.to_string();
            self.notify(Subject::Source(id), News::Discovered { opa });
        }
        true
    }

    pub(super) fn registered(&mut self, id: SourceId, result: Result<(), Failure>, now: Moment) {
        let key = Key::Register(id);
        match result {
            Ok(()) => {
                self.succeeded(key);
                let source = &mut self.sources[id];
                source.has_registered = true;
                // A change may have come between an earlier pass and now.
                source.passes.waiting.get_or_insert(Cause::Connected);
                self.timers.set(Timer::Task(Key::Watch(id)), now.at + WATCH);
                self.begin(Key::Count(id));
                self.notify(Subject::Source(id), News::Registered);
            }
            Err(failure) => self.failed(key, Operation::Register, failure, now),
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
                    self.warn_if_never_called(id);
                    // An OPAL that was unreachable may have lost a callback.
                    if failed {
                        self.ask_for_pass(id, Cause::Connected, now);
                    }
                } else if !self.stopping {
                    self.notify(Subject::Source(id), News::Lost);
                    self.connect(id, now);
                }
            }
            Err(failure) => self.failed(key, Operation::Watch, failure, now),
        }
    }

    /// If OPA's count of writes changes, the policy may have changed, whether or not OPAL calls back.
    pub(super) fn counted(
        &mut self,
        id: SourceId,
        result: Result<Option<Writes>, Failure>,
        now: Moment,
    ) {
        let key = Key::Count(id);
        match result {
            Ok(writes) => {
                self.succeeded(key);
                self.timers.set(Timer::Task(key), now.at + COUNT);
                let counted = &mut self.sources[id].counted;
                let before = writes.and_then(|writes| counted.replace(writes));
                if before.is_some() && before != writes {
                    self.heard_news(id, now.at);
                    self.ask_for_pass(id, Cause::Watch, now);
                }
            }
            Err(failure) => {
                self.rediscover(id, &failure, now);
                self.failed(key, Operation::Count, failure, now);
            }
        }
    }

    pub(super) fn check_registration(&mut self, id: SourceId) {
        if self.sources[id].registers && self.sources[id].has_registered {
            self.begin(Key::Watch(id));
        }
    }

    /// `poll_interval` or `--interval` has passed, or a file is due: in `serve`, an unchanged file causes no
    /// pass.
    pub(super) fn poll(&mut self, id: SourceId, now: Moment) {
        let source = &mut self.sources[id];
        if !source.terms.is_read {
            self.ask_for_pass(id, Cause::Poll, now);
        } else if self.mode == Mode::Serve {
            self.begin(Key::Discover(id));
        } else if !source.discover.is_running() {
            source.passes.waiting.get_or_insert(Cause::Poll);
            self.connect(id, now);
        }
        self.set_poll(id, now);
    }

    pub(super) fn set_poll(&mut self, id: SourceId, now: Moment) {
        if let Some(interval) = self.sources[id].interval {
            self.timers.set(Timer::Poll(id), now.at + interval);
        }
    }

    /// OPA is unreachable, or rejects us, or another program responds: its address or token may have changed.
    pub(super) fn rediscover(&mut self, id: SourceId, failure: &Failure, now: Moment) {
        if !failure.is_unreachable() && !failure.is_of_a_stranger() {
            return;
        }
        let source = &mut self.sources[id];
        source.passes.ready_until = None;
        source.passes.untold_until = None;
        let early = source.rediscovery.is_waiting(now.at);
        if source.terms.origin.is_none() && source.discover.is_idle() && !early {
            source.rediscovery.fail(now.at, None, now.chance);
            self.begin(Key::Discover(id));
        }
    }

    /// OPA has moved, or the file has changed: responses of the previous one do not count.
    pub(super) fn outdate_answers(&mut self, id: SourceId) {
        for rule in &self.sources[id].rules {
            let query = &mut self.rules[*rule].query;
            query.outdate();
            // A wait that the previous one asked for does not apply.
            if query.is_waiting() {
                query.state = State::Idle;
                self.timers.cancel(Timer::Task(Key::Query(*rule)));
            }
        }
        let passes = &mut self.sources[id].passes;
        passes.ready.outdate();
        passes.loading.moved();
        passes.ready_until = None;
    }
}

/// Whether a source's callbacks arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CallbackHealth {
    /// None has arrived, and none was missed.
    #[default]
    Unknown,
    /// A resync found a change without a callback, which may be on its way.
    Missed,
    /// That has lasted, and was logged.
    NeverCalled,
    Working,
}

impl Engine {
    /// Once OPAL has our registration, a callback on its way would have arrived by now.
    fn warn_if_never_called(&mut self, id: SourceId) {
        let source = &mut self.sources[id];
        if source.callback_health != CallbackHealth::Missed {
            return;
        }
        source.callback_health = CallbackHealth::NeverCalled;
        if let Some(registration) = &source.terms.registration {
            let advertised = registration.advertised.to_string();
            self.notify(Subject::Source(id), News::Unheard { advertised });
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        let sources = &mut self.sources;
        self.urgent.retain(|job| {
            if let Job::Register(source) = job {
                sources[*source].register.state = State::Idle;
            }
            matches!(job, Job::Leave(_))
        });
        for source in 0..self.sources.len() {
            self.leave(source);
        }
    }

    /// On shutdown: unregisters, as soon as no registration is in flight.
    fn leave(&mut self, id: SourceId) {
        let source = &mut self.sources[id];
        if source.registers && !source.register.is_running() {
            source.registers = false;
            source.is_leaving = true;
            self.urgent.push_back(Job::Leave(id));
        }
    }

    pub(super) fn left(&mut self, id: SourceId, result: Result<(), Failure>) {
        self.sources[id].is_leaving = false;
        if let Err(failure) = result {
            let news = News::Failing {
                operation: Operation::Leave,
                failure,
                count: 1,
                retry_in: None,
            };
            self.notify(Subject::Source(id), news);
        }
    }
}
