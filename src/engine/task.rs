//! A task that is tried until it succeeds.

use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Operation, Part, RuleId, SourceId, TargetId, ToggleId};
use crate::schedule::Backoff;

use super::{Engine, News, Subject};

/// The moment of an event: time and randomness come from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    /// From 0 to 1, for the waits.
    pub(crate) chance: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Idle,
    /// Waits for a slot.
    Queued,
    Running,
    /// Waits for its timer. If the remote asked for the wait, nothing may shorten it.
    Waiting {
        asked: bool,
    },
    /// In `sync`.
    GivenUp,
}

#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) operation: Operation,
    pub(crate) failure: Failure,
    /// Failures in a row.
    pub(super) count: u32,
}

impl Trouble {
    /// Without the remote's own words.
    pub(crate) fn reason(&self) -> String {
        format!("{}: {}", self.operation.word(), self.failure.reason())
    }

    pub(super) fn first(operation: Operation, failure: Failure) -> Trouble {
        Trouble {
            operation,
            failure,
            count: 1,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) state: State,
    pub(super) trouble: Option<Trouble>,
    /// The response to the request in flight does not count.
    outdated: bool,
    backoff: Backoff,
}

impl Task {
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.state == State::GivenUp
    }

    pub(super) fn outdate(&mut self) {
        self.outdated = self.is_running();
    }

    /// A request has ended: whether its response does not count, and the task starts over.
    pub(super) fn take_outdated(&mut self) -> bool {
        let outdated = std::mem::take(&mut self.outdated);
        if outdated {
            self.state = State::Idle;
        }
        outdated
    }

    /// Whether its last try timed out.
    pub(super) fn hung(&self) -> bool {
        let trouble = self.trouble.as_ref();
        trouble.is_some_and(|trouble| trouble.failure.kind == Kind::Timeout)
    }

    pub(super) fn may_be_hurried(&self) -> bool {
        self.state == State::Waiting { asked: false }
    }

    /// For the engine of a new configuration, without the request in flight.
    pub(super) fn inherit(&self) -> Task {
        Task {
            state: match self.state {
                State::Waiting { .. } => self.state,
                _ => State::Idle,
            },
            trouble: self.trouble.clone(),
            outdated: false,
            backoff: self.backoff,
        }
    }

    /// The same, without a wait that the remote did not ask for.
    pub(super) fn inherit_hurried(&self) -> Task {
        let mut task = self.inherit();
        if task.may_be_hurried() {
            task.state = State::Idle;
        }
        task
    }
}

/// The tasks; each has a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Discover(SourceId),
    Register(SourceId),
    Watch(SourceId),
    Count(SourceId),
    Load(SourceId),
    Ready(SourceId),
    Query(RuleId),
    Find(TargetId),
    Apply(ToggleId, Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Task(Key),
    /// A pass waits that may not wait for the running one any longer.
    Patience(SourceId),
    Poll(SourceId),
    /// A part of a toggle waits for another one, which now counts as hanging.
    Overtake(ToggleId),
    /// A toggle whose update was lost is due for another read.
    Confirm(ToggleId),
    /// The change of some toggle should have arrived.
    Late,
    Resync(TargetId),
    /// The resync should have ended.
    Overdue(TargetId),
    /// The target's pause is over.
    Pause(TargetId),
}

impl Engine {
    pub(super) fn task(&mut self, key: Key) -> &mut Task {
        match key {
            Key::Discover(source) => &mut self.sources[source].discover,
            Key::Register(source) => &mut self.sources[source].register,
            Key::Watch(source) => &mut self.sources[source].watch,
            Key::Count(source) => &mut self.sources[source].count,
            Key::Load(source) => &mut self.sources[source].load,
            Key::Ready(source) => &mut self.sources[source].passes.ready,
            Key::Query(rule) => &mut self.rules[rule].query,
            Key::Find(target) => &mut self.targets[target].find,
            Key::Apply(toggle, part) => &mut self.toggles[toggle].work(part).task,
        }
    }

    pub(super) fn succeeded(&mut self, key: Key) {
        self.timers.cancel(Timer::Task(key));
        self.touch(subject(key));
        let task = self.task(key);
        task.state = State::Idle;
        task.backoff.reset();
        if let Some(trouble) = task.trouble.take() {
            let Trouble {
                operation, count, ..
            } = trouble;
            let news = match trouble.failure.is_held() {
                true => News::Released,
                false => News::Mended { operation, count },
            };
            self.notify(subject(key), news);
        }
    }

