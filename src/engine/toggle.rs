//! A toggle: what is known of it, and its query at the source.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Created, Job, ToggleId};
use crate::plan::{Step, There};
use crate::schedule::LONGEST_PAUSE;
use crate::users::Users;

use super::pass::Answer;
use super::task::{State, Task, Trouble};
use super::view::{Outcome, Sent};
use super::{Cause, Engine, Key, Mode, Moment, Notice, Thing, Timer};

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

/// How long after a toggle is in sync again to look once more, or to send once more, where an update
/// was lost before: it may be applied late.
const CONFIRM: Duration = Duration::from_secs(30);

/// How long a target that counts requests counts them: after a 429, what it allows is asked for one
/// at a time until then.
const WINDOW: Duration = Duration::from_secs(10);

impl Engine {
    /// Puts a toggle in line for its next step at the target, if there is one to take.
    pub(super) fn advance(&mut self, id: ToggleId, now: Moment) {
        if !self.toggles[id].apply.is_idle() {
            return;
        }
        if self.permitted_step(id).is_some() {
            self.toggles[id].apply.state = State::Queued;
            self.steps.push_back(id);
        } else {
            self.rest(id, now.at);
        }
    }

    /// Retries the next step now.
    pub(super) fn hurry(&mut self, id: ToggleId, now: Moment) {
        self.timers.cancel(Timer::Task(Key::Apply(id)));
        self.toggles[id].apply.state = State::Idle;
        self.advance(id, now);
    }

    /// The next step that this run may take. Whether a run is dry is decided here and nowhere else.
    pub(super) fn permitted_step(&self, id: ToggleId) -> Option<Step> {
        let toggle = &self.toggles[id];
        let step = toggle
            .there
            .next_step(toggle.wanted.as_deref(), self.terms.readable)?;
        let dry_run = matches!(self.mode, Mode::Once { dry_run: true, .. });
        let may = match step {
            Step::Read => true,
            Step::Create | Step::Describe => !dry_run,
            Step::Update => !dry_run && self.is_sure(id) && self.held_back(id).is_none(),
        };
        may.then_some(step)
    }

    /// Whether the users that are wanted can be relied on: a pass follows as soon as they can.
    fn is_sure(&self, id: ToggleId) -> bool {
        let source = self.config.toggles[id].users_policy.source;
        self.sources[source].passes.is_sure()
    }

    /// There is nothing left to do at the target, or nothing that may be done.
    fn rest(&mut self, id: ToggleId, now: Instant) {
        if !self.is_sure(id) {
            self.toggles[id].apply.state = State::Idle;
            self.touched.insert(Thing::Toggle(id));
            return;
        }
        if let Some(failure) = self.held_back(id) {
            return self.keep_back(id, failure);
        }
        let toggle = &mut self.toggles[id];
        toggle.apply.state = State::Idle;
        self.touched.insert(Thing::Toggle(id));
        if toggle.wanted.is_some() {
            toggle.last_success = Some(now);
            if std::mem::take(&mut toggle.unsure) {
                self.timers.set(Timer::Confirm(id), now + CONFIRM);
            }
            self.succeeded(Key::Apply(id));
        }
    }

    pub(super) fn next_step(&mut self, now: Instant) -> Option<Job> {
        if self.paused.is_some() || !self.places.is_free(now) {
            return None;
        }
        while let Some(id) = self.steps.pop_front() {
            let Some(step) = self.permitted_step(id) else {
                self.rest(id, now);
                continue;
            };
            let toggle = &mut self.toggles[id];
            let job = match step {
                Step::Read => Some(Job::Read(self.batch(id))),
                Step::Create => Some(Job::Create(id)),
                Step::Describe => Some(Job::Describe(id, toggle.there.clone())),
                Step::Update => toggle.update(id),
            };
            if job.is_some() {
                let hung = self.toggles[id].apply.hung();
                self.places.take(id, now, hung);
                self.set_running(id);
                return job;
            }
        }
        None
    }

    pub(super) fn set_running(&mut self, id: ToggleId) {
        let toggle = &mut self.toggles[id];
        toggle.apply.state = State::Running;
        toggle.recheck = false;
    }

