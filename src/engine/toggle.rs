//! A toggle: what is known of it, and its query at the source.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Failure;
use crate::job::ToggleId;
use crate::plan::There;
use crate::users::Users;

use super::pass::Answer;
use super::task::{State, Task, Trouble};
use super::view::{Outcome, Sent};
use super::{Cause, Engine, Key, Moment, Timer};

#[derive(Default)]
pub(super) struct Toggle {
    pub(super) query: Task,
    pub(super) apply: Task,
    /// The pass that waits for the next answer.
    pub(super) pass: Option<u64>,
    /// Whether it was created, or found, once.
    pub(super) exists: bool,
    /// Who should have it: none while the newest query has not been answered well.
    pub(super) wanted: Option<Arc<Users>>,
    /// The last good answer.
    pub(super) answer: Option<Arc<Users>>,
    pub(super) there: There,
    /// The last read of several toggles did not tell of it: until it is known, or the next resync, it
    /// is read by itself.
    pub(super) read_alone: bool,
    pub(super) last_success: Option<Instant>,
    /// Who was sent last, with those who may have been since, for the removal limit of a target that
    /// cannot be read.
    pub(super) last_sent: Option<Arc<Users>>,
    /// What was done, for the report of `sync`.
    pub(super) outcome: Outcome,
    /// Query once more as soon as the running query has ended.
    again: bool,
    /// The users of the update in flight, and what they change.
    pub(super) sent: Option<(Arc<Users>, Sent)>,
    /// Created, or found to exist, since the last update: a 404 is then no news.
    pub(super) fresh: bool,
    /// A request was lost that could be applied late.
    pub(super) unsure: bool,
    /// What is in flight is a request of the engine before this one.
    pub(super) waits_for_old: bool,
    /// What is in flight cannot be taken for the target's state.
    pub(super) recheck: bool,
}

impl Toggle {
    /// Takes over what is known of the same rule of the same source.
    pub(super) fn inherit_query(&mut self, old: &Toggle) {
        self.query = old.query.inherit().hurried();
        self.answer = old.answer.clone();
    }

    /// Takes over what is known of it at the same target.
    pub(super) fn inherit_target(&mut self, old: &Toggle) {
        self.apply = old.apply.inherit().hurried();
        self.exists = old.exists;
        self.there = old.there.clone();
        self.last_success = old.last_success;
        self.fresh = old.fresh;
    }

    /// Takes over what was sent to the same place, with whatever credentials.
    pub(super) fn inherit_what_was_sent(&mut self, old: &Toggle) {
        self.last_sent = old.last_sent.clone();
        self.unsure = old.unsure;
    }

    /// These users were sent, and it is not known whether that was done: for the removal limit, whoever
    /// may have the toggle has it.
    pub(super) fn may_have(&mut self, sent: &Users) {
        if let Some(last) = &mut self.last_sent {
            *last = Arc::new(last.and(sent));
        }
    }

    /// Waits until the request that the old engine has in flight has ended: no two for one toggle
    /// are ever out together. What becomes of it, the old engine hears alone.
    pub(super) fn wait_for_old(&mut self, old: &Toggle) {
        self.waits_for_old = true;
        self.apply.state = State::Running;
        self.there = There::Unknown;
        self.unsure |= old.unsure || old.sent.is_some();
        if let Some((sent, _)) = &old.sent {
            self.may_have(sent);
        }
    }

    /// For a resync.
    pub(super) fn forget(&mut self, readable: bool) {
        self.read_alone = false;
        self.recheck = self.apply.is_running();
        if !self.recheck {
            self.there.forget(readable);
        }
    }
}

impl Engine {
    /// Asks for the users of a toggle as soon as its source has a place.
    pub(super) fn ask_for_query(&mut self, id: ToggleId) {
        let toggle = &mut self.toggles[id];
        match toggle.query.state {
            State::Running => toggle.again = true,
            State::Queued | State::GivenUp | State::Waiting { asked: true } => {}
            State::Idle | State::Waiting { asked: false } => {
                toggle.query.state = State::Queued;
                self.timers.cancel(Timer::Task(Key::Query(id)));
                self.enqueue_query(self.config.toggles[id].users_policy.source, id);
            }
        }
    }

