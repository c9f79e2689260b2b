//! A rule: its query at the source, and the users that it allows.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::error::Failure;
use crate::job::{Allowed, Operation, RuleId, SourceId, ToggleId};
use crate::users::{Change, Users};

use super::task::{State, Task};
use super::{Cause, Engine, Key, Moment, Timer, Why};

#[derive(Default)]
pub(super) struct Rule {
    /// The toggles that follow it.
    pub(super) toggles: Vec<ToggleId>,
    pub(super) query: Task,
    /// The number of the pass that waits for the next response.
    pub(super) pass: Option<u64>,
    /// Why the last pass was made.
    pub(super) why: Why,
    /// None if the last query failed, or before the first.
    pub(super) desired: Option<Arc<Users>>,
    /// The last good response.
    pub(super) answer: Option<Allowed>,
    /// What the last change of the users was, and from which: toggles that have the former users share it.
    change: Option<(Weak<Users>, Arc<Change>)>,
    /// The turns of the query that `desired` came from, and of the one in flight.
    pub(super) asked: u64,
    pub(super) asking: u64,
    /// The turn in which the policy may last have changed.
    pub(super) news: u64,
    /// Query once more when the running query ends.
    again: bool,
}

impl Rule {
    /// Whom the last good response allows.
    pub(super) fn users(&self) -> Option<&Arc<Users>> {
        Some(&self.answer.as_ref()?.users)
    }

    /// What changed of users whom no toggle has is not asked for again, and can be large.
    pub(super) fn forget_change(&mut self) {
        let is_past = |(before, _): &mut (Weak<Users>, _)| before.strong_count() == 0;
        self.change.take_if(is_past);
    }

    /// What the desired users change at a target that has these.
    pub(super) fn change_from(&self, observed: &Arc<Users>) -> Option<Arc<Change>> {
        let desired = self.desired.as_ref()?;
        match &self.change {
            Some((before, change)) if before.as_ptr() == Arc::as_ptr(observed) => {
                Some(Arc::clone(change))
            }
            _ => Some(Arc::new(desired.change_from(observed))),
        }
    }
}

impl Engine {
    /// Queries a rule as soon as its source has a slot.
    pub(super) fn ask_for_query(&mut self, id: RuleId) {
        let rule = &mut self.rules[id];
        match rule.query.state {
            State::Running => rule.again = true,
            State::Queued | State::GivenUp | State::Waiting { asked: true } => {}
            State::Idle | State::Waiting { asked: false } => {
                rule.query.state = State::Queued;
                self.timers.cancel(Timer::Task(Key::Query(id)));
                let source = self.config.rules[id].source;
                self.sources[source].passes.queries.push_back(id);
            }
        }
    }

    pub(super) fn hurry_query(&mut self, id: RuleId) {
        self.rules[id].query.state = State::Idle;
        self.ask_for_query(id);
    }

    /// Queries again for users that are older than a toggle's last read at its target; a file is read first.
    pub(super) fn ask_again(&mut self, toggle: ToggleId) {
        let rule = self.config.toggles[toggle].rule;
        let (Some(source), Some(id)) = (self.source_of(toggle), rule) else {
            return;
        };
        let (rule, looked) = (&self.rules[id], self.toggles[toggle].looked);
        if self.sources[source].asked <= looked && self.sources[source].terms.is_read {
            self.begin(Key::Discover(source));
        } else if !rule.query.is_running() || rule.asking < looked {
            self.ask_for_query(id);
        }
    }

    /// After a read of an unchanged file.
    pub(super) fn ask_stale(&mut self, source: SourceId) {
        for toggle in self.toggles_of(source) {
            if self.waits_for_answer(toggle) {
                self.ask_again(toggle);
            }
        }
    }

    pub(super) fn queried(&mut self, id: RuleId, result: Result<Allowed, Failure>, now: Moment) {
        let source = self.config.rules[id].source;
        self.sources[source].passes.slots.release(&id);
        if self.rules[id].query.take_outdated() {
            self.rules[id].again = false;
            return self.ask_for_query(id);
        }
        let failure = result.as_ref().err().cloned();
        match result {
            Ok(allowed) => {
                self.succeeded(Key::Query(id));
                // OPA is where it was thought to be.
                self.sources[source].rediscovery.reset();
                self.learn(id, allowed, now);
            }
            Err(failure) => {
                self.rules[id].desired = None;
                self.rediscover(source, &failure, now);
                self.failed(Key::Query(id), Operation::Query, failure, now);
                for toggle in self.rules[id].toggles.clone() {
                    self.decide_again(toggle, now);
                }
            }
        }
        let rule = &mut self.rules[id];
        let again = std::mem::take(&mut rule.again);
        // A pass that has begun meanwhile queries at once, but respects a pause.
        let state = rule.query.state;
        if again && state != (State::Waiting { asked: true }) {
            if state != State::Queued {
                self.hurry_query(id);
            }
        } else if let Some(pass) = rule.pass.take() {
            let toggles = rule.toggles.clone();
            for toggle in &toggles {
                self.waits_for_target(source, *toggle, pass);
                if self.is_at_rest(*toggle) {
                    self.settled(*toggle);
                }
            }
            self.count_answer(source, pass, toggles.len(), failure.as_ref(), now);
        }
    }

    fn learn(&mut self, id: RuleId, allowed: Allowed, now: Moment) {
        let source = self.config.rules[id].source;
        let rule = &mut self.rules[id];
        rule.asked = rule.asking;
        let Allowed { users, .. } = &allowed;
        let before = rule.answer.take().map(|answer| answer.users);
        // Equal sets share their memory.
        let same = before.clone().filter(|before| before == users);
        let changed = before.is_some() && same.is_none();
        if let Some(before) = before.filter(|_| changed) {
            rule.change = Some((
                Arc::downgrade(&before),
                Arc::new(users.change_from(&before)),
            ));
        }
        let users = same.unwrap_or_else(|| Arc::clone(users));
        rule.answer = Some(Allowed {
            users: Arc::clone(&users),
            ..allowed
        });
        let was_known = rule.desired.replace(users).is_some();
        let source = &mut self.sources[source];
        let cause = source.passes.running.as_ref().map(|pass| pass.cause);
        if changed && was_known && matches!(cause, Some(Cause::Resync | Cause::Watch)) {
            source.missed_callback();
        }
        // A poll, or a query for the sake of one toggle, without a change must not shorten the waits of a
        // target that fails.
        let is_of_pass = self.rules[id].pass.is_some();
        let is_poll = matches!(cause, Some(Cause::Poll | Cause::Watch));
        let is_news = changed || (is_of_pass && !is_poll);
        for toggle in self.rules[id].toggles.clone() {
            if changed {
                self.note_change(toggle, self.rules[id].why);
            }
            if is_news {
                self.hurry_all(toggle);
            }
            self.decide_again(toggle, now);
        }
    }

    /// The policy of a source may have changed: its toggles are behind until it is queried.
    pub(super) fn heard_news(&mut self, source: SourceId, now: Instant) {
        let turn = self.tick();
        for rule in self.sources[source].rules.clone() {
            self.rules[rule].news = turn;
        }
        for toggle in self.toggles_of(source) {
            self.note_if_behind(toggle, now);
        }
    }
}
