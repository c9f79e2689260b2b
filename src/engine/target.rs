//! A target: what waits to be done there, its pauses, and its resyncs.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::Failure;
use crate::job::{Job, Marked, Operation, Part, SourceId, TargetId, TargetTerms, ToggleId};
use crate::schedule::LONGEST_PAUSE;

use super::task::{Slots, State, Task};
use super::toggle::{Environment, Toggle};
use super::{Cause, Engine, Key, Moment, News, Subject, Timer};

/// The window of a rate limit: after a 429, none or one request at a time is made for this long.
const WINDOW: Duration = Duration::from_secs(10);

/// By how much a resync may exceed its interval, so that a request that ends at `http_timeout` is reported
/// as such.
const GRACE: Duration = Duration::from_millis(200);

pub(super) struct Target {
    pub(super) terms: TargetTerms,
    /// Changes to send; all other steps wait for these.
    pub(super) changes: VecDeque<(ToggleId, Part)>,
    pub(super) looks: VecDeque<(ToggleId, Part)>,
    /// Of steps, and of the search for toggles to retire.
    pub(super) slots: Slots<Option<(ToggleId, Part)>>,
    pub(super) find: Task,
    /// That search has been begun since the toggles of the configuration are what they are.
    pub(super) has_looked: bool,
    /// What toggles share, while one of them changes it.
    pub(super) in_change: BTreeSet<usize>,
    /// The end of the pause that it asked for, and its words.
    pub(super) paused: Option<(Instant, Failure)>,
    pub(super) resync: Option<Resync>,
}

/// A pass over everything at a target.
pub(super) struct Resync {
    since: Instant,
    /// Toggles that it has not read, or sent again.
    left: BTreeSet<ToggleId>,
    pub(super) is_overdue: bool,
}

impl Target {
    /// Gives its toggles their environments.
    pub(super) fn new(terms: TargetTerms, slots: usize, toggles: &mut [Toggle]) -> Target {
        for (id, toggle) in &terms.toggles {
            let environments = toggle.environments.iter().map(|name| Environment {
                name: name.clone(),
                ..Environment::default()
            });
            toggles[*id].environments = environments.collect();
        }
        Target {
            changes: VecDeque::new(),
            looks: VecDeque::new(),
            slots: Slots::new(
                terms.at_once.unwrap_or(slots).min(slots),
                terms.at_once.is_some(),
            ),
            in_change: BTreeSet::new(),
            find: Task::default(),
            has_looked: false,
            terms,
            paused: None,
            resync: None,
        }
    }

    /// Changes come first.
    pub(super) fn pop(&mut self) -> Option<(ToggleId, Part)> {
        self.changes.pop_front().or_else(|| self.looks.pop_front())
    }

    /// What a part of a toggle shares with others.
    pub(super) fn shares(&self, id: ToggleId, part: Part) -> &[usize] {
        let terms = self.terms.toggles.get(&id);
        let all = terms.map_or(&[][..], |terms| &terms.shares);
        match part {
            Part::Whole => all,
            Part::Metadata => &[],
            Part::Environment(number) => all.get(number..=number).unwrap_or_default(),
        }
    }

    /// Whether another toggle changes what a part shares with it: a step would take a slot only to wait.
    pub(super) fn has_in_change(&self, id: ToggleId, part: Part) -> bool {
        let mut shares = self.shares(id, part).iter();
        shares.any(|share| self.in_change.contains(share))
    }

    /// When the next step gets a slot without the end of a request.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        let finds = self.find.state == State::Queued;
        let waits = finds || !self.changes.is_empty() || !self.looks.is_empty();
        let waits_for_slot = waits && self.paused.is_none();
        self.slots.next_free(now).filter(|_| waits_for_slot)
    }
}

impl Engine {
    /// After a 429, the whole target is left alone: for as long as it asks, or else for a window. Returns the
    /// failure with that pause.
    pub(super) fn pause_target(&mut self, id: TargetId, failure: Failure, now: Moment) -> Failure {
        if !failure.is_status(429) {
            return failure;
        }
        // Bounded, because a clock that jumped can make ages of a moment.
        let wait = failure.pause.unwrap_or(WINDOW).min(LONGEST_PAUSE);
        let failure = failure.pausing(Some(wait));
        let target = &mut self.targets[id];
        target.slots.narrow(now.at + wait.max(WINDOW));
        let end = now.at + wait;
        if target.paused.as_ref().is_none_or(|(known, _)| *known < end) {
            target.paused = Some((end, failure.clone()));
            self.timers.set(Timer::Pause(id), end);
            self.notify(Subject::Target(id), News::Paused { wait });
            self.touch(Subject::Target(id));
        }
        failure
    }

