//! A target: what waits to be done there, its pauses, and its resyncs.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::job::{Part, TargetId, TargetTerms, ToggleId};
use crate::schedule::LONGEST_PAUSE;

use super::task::Slots;
use super::toggle::Toggle;
use super::{Cause, Engine, Moment, News, Subject, Timer};

/// How long a target that counts requests counts them: after a 429, what it allows is asked for one
/// at a time until then.
const WINDOW: Duration = Duration::from_secs(10);

/// How much longer than the time from one to the next a resync may take: a request that hangs and ends at
/// `http_timeout` is reported as such.
const GRACE: Duration = Duration::from_millis(200);

pub(super) struct Target {
    pub(super) terms: TargetTerms,
    /// Changes to send, and all else that is to be done, which waits for these.
    pub(super) changes: VecDeque<(ToggleId, Part)>,
    pub(super) looks: VecDeque<(ToggleId, Part)>,
    pub(super) slots: Slots<(ToggleId, Part)>,
    /// Until when it asked for a pause, and how it said so.
    pub(super) paused: Option<(Instant, Failure)>,
    pub(super) resync: Option<Resync>,
}

/// A pass over everything at a target that has not come to all of it yet.
pub(super) struct Resync {
    since: Instant,
    /// The toggles that it has not looked at, or sent again.
    left: BTreeSet<ToggleId>,
    /// It takes longer than the time from one to the next.
    pub(super) is_overdue: bool,
}

impl Target {
    /// A target, whose toggles get the environments that it has for them.
    pub(super) fn new(terms: TargetTerms, slots: usize, toggles: &mut [Toggle]) -> Target {
        for (id, toggle) in &terms.toggles {
            toggles[*id].set_environments(&toggle.environments);
        }
        Target {
            changes: VecDeque::new(),
            looks: VecDeque::new(),
            slots: match terms.at_once {
                None => Slots::new(slots),
                Some(limit) => Slots::strict(limit.min(slots)),
            },
            terms,
            paused: None,
            resync: None,
        }
    }

    /// The next thing to do: changes first.
    pub(super) fn pop(&mut self) -> Option<(ToggleId, Part)> {
        self.changes.pop_front().or_else(|| self.looks.pop_front())
    }

    /// When the next thing to do gets a slot although no request ends.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        let waits = !self.changes.is_empty() || !self.looks.is_empty();
        let waits_for_slot = waits && self.paused.is_none();
        self.slots.next_free(now).filter(|_| waits_for_slot)
    }
}

impl Engine {
    /// After a 429, the whole target is left alone.
    pub(super) fn pause_target(&mut self, id: TargetId, failure: &Failure, now: Moment) {
        if !failure.is_status(429) {
            return;
        }
        // Bounded, because a clock that jumped can make ages of a moment.
        let pause = failure.pause.map(|pause| pause.min(LONGEST_PAUSE));
        let narrow = pause.unwrap_or_default().max(WINDOW);
        let target = &mut self.targets[id];
        target.slots.narrow(now.at + narrow);
        let Some(wait) = pause else {
            return;
        };
        let end = now.at + wait;
        if target.paused.as_ref().is_none_or(|(known, _)| *known < end) {
            target.paused = Some((end, failure.clone()));
            self.timers.set(Timer::Pause(id), end);
            self.notify(Subject::Target(id), News::Paused { wait });
            self.touch(Subject::Target(id));
        }
    }

    /// What was changed by hand is found, or overridden, after all changes of policy. What the resync
    /// before has not come to yet is done in this one.
    pub(super) fn begin_resync(&mut self, id: TargetId, now: Moment) {
        let toggles: Vec<ToggleId> = self.targets[id].terms.toggles.keys().copied().collect();
        // What waits for its retry has been come to, and must not keep the others from the next resync.
        let left = toggles.iter().copied();
        let left = left.filter(|toggle| !self.toggles[*toggle].is_waiting());
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
            self.toggles[*toggle].fall_due(readable, turn);
            if !readable {
                self.toggles[*toggle].describe_again();
            }
        }
        // All at once, so that what can be read together is.
        toggles.iter().for_each(|it| self.decide_again(*it, now));
        let sources: BTreeSet<_> = toggles.iter().map(|it| self.source_of(*it)).collect();
        for source in sources {
            self.load_at_resync(source, now);
            self.ask_for_pass(source, Cause::Resync, now);
        }
        self.end_resync(id, now.at);
    }

    /// The resync has come to a toggle, whatever became of that.
    pub(super) fn note_looked_at(&mut self, toggle: ToggleId, now: Instant) {
        let id = self.config.toggles[toggle].target;
        if let Some(resync) = &mut self.targets[id].resync {
            resync.left.remove(&toggle);
            self.end_resync(id, now);
        }
    }

    /// Ends the resync when it has come to every toggle. The next one begins an interval later.
    fn end_resync(&mut self, id: TargetId, now: Instant) {
        let resync = &mut self.targets[id].resync;
        if resync.take_if(|resync| resync.left.is_empty()).is_some() {
            self.timers.cancel(Timer::Overdue(id));
            self.touch(Subject::Target(id));
            self.set_resync(id, now);
        }
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
        // One that was due before a reload is not put off.
        let due = self.timers.get(Timer::Resync(id));
        self.timers.cancel(Timer::Resync(id));
        if let (None, Some(interval)) = (self.until(), self.config.resync_interval) {
            let next = now + interval;
            let next = due.map_or(next, |due| due.min(next));
            self.timers.set(Timer::Resync(id), next);
        }
    }
}
