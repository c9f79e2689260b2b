//! A toggle: its state, its query at the source, and its next step at the target.
//!
//! [`Engine::decide`] alone decides what is done at the target, each time that the state changes: which step
//! is next, what it changes, and whether it is allowed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::MaxRemoval;
use crate::error::{Failure, Kind};
use crate::job::{Applied, Applies, Edit, Job, Operation, Reads, SourceId, ToggleId, What};
use crate::plan::{History, Observed, Removal, Step};
use crate::schedule::LONGEST_PAUSE;
use crate::users::{Change, Users};

use super::task::{State, Task, Trouble};
use super::view::{Outcome, Sent};
use super::{Cause, Engine, Key, Mode, Moment, News, Subject, Timer};

/// After a lost update, a toggle is read or sent once more this long after it is in sync again: the update
/// may be applied late.
const CONFIRM: Duration = Duration::from_secs(30);

/// The window of a rate limit: after a 429, requests are made one at a time for this long.
const WINDOW: Duration = Duration::from_secs(10);

/// By how much a change may exceed `http_timeout` before that is a failure.
const LATE: Duration = Duration::from_secs(5);

/// For how long removals count together without resyncs.
const UNSYNCED: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(super) struct Toggle {
    pub(super) query: Task,
    pub(super) apply: Task,
    /// The number of the pass that waits for the next response.
    pub(super) pass: Option<u64>,
    /// The pass that waits for the outcome at the target.
    pub(super) settles: Option<u64>,
    /// Whether it was created, or found, once.
    pub(super) exists: bool,
    /// None if the last query failed, or before the first.
    pub(super) desired: Option<Arc<Users>>,
    /// The turns of the query that `desired` came from, and of the one in flight.
    pub(super) asked: u64,
    pub(super) asking: u64,
    /// The turn of the last read at the target.
    looked: u64,
    /// The turn in which the policy may last have changed.
    pub(super) news: u64,
    /// Since when the target may differ from the policy.
    pub(super) behind: Option<Instant>,
    pub(super) is_late: bool,
    /// The last good response.
    pub(super) answer: Option<Arc<Users>>,
    pub(super) observed: Observed,
    /// To be read again, or sent again, although nothing is known to differ.
    pub(super) due: bool,
    /// A read of several toggles did not return it: it is read separately until it is known, or the next
    /// resync.
    pub(super) read_alone: bool,
    pub(super) last_success: Option<Instant>,
    pub(super) history: History,
    pub(super) outcome: Outcome,
    /// It was created, or given other users, since the last report of a pass.
    pub(super) has_changed: bool,
    /// Query once more when the running query ends.
    again: bool,
    /// The queued step.
    next: Option<Next>,
    /// The edit in flight.
    pub(super) edit: Option<Next>,
    /// Created, or found to exist, since the last update: a 404 does not mean that it was deleted.
    pub(super) fresh: bool,
    /// An update was lost that could be applied late.
    pub(super) unsure: bool,
    /// The request in flight is of the engine of an earlier configuration.
    pub(super) waits_for_old: bool,
    /// The outcome of the request in flight may be outdated.
    pub(super) recheck: bool,
}

pub(super) enum Next {
    Read,
    Create,
    Describe,
    /// Send users, which makes a change in each environment.
    Update {
        users: Arc<Users>,
        changes: Vec<Option<Arc<Change>>>,
    },
}

impl Next {
    fn operation(&self) -> Operation {
        match self {
            Next::Read => Operation::Read,
            Next::Create => Operation::Create,
            Next::Describe => Operation::Describe,
            Next::Update { .. } => Operation::Update,
        }
    }
}

/// What to do about a toggle at the target, or why nothing is done.
enum Decision {
    Step(Next),
    InSync,
    /// The desired users are older than the last read at the target.
    Stale,
    /// It would remove users, and the source's OPA has not proven that it has loaded everything.
    Doubtful,
    /// The source's OPA is not ready, or a dry run has nothing to do.
    Wait,
    Held(Failure),
}

impl Toggle {
    /// Waits for the request of the old engine, which alone gets its outcome: a toggle never has two in flight.
    pub(super) fn wait_for_old(&mut self, old: &Toggle) {
        self.waits_for_old = true;
        self.apply.state = State::Running;
        self.observed = Observed::Unknown;
        self.unsure |= old.unsure;
        if let Some(Next::Update { users, .. }) = &old.edit {
            self.unsure = true;
            self.history.may_have(users);
        }
    }

