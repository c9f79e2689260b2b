//! One thing that is tried until it succeeds.

use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Operation, Part, RuleId, SourceId, TargetId, ToggleId};
use crate::schedule::Backoff;

use super::{Engine, News, Subject};

/// The moment at which an event is handled: time and randomness come in from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    /// A random number from 0 to 1, for the waits.
    pub(crate) chance: f64,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Idle,
    /// To be handed out as soon as there is a slot.
    Queued,
    Running,
    /// To be tried again when its timer rings; where the remote asked for the wait, nothing may
    /// shorten it.
    Waiting {
        asked: bool,
    },
    /// `sync --once` does not try again.
    GivenUp,
}

#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) operation: Operation,
    pub(crate) failure: Failure,
    /// How often it failed in a row.
    pub(super) count: u32,
}

impl Trouble {
    pub(super) fn first(operation: Operation, failure: Failure) -> Trouble {
        Trouble {
            operation,
            failure,
            count: 1,
        }
    }

    /// In words that hold nothing of what the remote said.
    pub(crate) fn reason(&self) -> String {
        format!("{}: {}", self.operation.word(), self.failure.reason())
    }
}

/// A query, registration, update or the like: its state, and its failures in a row.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) state: State,
    pub(super) trouble: Option<Trouble>,
    /// What is in flight asks where the answer is no longer to be had.
    outdated: bool,
    backoff: Backoff,
}

impl Task {
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    pub(super) fn is_queued(&self) -> bool {
        self.state == State::Queued
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Whether it has failed and is to be tried again.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.state == State::GivenUp
    }

    /// Whatever is in flight: its answer is not to be used.
    pub(super) fn outdate(&mut self) {
        self.outdated = self.is_running();
    }

    /// Something in flight has ended: whether its answer is not to be used, and it is to be asked
    /// again.
    pub(super) fn take_outdated(&mut self) -> bool {
        let outdated = std::mem::take(&mut self.outdated);
        if outdated {
            self.state = State::Idle;
        }
        outdated
    }

    /// Whether its last try got no answer in time.
    pub(super) fn hung(&self) -> bool {
        let trouble = self.trouble.as_ref();
        trouble.is_some_and(|trouble| trouble.failure.kind == Kind::Timeout)
    }

    /// Whether it waits for its retry, and the remote did not ask for the wait.
    pub(super) fn may_be_hurried(&self) -> bool {
        self.state == State::Waiting { asked: false }
    }

    /// What a new engine knows of it: its trouble, and its wait, but for what is in flight.
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

    /// The same, to be tried at once unless the remote asked for the wait.
    pub(super) fn hurried(mut self) -> Task {
        if self.may_be_hurried() {
            self.state = State::Idle;
        }
        self
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
        operation: Operation,
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
        let count = match &self.trouble {
            Some(known) if known.failure.kind == failure.kind => known.count + 1,
            _ => 1,
        };
        self.trouble = Some(Trouble {
            operation,
            failure,
            count,
        });
        (!hopeless).then_some(wait)
    }
}

/// The tasks; each has a timer for its retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Discover(SourceId),
    Register(SourceId),
    Watch(SourceId),
    Count(SourceId),
    Load(SourceId),
    Ready(SourceId),
    Query(RuleId),
    Apply(ToggleId, Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Task(Key),
    /// The running pass has had its time, and another is waiting.
    Patience(SourceId),
    Poll(SourceId),
    /// A part of a toggle waits for another, which has been out for so long that it hangs.
    Overtake(ToggleId),
    /// A toggle whose request was lost is due for another look.
    Confirm(ToggleId),
    /// A change of a toggle should have arrived.
    Late(ToggleId),
    Resync(TargetId),
    /// The resync should have ended.
    Overdue(TargetId),
    /// The target's pause has ended.
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
            Key::Apply(toggle, part) => &mut self.toggles[toggle].work(part).task,
        }
    }

    pub(super) fn succeeded(&mut self, key: Key) {
        self.timers.cancel(Timer::Task(key));
        self.touch(subject(key));
        if let Some(Trouble {
            operation,
            failure,
            count,
        }) = self.task(key).succeed()
        {
            let news = match failure.is_held() {
                true => News::Released,
                false => News::Mended { operation, count },
            };
            self.notify(subject(key), news);
        }
    }

    /// A task has failed: its retry is set, where there will be one.
    pub(super) fn failed(&mut self, key: Key, operation: Operation, failure: Failure, now: Moment) {
        // Once it is to end, nothing is tried again.
        let until = match self.stopping {
            true => Some(now.at),
            false => self.until(),
        };
        let retry_in = self.task(key).fail(operation, failure.clone(), now, until);
        if let Some(wait) = retry_in {
            self.timers.set(Timer::Task(key), now.at + wait);
            self.notify(subject(key), News::Retry { operation, wait });
        }
        self.touch(subject(key));
        let trouble = self.task(key).trouble.as_ref();
        let count = trouble.map_or(1, |trouble| trouble.count);
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
}