    /// Sets the retry, unless it would come after the end of the run or the failure will not pass by itself.
    pub(super) fn failed(&mut self, key: Key, operation: Operation, failure: Failure, now: Moment) {
        let until = match self.stopping {
            true => Some(now.at),
            false => self.until(),
        };
        let is_lasting = failure.is_lasting() && !self.may_be_too_new(key, &failure);
        let task = self.task(key);
        let wait = task.backoff.fail(now.at, failure.pause, now.chance);
        let is_hopeless = until.is_some_and(|until| is_lasting || now.at + wait > until);
        task.state = match is_hopeless {
            true => State::GivenUp,
            false => State::Waiting {
                asked: failure.pause.is_some(),
            },
        };
        let count = match &task.trouble {
            Some(known) if known.failure.kind == failure.kind => known.count + 1,
            _ => 1,
        };
        task.trouble = Some(Trouble {
            operation,
            failure: failure.clone(),
            count,
        });
        let retry_in = (!is_hopeless).then_some(wait);
        if retry_in.is_some() {
            self.timers.set(Timer::Task(key), now.at + wait);
            self.notify(subject(key), News::Retry { operation, wait });
        }
        self.touch(subject(key));
        if count.is_power_of_two() {
            let news = News::Failing {
                operation,
                failure,
                count,
                retry_in,
            };
            self.notify(subject(key), news);
        }
    }

    /// Whether the target may not yet know the toggle that this run has created there.
    fn may_be_too_new(&self, key: Key, failure: &Failure) -> bool {
        match key {
            Key::Apply(toggle, Part::Environment(_) | Part::Metadata) => {
                self.toggles[toggle].created && failure.is_status(404)
            }
            _ => false,
        }
    }
}

pub(super) fn subject(key: Key) -> Subject {
    match key {
        Key::Query(rule) => Subject::Rule(rule),
        Key::Find(target) => Subject::Target(target),
        Key::Apply(toggle, Part::Environment(number)) => Subject::Environment(toggle, number),
        Key::Apply(toggle, Part::Whole | Part::Metadata) => Subject::Toggle(toggle),
        Key::Discover(source) | Key::Register(source) | Key::Watch(source) => {
            Subject::Source(source)
        }
        Key::Count(source) | Key::Load(source) | Key::Ready(source) => Subject::Source(source),
    }
}

/// A request that takes longer hangs, and gives up its slot.
pub(crate) const PROMPT: Duration = Duration::from_secs(1);

/// The most requests in flight without a slot, so that a peer that hangs does not fill the machine with
/// threads.
pub(crate) const HANGING: usize = 64;

/// The slots for requests to a source or target, by what the requests are about.
#[derive(Debug, Default)]
pub(super) struct Slots<K> {
    limit: usize,
    /// Requests that hang keep their slots, because the peer counts them.
    strict: bool,
    /// Until when there is only one slot.
    narrow_until: Option<Instant>,
    /// Requests in flight, and when each gives up its slot.
    taken: Vec<(K, Instant)>,
}

impl<K: PartialEq> Slots<K> {
    pub(super) fn new(limit: usize, strict: bool) -> Slots<K> {
        Slots {
            limit,
            strict,
            narrow_until: None,
            taken: Vec::new(),
        }
    }

    pub(super) fn narrow(&mut self, until: Instant) {
        self.narrow_until = self.narrow_until.max(Some(until).filter(|_| self.strict));
    }

    pub(super) fn inherit(&mut self, old: &Slots<K>) {
        self.narrow_until = old.narrow_until.filter(|_| self.strict);
    }

    pub(super) fn is_free(&self, now: Instant) -> bool {
        match (self.strict, self.narrow_until) {
            (true, Some(until)) if now < until => self.taken.is_empty(),
            (true, _) => self.taken.len() < self.limit,
            (false, _) => self.prompt(now).count() < self.limit && self.has_room(),
        }
    }

    /// When a slot becomes free without the end of a request.
    pub(super) fn next_free(&self, now: Instant) -> Option<Instant> {
        if self.strict {
            return self.narrow_until.filter(|until| *until > now);
        }
        self.prompt(now).min().filter(|_| self.has_room())
    }

    /// What hung the last time takes no slot, because it probably hangs again.
    pub(super) fn take(&mut self, key: K, now: Instant, hung: bool) {
        let until = if hung { now } else { now + PROMPT };
        self.taken.push((key, until));
    }

    pub(super) fn release(&mut self, key: &K) {
        self.taken.retain(|(other, _)| other != key);
    }

    fn has_room(&self) -> bool {
        self.taken.len() < self.limit + HANGING
    }

    fn prompt(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let until = self.taken.iter().map(|(_, until)| *until);
        until.filter(move |until| *until > now)
    }
}