    /// Has it read again, or sent again, when nothing else is to be done.
    pub(super) fn fall_due(&mut self, readable: bool, turn: u64) {
        self.read_alone = false;
        self.due = true;
        if !readable {
            self.looked = turn;
            self.recheck = self.apply.is_running();
            if !self.recheck {
                self.observed.forget_users(readable);
            }
        }
    }

    /// Whether the desired users are older than the last read at the target, which may show what another
    /// instance wrote later.
    fn is_stale(&self) -> bool {
        self.desired.is_some() && self.looked > self.asked
    }

    /// Whether an update waits for another query.
    fn waits_for_answer(&self, readable: bool) -> bool {
        let steps = self.observed.steps(self.desired.as_deref(), readable);
        self.is_stale() && steps.contains(&Step::Update)
    }

    /// Whether the target differs, or may differ, from the policy.
    fn is_behind(&self, readable: bool) -> bool {
        let is_sent_again = self.due && !readable;
        let steps = self.observed.steps(self.desired.as_deref(), readable);
        let is_known = self.desired.is_some();
        let lacks = is_known && steps.iter().any(|step| *step != Step::Describe);
        self.news > self.asked || (!is_sent_again && lacks)
    }
}

impl Engine {
    /// Queries a toggle's rule as soon as its source has a slot.
    pub(super) fn ask_for_query(&mut self, id: ToggleId) {
        let toggle = &mut self.toggles[id];
        match toggle.query.state {
            State::Running => toggle.again = true,
            State::Queued | State::GivenUp | State::Waiting { asked: true } => {}
            State::Idle | State::Waiting { asked: false } => {
                toggle.query.state = State::Queued;
                self.timers.cancel(Timer::Task(Key::Query(id)));
                let source = self.config.toggles[id].users_policy.source;
                self.sources[source].passes.queries.push_back(id);
            }
        }
    }

    /// Queries again for users that are older than the last read at the target; a file is read first.
    fn ask_again(&mut self, id: ToggleId) {
        let source = self.config.toggles[id].users_policy.source;
        let toggle = &self.toggles[id];
        if self.sources[source].asked <= toggle.looked && self.sources[source].terms.is_read {
            self.begin(Key::Discover(source));
        } else if !toggle.query.is_running() || toggle.asking < toggle.looked {
            self.ask_for_query(id);
        }
    }

    /// After a read of an unchanged file.
    pub(super) fn ask_stale(&mut self, source: SourceId) {
        for id in self.toggles_of(source) {
            if self.toggles[id].waits_for_answer(self.terms.readable) {
                self.ask_again(id);
            }
        }
    }

    pub(super) fn queried(&mut self, id: ToggleId, result: Result<Users, Failure>, now: Moment) {
        let source = self.config.toggles[id].users_policy.source;
        self.sources[source].passes.slots.release(id);
        if self.toggles[id].query.take_outdated() {
            self.toggles[id].again = false;
            return self.ask_for_query(id);
        }
        let failure = result.as_ref().err().cloned();
        match result {
            Ok(users) => {
                self.succeeded(Key::Query(id));
                // OPA is where it was thought to be.
                self.sources[source].rediscovery.reset();
                self.sources[source].rediscover_after = None;
                self.learn(id, users, now);
            }
            Err(failure) => {
                self.toggles[id].desired = None;
                self.rediscover(source, &failure, now);
                self.failed(Key::Query(id), Operation::Query, failure, now);
                self.decide_again(id, now);
            }
        }
        let again = std::mem::take(&mut self.toggles[id].again);
        // A pass that has begun meanwhile queries at once, but respects a pause.
        let state = self.toggles[id].query.state;
        if again && state != (State::Waiting { asked: true }) {
            if state != State::Queued {
                self.hurry_query(id);
            }
        } else if let Some(pass) = self.toggles[id].pass.take() {
            self.waits_for_target(id, pass);
            let toggle = &self.toggles[id];
            let is_active = matches!(toggle.apply.state, State::Queued | State::Running);
            if !is_active && !toggle.waits_for_answer(self.terms.readable) {
                self.settled(id);
            }
            self.count_answer(source, pass, failure.as_ref(), now);
        }
    }