    pub(super) fn was_created(
        &mut self,
        id: ToggleId,
        result: Result<Created, Failure>,
        now: Moment,
    ) {
        self.places.release(id);
        let (new, present) = match result {
            Ok(Created::New(present)) => (true, present),
            Ok(Created::Existed(Some(present))) => (false, present),
            Ok(Created::Existed(None)) => {
                let words = "the target says that it is there already (409), but could not show \
                             it: it is read again";
                let failure = Failure::new(Kind::Status(409), words);
                return self.step_failed(id, "creation", failure, now);
            }
            Err(failure) => return self.step_failed(id, "creation", failure, now),
        };
        if new {
            let name = self.toggle_name(id);
            self.notices.push(Notice::Created { name });
        }
        let toggle = &mut self.toggles[id];
        toggle.exists = true;
        toggle.fresh = true;
        toggle.outcome.created |= new;
        if new {
            toggle.last_sent = Some(Arc::default());
        }
        toggle.there = There::Present(present);
        self.step_taken(id, "creation", now);
    }

    pub(super) fn was_described(&mut self, id: ToggleId, result: Result<(), Failure>, now: Moment) {
        self.places.release(id);
        if let Err(failure) = result {
            return self.step_failed(id, "metadata update", failure, now);
        }
        let toggle = &mut self.toggles[id];
        toggle.outcome.described = true;
        if let There::Present(present) = &mut toggle.there {
            present.described = true;
        }
        self.step_taken(id, "metadata update", now);
    }

    pub(super) fn was_updated(&mut self, id: ToggleId, result: Result<(), Failure>, now: Moment) {
        self.places.release(id);
        let sent = self.toggles[id].sent.take();
        let (users, change) = match (result, sent) {
            (Ok(()), Some(sent)) => sent,
            (Ok(()), None) => return self.step_taken(id, "update", now),
            (Err(failure), sent) => {
                if let Some((users, _)) = sent.filter(|_| failure.is_unsure()) {
                    self.toggles[id].may_have(&users);
                }
                return self.step_failed(id, "update", failure, now);
            }
        };
        let name = self.toggle_name(id);
        let toggle = &mut self.toggles[id];
        toggle.fresh = false;
        toggle.outcome.sent = change.clone();
        toggle.there.set_users(&users);
        toggle.last_sent = Some(Arc::clone(&users));
        let change = change.as_change().cloned();
        self.notices.push(Notice::Updated {
            name,
            users,
            change,
        });
        self.step_taken(id, "update", now);
    }

    /// After a lost request: looks, or sends, once more.
    pub(super) fn confirm(&mut self, id: ToggleId, now: Moment) {
        let toggle = &mut self.toggles[id];
        toggle.recheck = toggle.apply.is_running();
        if !toggle.recheck {
            toggle.there.forget_users(self.terms.readable);
            self.advance(id, now);
        }
    }

    pub(super) fn step_taken(&mut self, id: ToggleId, what: &'static str, now: Moment) {
        let toggle = &mut self.toggles[id];
        toggle.apply.state = State::Idle;
        if std::mem::take(&mut toggle.recheck) {
            toggle.there.forget(self.terms.readable);
        }
        // The same step's trouble is over; another's may come back: it ends when all is done.
        if matches!(&toggle.apply.trouble, Some(trouble) if trouble.what == what) {
            self.succeeded(Key::Apply(id));
        }
        self.touched.insert(Thing::Toggle(id));
        self.advance(id, now);
    }

    pub(super) fn step_failed(
        &mut self,
        id: ToggleId,
        what: &'static str,
        failure: Failure,
        now: Moment,
    ) {
        let toggle = &mut self.toggles[id];
        let deleted = failure.is_status(404) && !toggle.fresh && toggle.exists;
        if deleted && matches!(what, "update" | "metadata update") {
            toggle.there = There::Absent;
            toggle.apply.state = State::Idle;
            return self.advance(id, now);
        }
        toggle.unsure |= what == "update" && failure.is_unsure();
        toggle.there.forget_users(self.terms.readable);
        if failure.is_status(404) && toggle.fresh {
            toggle.there = There::Unknown;
        }
        self.pause_target(&failure, now);
        self.failed(Key::Apply(id), what, failure, now);
    }

    /// The target wants to be left alone (429): the whole of it.
    fn pause_target(&mut self, failure: &Failure, now: Moment) {
        if !failure.is_status(429) {
            return;
        }
        // Whatever it asks for: a clock that jumped can make ages of a moment.
        let pause = failure.pause.map(|pause| pause.min(LONGEST_PAUSE));
        let narrow = pause.unwrap_or_default().max(WINDOW);
        self.places.narrow(now.at + narrow);
        let Some(wait) = pause else {
            return;
        };
        let end = now.at + wait;
        if self.paused.as_ref().is_none_or(|(known, _)| *known < end) {
            self.paused = Some((end, failure.clone()));
            self.timers.set(Timer::Target, end);
            self.notices.push(Notice::Paused { wait });
            self.touched.insert(Thing::Target);
        }
    }
}