    /// Finds or overrides what was changed by hand, after all changes of policy. What the previous resync did
    /// not reach is part of this one.
    pub(super) fn begin_resync(&mut self, id: TargetId, now: Moment) {
        let toggles: Vec<ToggleId> = self.targets[id].terms.toggles.keys().copied().collect();
        // A toggle that waits for its retry must not delay the next resync of the others.
        let left = toggles.iter().copied();
        let left = left.filter(|id| {
            let mut works = self.toggles[*id].works();
            !works.any(|(_, work)| work.task.is_waiting())
        });
        let resync = Resync {
            since: now.at,
            left: left.collect(),
            is_overdue: false,
        };
        self.targets[id].resync = Some(resync);
        if let Some(interval) = self.config.resync_interval {
            self.timers
                .set(Timer::Overdue(id), now.at + interval + GRACE);
        }
        let (turn, readable) = (self.tick(), self.targets[id].terms.readable);
        for toggle in &toggles {
            let toggle = &mut self.toggles[*toggle];
            toggle.fall_due(readable, turn);
            if !readable {
                // Its metadata may have been changed by hand.
                toggle.metadata.recheck = toggle.metadata.task.is_running();
                toggle.described = toggle.described.filter(|_| toggle.metadata.recheck);
            }
        }
        // All at once, so that they can be read together.
        toggles.iter().for_each(|it| self.decide_again(*it, now));
        self.find_marked(id);
        let sources = toggles.iter().filter_map(|it| self.source_of(*it));
        let sources: BTreeSet<SourceId> = sources.collect();
        for source in sources {
            self.load_at_resync(source, now);
            self.ask_for_pass(source, Cause::Resync, now);
        }
        self.end_resync(id, now.at);
    }

    /// The resync has reached a toggle, whatever the result.
    pub(super) fn note_reached(&mut self, toggle: ToggleId, now: Instant) {
        let id = self.config.toggles[toggle].target;
        if let Some(resync) = &mut self.targets[id].resync {
            resync.left.remove(&toggle);
            self.end_resync(id, now);
        }
    }

    /// Ends the resync when it has reached every toggle. The next one begins an interval later.
    fn end_resync(&mut self, id: TargetId, now: Instant) {
        let resync = &mut self.targets[id].resync;
        if resync.take_if(|resync| resync.left.is_empty()).is_some() {
            self.timers.cancel(Timer::Overdue(id));
            self.touch(Subject::Target(id));
            self.set_resync(id, now);
        }
    }

    /// Looks for toggles to retire as soon as the target has nothing else to do.
    pub(super) fn find_marked(&mut self, id: TargetId) {
        let timer = Timer::Task(Key::Find(id));
        // A wait that the remote asked for is kept.
        let is_early = self.timers.get(timer).is_some();
        let target = &mut self.targets[id];
        let is_free = match target.find.state {
            State::Running => false,
            State::Waiting { asked } => !(asked && is_early),
            State::Idle | State::Queued | State::GivenUp => true,
        };
        if target.terms.finds_marked && is_free {
            target.has_looked = true;
            target.find.state = State::Queued;
            self.timers.cancel(timer);
        }
    }

    /// The next job at a target.
    pub(super) fn next_job_at(&mut self, id: TargetId, now: Moment) -> Option<Job> {
        let target = &self.targets[id];
        if target.paused.is_some() || !target.slots.is_free(now.at) {
            return None;
        }
        if let Some(job) = self.next_step(id, now) {
            return Some(job);
        }
        let target = &mut self.targets[id];
        if target.find.state != State::Queued {
            return None;
        }
        target.find.state = State::Running;
        target.slots.take(None, now.at, target.find.hung());
        Some(Job::Find(id))
    }

    /// In a single pass: whether nothing more will come of the search for toggles to retire.
    pub(super) fn has_found(&self, id: TargetId) -> bool {
        let target = &self.targets[id];
        match target.find.state {
            State::Idle | State::GivenUp => true,
            State::Queued => self.is_paused_for_good(id),
            State::Running | State::Waiting { .. } => false,
        }
    }

    /// Whether the target asks for a pause beyond the end of a single pass.
    pub(super) fn is_paused_for_good(&self, id: TargetId) -> bool {
        match (&self.targets[id].paused, self.until()) {
            (Some((end, _)), Some(until)) => *end > until,
            _ => false,
        }
    }

    pub(super) fn found_marked(
        &mut self,
        id: TargetId,
        result: Result<Vec<Marked>, Failure>,
        now: Moment,
    ) {
        self.targets[id].slots.release(&None);
        match result {
            Ok(found) => {
                let found = self.config.to_retire(id, found);
                if found != self.config.retired_at(id) {
                    self.found.insert(id, found);
                }
                self.succeeded(Key::Find(id));
            }
            Err(failure) => {
                let failure = self.pause_target(id, failure, now);
                self.failed(Key::Find(id), Operation::Find, failure, now);
            }
        }
    }

    /// The configuration with the toggles to retire that were found since the last call, if they are others
    /// than it has. In a single pass, they come last.
    pub(crate) fn take_found(&mut self) -> Option<Config> {
        let is_early = self.until().is_some() && !self.is_finished();
        if self.found.is_empty() || self.stopping || is_early {
            return None;
        }
        let found = std::mem::take(&mut self.found);
        let config = Config::clone(&self.config);
        let retiring =
            |config: Config, (id, found): (TargetId, Vec<Marked>)| config.retiring(id, found);
        Some(found.into_iter().fold(config, retiring))
    }

    pub(super) fn note_overdue(&mut self, id: TargetId, now: Instant) {
        if let Some(resync) = &mut self.targets[id].resync {
            resync.is_overdue = true;
            let (took, left) = (now - resync.since, resync.left.len());
            self.notify(Subject::Target(id), News::Overdue { took, left });
            self.touch(Subject::Target(id));
        }
    }

    pub(super) fn set_resync(&mut self, id: TargetId, now: Instant) {
        // A reload does not postpone it.
        let due = self.timers.get(Timer::Resync(id));
        self.timers.cancel(Timer::Resync(id));
        if let (None, Some(interval)) = (self.until(), self.config.resync_interval) {
            let next = now + interval;
            let next = due.map_or(next, |due| due.min(next));
            self.timers.set(Timer::Resync(id), next);
        }
    }
}