    pub(super) fn hurry_query(&mut self, id: ToggleId) {
        self.toggles[id].query.state = State::Idle;
        self.ask_for_query(id);
    }

    fn learn(&mut self, id: ToggleId, users: Users, now: Moment) {
        let source = self.config.toggles[id].users_policy.source;
        let toggle = &mut self.toggles[id];
        toggle.asked = toggle.asking;
        // Equal sets share their memory.
        let users = match toggle.observed.same(&users) {
            Some(known) => Arc::clone(known),
            None => Arc::new(users),
        };
        let before = toggle.answer.replace(Arc::clone(&users));
        let changed = before.is_some_and(|before| before != users);
        let was_known = toggle.desired.replace(users).is_some();
        let source = &mut self.sources[source];
        let cause = source.passes.running.as_ref().map(|pass| pass.cause);
        if changed && was_known && matches!(cause, Some(Cause::Resync | Cause::Watch)) {
            source.missed_callback();
        }
        let readable = self.terms.readable;
        let toggle = &mut self.toggles[id];
        let is_held = |trouble: &Trouble| trouble.failure.is_held();
        if changed && readable && toggle.apply.trouble.as_ref().is_some_and(is_held) {
            // `sync --force` may have applied it.
            toggle.due = true;
        } else if changed && !readable {
            // It is a change now, not a repetition.
            toggle.due = false;
        }
        // A poll without a change must not shorten the waits of a target that fails.
        let is_news = changed || !matches!(cause, Some(Cause::Poll | Cause::Watch));
        if is_news && self.toggles[id].apply.may_be_hurried() {
            self.hurry(id, now);
        } else {
            self.decide_again(id, now);
        }
    }

    /// Decides anew what to do at the target, and queues it, unless a request is in flight or waits for its
    /// retry.
    pub(super) fn decide_again(&mut self, id: ToggleId, now: Moment) {
        self.note_if_behind(id, now.at);
        let is_queued = self.toggles[id].apply.state == State::Queued;
        if !is_queued && !self.toggles[id].apply.is_idle() {
            return;
        }
        let window = match self.config.toggles[id].max_removal.allows_everybody() {
            // Earlier removals do not matter, and sets can be large.
            true => Duration::ZERO,
            false => self.config.resync_interval.unwrap_or(UNSYNCED),
        };
        if let Some(start) = now.at.checked_sub(window) {
            self.toggles[id].history.forget_before(start);
        }
        let next = match self.decide(id) {
            Decision::Step(next) => next,
            other => return self.come_to_rest(id, other, now),
        };
        let toggle = &mut self.toggles[id];
        let readable = self.terms.readable;
        let is_change = matches!(next, Next::Update { .. }) && (readable || !toggle.due);
        toggle.next = Some(next);
        toggle.apply.state = State::Queued;
        // A toggle that changes queues leaves an entry behind, which is skipped.
        if is_change {
            self.changes.push_back(id);
        } else if !is_queued {
            self.looks.push_back(id);
        }
        if self.paused.is_some() {
            self.touched.insert(Subject::Target);
        }
        if self.toggles[id].waits_for_answer(readable) {
            self.ask_again(id);
        }
    }

    pub(super) fn hurry(&mut self, id: ToggleId, now: Moment) {
        self.timers.cancel(Timer::Task(Key::Apply(id)));
        self.toggles[id].apply.state = State::Idle;
        self.decide_again(id, now);
    }

    /// The next step, if this run may take it. Only here is decided what a dry run does.
    fn decide(&self, id: ToggleId) -> Decision {
        let toggle = &self.toggles[id];
        let readable = self.terms.readable;
        let dry_run = matches!(self.mode, Mode::Once { dry_run: true, .. });
        let mut blocked = None;
        let mut steps = toggle.observed.steps(toggle.desired.as_deref(), readable);
        if toggle.due && readable && matches!(toggle.observed, Observed::Present(_)) {
            // After a change, before metadata.
            let at = usize::from(steps.first() == Some(&Step::Update));
            steps.insert(at, Step::Read);
        }
        for step in steps {
            match step {
                Step::Read => return Decision::Step(Next::Read),
                Step::Create | Step::Describe if dry_run => {}
                Step::Create => return Decision::Step(Next::Create),
                Step::Describe => return Decision::Step(Next::Describe),
                Step::Update => match self.update(id) {
                    Ok(_) if dry_run => blocked = Some(Decision::Wait),
                    Ok(update) => return Decision::Step(update),
                    Err(why) => blocked = Some(why),
                },
            }
        }
        // A dry run does not create, but reports what would be held then.
        let is_there = matches!(toggle.observed, Observed::Present(_));
        if dry_run && !is_there && !readable {
            blocked = self.update(id).err();
        }
        blocked.unwrap_or(Decision::InSync)
    }