    pub(super) fn queried(&mut self, id: ToggleId, result: Result<Users, Failure>, now: Moment) {
        let source = self.config.toggles[id].users_policy.source;
        self.release_query(source, id);
        if self.toggles[id].query.is_void() {
            self.toggles[id].again = false;
            return self.ask_for_query(id);
        }
        let answer = match result {
            Ok(users) => {
                self.succeeded(Key::Query(id));
                self.trust(source);
                self.learn(id, users, now)
            }
            Err(failure) => {
                self.toggles[id].wanted = None;
                self.suspect(source, &failure, now);
                let lost = failure.is_unreachable();
                self.failed(Key::Query(id), "query", failure, now);
                if lost { Answer::Lost } else { Answer::Failed }
            }
        };
        let again = std::mem::take(&mut self.toggles[id].again);
        // A pass that came in the meantime asks at once, but a pause that was asked for is kept.
        if again && self.toggles[id].query.state != (State::Waiting { asked: true }) {
            self.hurry_query(id);
        } else if let Some(pass) = self.toggles[id].pass.take() {
            self.count_answer(source, pass, answer, now);
        }
    }

    /// Retries a query now.
    pub(super) fn hurry_query(&mut self, id: ToggleId) {
        self.toggles[id].query.state = State::Idle;
        self.ask_for_query(id);
    }

    fn learn(&mut self, id: ToggleId, users: Users, now: Moment) -> Answer {
        let source = self.config.toggles[id].users_policy.source;
        let toggle = &mut self.toggles[id];
        // Of two equal sets, one is kept.
        let users = match toggle.there.same(&users) {
            Some(known) => Arc::clone(known),
            None => Arc::new(users),
        };
        let before = toggle.answer.replace(Arc::clone(&users));
        let changed = before.is_some_and(|before| before != users);
        let was_known = toggle.wanted.replace(users).is_some();
        if changed && was_known && self.running_cause(source) == Some(Cause::Resync) {
            self.missed_callback(source);
        }
        let toggle = &mut self.toggles[id];
        let is_held = |trouble: &Trouble| trouble.failure.is_held();
        if changed && self.terms.readable && toggle.apply.trouble.as_ref().is_some_and(is_held) {
            // Somebody may have let it through in a pass of their own.
            toggle.there.forget_users(true);
        }
        // A poll is no news, and must not shorten the waits of a target that fails.
        let is_news = changed || self.running_cause(source) != Some(Cause::Poll);
        if is_news && self.toggles[id].apply.may_be_hurried() {
            self.hurry(id, now);
        } else {
            self.advance(id, now);
        }
        if changed {
            Answer::Changed
        } else {
            Answer::Same
        }
    }

    /// In a single pass: whether nothing more will come of a toggle. Once its source or its target has
    /// failed for good, retries of the other cannot help.
    pub(super) fn is_settled(&self, id: ToggleId) -> bool {
        let toggle = &self.toggles[id];
        let source = &self.sources[self.config.toggles[id].users_policy.source];
        let unanswerable = toggle.query.has_given_up() || source.has_given_up();
        let has_failed = unanswerable || toggle.apply.has_given_up();
        let paused_for_good = match (&self.paused, self.until()) {
            (Some((end, _)), Some(until)) => *end > until,
            _ => false,
        };
        let applied = match toggle.apply.state {
            State::Idle | State::GivenUp => true,
            State::Queued => paused_for_good,
            State::Waiting { .. } => has_failed,
            State::Running => false,
        };
        let retries = toggle.query.is_waiting() || source.is_waiting();
        let known = toggle.wanted.is_some() && source.passes.is_sure();
        let answered = known || unanswerable || (has_failed && retries);
        applied && answered
    }

    pub(super) fn toggle_name(&self, id: ToggleId) -> String {
        format!("toggle {}", self.config.toggles[id].key)
    }
}