fn subject(key: Key) -> Subject {
    match key {
        Key::Query(rule) => Subject::Rule(rule),
        Key::Apply(toggle, Part::Environment(number)) => Subject::Environment(toggle, number),
        Key::Apply(toggle, Part::Whole | Part::Metadata) => Subject::Toggle(toggle),
        Key::Discover(source)
        | Key::Register(source)
        | Key::Watch(source)
        | Key::Count(source)
        | Key::Load(source)
        | Key::Ready(source) => Subject::Source(source),
    }
}

/// A request that has been out for this long hangs, and gives its slot to the next one.
pub(crate) const PROMPT: Duration = Duration::from_secs(1);

/// How many requests that hang can be out besides those that have a slot, so that a peer that
/// hangs altogether cannot fill this machine with threads.
pub(crate) const HANGING: usize = 64;

/// The slots for requests in flight to one source or target, each for what it is about.
#[derive(Debug)]
pub(super) struct Slots<K> {
    limit: usize,
    /// Requests that hang keep their slots: the peer counts them.
    strict: bool,
    /// Until when there is but one slot.
    narrow_until: Option<Instant>,
    /// Who is out, and when it gives its slot away.
    taken: Vec<(K, Instant)>,
}

impl<K: PartialEq> Slots<K> {
    pub(super) fn new(limit: usize) -> Slots<K> {
        Slots {
            limit,
            strict: false,
            narrow_until: None,
            taken: Vec::new(),
        }
    }

    /// So many slots, and never more.
    pub(super) fn strict(limit: usize) -> Slots<K> {
        Slots {
            strict: true,
            ..Slots::new(limit)
        }
    }

    /// Leaves one slot until then, where the slots are strict.
    pub(super) fn narrow(&mut self, until: Instant) {
        self.narrow_until = self.narrow_until.max(Some(until).filter(|_| self.strict));
    }

    /// Leaves one slot for as long as the old ones would have.
    pub(super) fn inherit(&mut self, old: &Slots<K>) {
        self.narrow_until = old.narrow_until.filter(|_| self.strict);
    }

    pub(super) fn holds(&self, key: &K) -> bool {
        self.taken.iter().any(|(taken, _)| taken == key)
    }

    pub(super) fn is_free(&self, now: Instant) -> bool {
        match (self.strict, self.narrow_until) {
            (true, Some(until)) if now < until => self.taken.is_empty(),
            (true, _) => self.taken.len() < self.limit,
            (false, _) => self.prompt(now).count() < self.limit && self.has_room(),
        }
    }

    /// When a slot becomes free although no request ends.
    pub(super) fn next_free(&self, now: Instant) -> Option<Instant> {
        if self.strict {
            return self.narrow_until.filter(|until| *until > now);
        }
        self.prompt(now).min().filter(|_| self.has_room())
    }

    /// Takes a slot; what hung the last time is thought to hang again, and takes none.
    pub(super) fn take(&mut self, key: K, now: Instant, hung: bool) {
        self.taken
            .push((key, if hung { now } else { now + PROMPT }));
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