    /// The update to send, or why it may not be sent.
    fn update(&self, id: ToggleId) -> Result<Next, Decision> {
        let toggle = &self.toggles[id];
        let Some(users) = toggle.desired.clone() else {
            return Err(Decision::Wait);
        };
        if !self.is_sure(id) {
            return Err(Decision::Wait);
        }
        if toggle.is_stale() {
            return Err(Decision::Stale);
        }
        let changes = toggle.observed.changes_to(&users);
        let limit = self.limit(id);
        // The source's OPA was trusted without proof, and OPAL can prove it.
        let source = &self.sources[self.config.toggles[id].users_policy.source];
        let lacks_proof =
            source.registers && source.passes.asks_if_ready && source.passes.loading.lacks_proof();
        let removals = match limit.is_some() || lacks_proof {
            true => toggle.observed.removals(&users, &changes, &toggle.history),
            false => Vec::new(),
        };
        let may_remove = |removal: &Option<Removal>| removal.is_none_or(|it| it.removed > 0);
        if lacks_proof && removals.iter().any(may_remove) {
            return Err(Decision::Doubtful);
        }
        let key = &self.config.toggles[id].key;
        match limit.and_then(|limit| held_back(limit, &removals, users.len(), key)) {
            Some(failure) => Err(Decision::Held(failure)),
            None => Ok(Next::Update { users, changes }),
        }
    }

    fn is_sure(&self, id: ToggleId) -> bool {
        let source = self.config.toggles[id].users_policy.source;
        self.sources[source].passes.is_sure()
    }

    /// The removal limit, if there is one.
    fn limit(&self, id: ToggleId) -> Option<MaxRemoval> {
        let toggle = &self.config.toggles[id];
        let limit = match self.sources[toggle.users_policy.source].passes.unproven {
            // Where OPA may lack data, few users are no reason to have no limit.
            true if toggle.max_removal == MaxRemoval::Unset => MaxRemoval::Percent(50.0),
            _ => toggle.max_removal,
        };
        let is_forced = matches!(self.mode, Mode::Once { force: true, .. });
        (!is_forced && !limit.allows_everybody()).then_some(limit)
    }

    /// Nothing is left to do at the target, or nothing may be done.
    fn come_to_rest(&mut self, id: ToggleId, why: Decision, now: Moment) {
        self.touched.insert(Subject::Toggle(id));
        let toggle = &mut self.toggles[id];
        toggle.next = None;
        toggle.apply.state = State::Idle;
        if self.paused.is_some() {
            self.touched.insert(Subject::Target);
        }
        if matches!(why, Decision::Stale) {
            // The resync waits for the response: if the target were read first, each response could be stale.
            return self.ask_again(id);
        }
        self.note_reached(id, now.at);
        match why {
            Decision::Doubtful => self.doubt(self.config.toggles[id].users_policy.source, now),
            Decision::Held(failure) => self.hold_back(id, failure),
            Decision::InSync if self.toggles[id].desired.is_some() => {
                self.note_in_sync(id, now.at);
            }
            _ => {}
        }
        self.settled(id);
    }

    fn note_in_sync(&mut self, id: ToggleId, now: Instant) {
        let toggle = &mut self.toggles[id];
        toggle.due = false;
        toggle.last_success = Some(now);
        if std::mem::take(&mut toggle.unsure) {
            self.timers.set(Timer::Confirm(id), now + CONFIRM);
        }
        self.succeeded(Key::Apply(id));
    }

    /// Logs the reason once, as long as the numbers are the same.
    fn hold_back(&mut self, id: ToggleId, failure: Failure) {
        let apply = &mut self.toggles[id].apply;
        if matches!(&apply.trouble, Some(known) if known.failure.kind == failure.kind) {
            return;
        }
        apply.trouble = Some(Trouble::first(Operation::Update, failure.clone()));
        self.notify(Subject::Toggle(id), News::HeldBack(failure));
    }