impl Toggle {
    /// Where it is not known who should have it, nobody is sent.
    fn update(&mut self, id: ToggleId) -> Option<Job> {
        let users = self.wanted.clone()?;
        let change = self.there.change_to(&users);
        let sent = change.map_or(Sent::Whole, Sent::Change);
        self.sent = Some((Arc::clone(&users), sent));
        Some(Job::Update(id, users, self.there.clone()))
    }
}

impl Engine {
    /// The toggles to read along with this one: all that are to be read, or read again, and can be
    /// had in the same job.
    pub(super) fn batch(&mut self, first: ToggleId) -> Vec<ToggleId> {
        let batches = &self.terms.batches;
        if batches[first].is_none() || self.toggles[first].read_alone {
            return vec![first];
        }
        let others = (0..self.toggles.len()).filter(|id| {
            let toggle = &self.toggles[*id];
            *id != first
                && batches[*id] == batches[first]
                && !toggle.read_alone
                && (toggle.apply.state == State::Queued || toggle.apply.may_be_hurried())
                && self.permitted_step(*id) == Some(Step::Read)
        });
        let others: Vec<ToggleId> = others.collect();
        for id in &others {
            self.timers.cancel(Timer::Task(Key::Apply(*id)));
            self.set_running(*id);
        }
        if !others.is_empty() {
            self.steps.retain(|id| others.binary_search(id).is_err());
        }
        std::iter::once(first).chain(others).collect()
    }

    /// Reads of one job have ended; the place is one of theirs.
    pub(super) fn were_read(
        &mut self,
        results: Vec<(ToggleId, Result<There, Failure>)>,
        now: Moment,
    ) {
        for (id, _) in &results {
            self.places.release(*id);
        }
        for (id, result) in results {
            match result {
                Ok(There::Unknown) => self.was_not_told(id, now),
                Ok(there) => {
                    let toggle = &mut self.toggles[id];
                    toggle.read_alone = false;
                    toggle.exists |= matches!(there, There::Present(_));
                    toggle.there = there;
                    self.step_taken(id, "read", now);
                }
                Err(failure) => self.step_failed(id, "read", failure, now),
            }
        }
    }

    /// A read of several toggles told nothing of this one: it gets a job of its own, so that a request
    /// that hangs delays no other toggle, and that a 429 is heard before the next one goes out.
    fn was_not_told(&mut self, id: ToggleId, now: Moment) {
        let toggle = &mut self.toggles[id];
        if std::mem::replace(&mut toggle.read_alone, true) {
            let failure = Failure::new(Kind::Answer, "the target does not tell of it");
            return self.step_failed(id, "read", failure, now);
        }
        toggle.apply.state = State::Idle;
        self.advance(id, now);
    }

    /// Why the next update of a toggle may not be made; none where it may, or where there is none. Other
    /// steps may come before it, which a dry run does not take.
    ///
    /// A set that becomes empty removes everybody. The limit holds in each environment by itself: what
    /// is not known of one lets nothing through in another. Where it is not known in one who has the
    /// toggle, an empty set is held too.
    pub(super) fn held_back(&self, id: ToggleId) -> Option<Failure> {
        let limit = self.config.toggles[id].max_removal?;
        if matches!(self.mode, Mode::Once { force: true, .. }) {
            return None;
        }
        let toggle = &self.toggles[id];
        let wanted = toggle.wanted.as_deref()?;
        if !toggle.there.lacks(wanted, self.terms.readable) {
            return None;
        }
        let removals = toggle.there.removals(wanted, toggle.last_sent.as_deref());
        let known = removals.iter().flatten();
        let too_many = known.filter(|it| !limit.allows(it.removed, it.of));
        let key = &self.config.toggles[id].key;
        if let Some(most) = too_many.max_by(|one, other| one.cmp_share(other)) {
            return Some(Failure::held(most.removed, Some(most.of), limit, key));
        }
        let some_unknown = removals.contains(&None);
        let held = some_unknown && wanted.is_empty() && !limit.allows_anything();
        held.then(|| Failure::held(0, None, limit, key))
    }

    /// Leaves a toggle as it is, and says why: once, as long as the numbers are the same.
    pub(super) fn keep_back(&mut self, id: ToggleId, failure: Failure) {
        self.touched.insert(Thing::Toggle(id));
        let name = self.toggle_name(id);
        let apply = &mut self.toggles[id].apply;
        apply.state = State::Idle;
        if matches!(&apply.trouble, Some(known) if known.failure.kind == failure.kind) {
            return;
        }
        apply.trouble = Some(Trouble {
            what: "update",
            failure: failure.clone(),
            count: 1,
        });
        self.notices.push(Notice::HeldBack { name, failure });
    }
}