    /// The rules of a source cannot be queried: a resync does not wait for that.
    pub(super) fn skip_in_resync(&mut self, source: SourceId, now: Instant) {
        for id in self.toggles_of(source) {
            if self.toggles[id].waits_for_answer(self.terms.readable) {
                self.note_reached(id, now);
            }
        }
    }

    /// The policy of a source may have changed: its toggles are behind until they are queried.
    pub(super) fn heard_news(&mut self, source: SourceId, now: Instant) {
        let turn = self.tick();
        for id in self.toggles_of(source) {
            self.toggles[id].news = turn;
            self.note_if_behind(id, now);
        }
    }

    fn note_if_behind(&mut self, id: ToggleId, now: Instant) {
        let toggle = &mut self.toggles[id];
        let timer = Timer::Late(id);
        match (toggle.is_behind(self.terms.readable), toggle.behind) {
            (true, None) => {
                toggle.behind = Some(now);
                let late = now + self.config.http_timeout + LATE;
                self.timers.set(timer, late);
            }
            (false, Some(_)) => {
                toggle.behind = None;
                self.timers.cancel(timer);
                if std::mem::take(&mut toggle.is_late) {
                    self.touched.insert(Subject::Toggle(id));
                }
            }
            _ => {}
        }
    }

    pub(super) fn note_late(&mut self, id: ToggleId, now: Instant) {
        self.touched.insert(Subject::Toggle(id));
        let toggle = &mut self.toggles[id];
        toggle.is_late = true;
        let since = toggle.behind.unwrap_or(now);
        if toggle.query.trouble.is_none() && toggle.apply.trouble.is_none() {
            let after = now - since;
            self.notify(Subject::Toggle(id), News::Late { after });
        }
    }

    pub(super) fn next_step(&mut self, moment: Moment) -> Option<Job> {
        let now = moment.at;
        if self.paused.is_some() || !self.slots.is_free(now) {
            return None;
        }
        let mut edits: Vec<Edit> = Vec::new();
        while let Some(id) = self.changes.pop_front().or_else(|| self.looks.pop_front()) {
            let what = match &self.toggles[id].next {
                None => continue,
                Some(Next::Read) if edits.is_empty() => {
                    self.take_slot(id, now);
                    return Some(Job::Read(self.batch(id)));
                }
                Some(Next::Read) => {
                    self.looks.push_front(id);
                    break;
                }
                Some(Next::Create) => What::Create,
                Some(Next::Describe) => What::Describe,
                Some(Next::Update { .. }) if !self.is_sure(id) => {
                    self.come_to_rest(id, Decision::Wait, moment);
                    continue;
                }
                Some(Next::Update { users, .. }) => What::Update(Arc::clone(users)),
            };
            self.toggles[id].edit = self.toggles[id].next.take();
            self.set_running(id);
            edits.push(Edit { toggle: id, what });
            if !self.terms.applies_together {
                break;
            }
        }
        self.take_slot(edits.first()?.toggle, now);
        Some(Job::Apply(edits))
    }

    fn take_slot(&mut self, id: ToggleId, now: Instant) {
        let hung = self.toggles[id].apply.hung();
        self.slots.take(id, now, hung);
    }

    fn set_running(&mut self, id: ToggleId) {
        let toggle = &mut self.toggles[id];
        toggle.apply.state = State::Running;
        toggle.recheck = false;
    }

    /// The toggles to read together with this one: all that are due and fit the same job.
    fn batch(&mut self, first: ToggleId) -> Vec<ToggleId> {
        let mut batch = vec![first];
        let batches = &self.terms.batches;
        let others = (0..self.toggles.len()).filter(|id| {
            let toggle = &self.toggles[*id];
            let is_read = match toggle.apply.state {
                State::Queued => matches!(toggle.next, Some(Next::Read)),
                State::Waiting { asked: false } => {
                    matches!(self.decide(*id), Decision::Step(Next::Read))
                }
                _ => false,
            };
            *id != first && batches[*id] == batches[first] && !toggle.read_alone && is_read
        });
        if batches[first].is_some() && !self.toggles[first].read_alone {
            batch.extend(others);
        }
        for id in &batch {
            self.timers.cancel(Timer::Task(Key::Apply(*id)));
            self.toggles[*id].next = None;
            self.toggles[*id].due = false;
            self.set_running(*id);
        }
        batch
    }

    /// One of the toggles holds the slot of the job.
    pub(super) fn were_read(&mut self, results: Reads, now: Moment) {
        for (id, _) in &results {
            self.slots.release(*id);
        }
        for (id, result) in results {
            match result {
                Ok(Observed::Unknown) => self.was_not_returned(id, now),
                Ok(observed) => {
                    self.toggles[id].read_alone = false;
                    self.was_seen(id, observed, now.at);
                    self.step_taken(id, Operation::Read, now);
                }
                Err(failure) => self.step_failed(id, Operation::Read, failure, now),
            }
        }
    }

    fn was_seen(&mut self, id: ToggleId, observed: Observed, now: Instant) {
        let turn = self.tick();
        let toggle = &mut self.toggles[id];
        toggle.looked = turn;
        if let Observed::Present(present) = &observed {
            toggle.exists = true;
            toggle.history.seen(&present.environments, now);
        }
        toggle.observed = observed;
    }

    /// A read of several toggles did not return this one: it gets its own job, so that a request that hangs
    /// delays no other toggle, and a 429 takes effect before the next request.
    fn was_not_returned(&mut self, id: ToggleId, now: Moment) {
        let toggle = &mut self.toggles[id];
        if std::mem::replace(&mut toggle.read_alone, true) {
            let failure = Failure::new(Kind::Answer, "the target did not return the toggle");
            return self.step_failed(id, Operation::Read, failure, now);
        }
        toggle.due = true;
        toggle.apply.state = State::Idle;
        self.decide_again(id, now);
    }

    /// One of the toggles holds the slot of the job.
    pub(super) fn were_applied(&mut self, results: Applies, now: Moment) {
        for (id, _) in &results {
            self.slots.release(*id);
        }
        for (id, result) in results {
            let Some(edit) = self.toggles[id].edit.take() else {
                continue;
            };
            let operation = match (&edit, &result) {
                (Next::Describe | Next::Update { .. }, Ok(Applied::Found(_))) => Operation::Read,
                _ => edit.operation(),
            };
            match self.was_applied(id, edit, result, now.at) {
                Ok(()) => self.step_taken(id, operation, now),
                Err(failure) => self.step_failed(id, operation, failure, now),
            }
        }
    }

    fn was_applied(
        &mut self,
        id: ToggleId,
        edit: Next,
        result: Result<Applied, Failure>,
        now: Instant,
    ) -> Result<(), Failure> {
        let toggle = &mut self.toggles[id];
        match (result, edit) {
            (Err(failure), edit) => {
                if let Next::Update { users, .. } = edit
                    && failure.is_unsure()
                {
                    toggle.history.may_have(&users);
                }
                return Err(failure);
            }
            (Ok(Applied::Found(Observed::Unknown)), _) => {
                let words = "the target says that the toggle exists (409), but did not return it: \
                             reading it again";
                return Err(Failure::new(Kind::Status(409), words));
            }
            (Ok(Applied::Found(observed)), edit) => {
                let is_new = matches!(edit, Next::Create);
                toggle.exists |= is_new;
                toggle.fresh |= is_new;
                match self.terms.readable {
                    true => self.was_seen(id, observed, now),
                    false => toggle.observed = observed,
                }
            }
            (Ok(Applied::Created(present)), _) => {
                toggle.exists = true;
                toggle.fresh = true;
                toggle.outcome.created = true;
                toggle.has_changed = true;
                toggle.history = History::of_new();
                toggle.observed = Observed::Present(present);
                self.notify(Subject::Toggle(id), News::Created);
            }
            (Ok(Applied::Done), Next::Update { users, changes }) => {
                let change = Change::of_all(&changes);
                toggle.fresh = false;
                toggle.has_changed |= change.as_ref().is_none_or(|change| !change.is_empty());
                toggle.observed.set_users(&users);
                toggle.history.sent(&users, &changes, now);
                toggle.outcome.sent = change.clone().map_or(Sent::Whole, Sent::Change);
                self.notify(Subject::Toggle(id), News::Updated { users, change });
            }
            (Ok(Applied::Done), _) => {
                toggle.outcome.described = true;
                if let Observed::Present(present) = &mut toggle.observed {
                    present.described = true;
                }
            }
        }
        Ok(())
    }

    /// After a lost update: reads, or sends, once more.
    pub(super) fn confirm(&mut self, id: ToggleId, now: Moment) {
        let turn = self.tick();
        self.toggles[id].fall_due(self.terms.readable, turn);
        self.decide_again(id, now);
    }

    fn step_taken(&mut self, id: ToggleId, operation: Operation, now: Moment) {
        let toggle = &mut self.toggles[id];
        toggle.apply.state = State::Idle;
        if std::mem::take(&mut toggle.recheck) {
            toggle.observed.forget(self.terms.readable);
        }
        // The trouble of another step may come back, and ends when all is done.
        if matches!(&toggle.apply.trouble, Some(trouble) if trouble.operation == operation) {
            self.succeeded(Key::Apply(id));
        }
        self.touched.insert(Subject::Toggle(id));
        self.decide_again(id, now);
    }

    fn step_failed(&mut self, id: ToggleId, operation: Operation, failure: Failure, now: Moment) {
        let readable = self.terms.readable;
        let toggle = &mut self.toggles[id];
        let deleted = failure.is_status(404) && !toggle.fresh && toggle.exists;
        if deleted && matches!(operation, Operation::Update | Operation::Describe) {
            toggle.observed = Observed::Absent;
            toggle.apply.state = State::Idle;
            return self.decide_again(id, now);
        }
        toggle.unsure |= operation == Operation::Update && failure.is_unsure();
        match operation {
            Operation::Read => toggle.due = true,
            _ => toggle.observed.forget_users(readable),
        }
        if failure.is_status(404) && toggle.fresh {
            toggle.observed = Observed::Unknown;
        }
        self.pause_target(&failure, now);
        self.failed(Key::Apply(id), operation, failure, now);
        self.note_if_behind(id, now.at);
        self.note_reached(id, now.at);
        self.settled(id);
    }

    /// A 429 pauses the whole target.
    fn pause_target(&mut self, failure: &Failure, now: Moment) {
        if !failure.is_status(429) {
            return;
        }
        // A jump of the wall clock can make it any length.
        let pause = failure.pause.map(|pause| pause.min(LONGEST_PAUSE));
        let narrow = pause.unwrap_or_default().max(WINDOW);
        self.slots.narrow(now.at + narrow);
        let Some(wait) = pause else {
            return;
        };
        let end = now.at + wait;
        if self.paused.as_ref().is_none_or(|(known, _)| *known < end) {
            self.paused = Some((end, failure.clone()));
            self.timers.set(Timer::Target, end);
            self.notify(Subject::Target, News::Paused { wait });
            self.touched.insert(Subject::Target);
        }
    }

    /// Whether a single pass is over for a toggle: once its source or its target has failed for good, retries
    /// of the other cannot help.
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
        let waits = toggle.waits_for_answer(self.terms.readable);
        let known = toggle.desired.is_some() && source.passes.is_sure() && !waits;
        let answered = known || unanswerable || (has_failed && retries);
        applied && answered
    }
}

/// Why an update with these removals, which leaves so many users, is held back.
///
/// The limit holds in each environment separately: one that is unknown lets nothing through in another. If
/// the users of one are unknown, an empty set is held back too, unless no limit is configured.
fn held_back(
    limit: MaxRemoval,
    removals: &[Option<Removal>],
    left: usize,
    key: &str,
) -> Option<Failure> {
    let known = removals.iter().flatten();
    let too_many = known.filter(|it| !limit.allows(it.removed, it.of, left));
    let share = |it: &Removal| it.removed as f64 / it.of.max(1) as f64;
    let by_share = |one: &&Removal, other: &&Removal| {
        let order = share(one).total_cmp(&share(other));
        order.then(one.removed.cmp(&other.removed))
    };
    if let Some(most) = too_many.max_by(by_share) {
        return Some(Failure::held(most.removed, Some(most.of), limit, key));
    }
    let is_held = removals.contains(&None) && left == 0 && limit != MaxRemoval::Unset;
    is_held.then(|| Failure::held(0, None, limit, key))
}
