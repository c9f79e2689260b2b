//! A toggle: its query at the source, and its next step at the target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Created, Job, ToggleId};
use crate::plan::{Step, There};
use crate::users::Users;

use super::task::{State, Task};
use super::view::{Outcome, Sent};
use super::{Engine, Key, Mode, Moment, Notice, Timer};

/// After a request whose outcome is not known, and the next one that succeeded: when to look again,
/// or to send again, in case the lost one was applied late.
const CONFIRM: Duration = Duration::from_secs(30);

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
    /// How many users the last good answer had.
    pub(super) count: Option<usize>,
    pub(super) there: There,
    pub(super) last_success: Option<Instant>,
    /// What was done, for the report of `sync`.
    pub(super) outcome: Outcome,
    /// Query once more as soon as the running query has ended.
    again: bool,
    /// The users of the update in flight, and what they change.
    sent: Option<(Arc<Users>, Sent)>,
    /// Created, or found to exist, since the last update: a 404 is then no news.
    fresh: bool,
    /// A request was lost that could be applied late.
    unsure: bool,
    /// What is in flight cannot be taken for the target's state.
    recheck: bool,
}

impl Toggle {
    /// For a resync.
    pub(super) fn forget(&mut self, readable: bool) {
        self.recheck = self.apply.is_running();
        if !self.recheck {
            self.there.forget(readable);
        }
    }

    fn needs_target(&self, readable: bool) -> bool {
        self.there
            .next_step(self.wanted.as_deref(), readable)
            .is_some()
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
        let answer = match result {
            Ok(users) => {
                self.succeeded(Key::Query(id));
                self.trust(source);
                Ok(self.learn(id, users, now))
            }
            Err(failure) => {
                self.toggles[id].wanted = None;
                self.suspect(source, &failure, now);
                self.failed(Key::Query(id), "query", failure, now);
                Err(())
            }
        };
        if std::mem::take(&mut self.toggles[id].again) {
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

    /// Whether the target has to hear of the users.
    fn learn(&mut self, id: ToggleId, users: Users, now: Moment) -> bool {
        let toggle = &mut self.toggles[id];
        toggle.count = Some(users.len());
        // Of two equal sets, one is kept.
        toggle.wanted = Some(match toggle.there.users() {
            Some(known) if **known == users => Arc::clone(known),
            _ => Arc::new(users),
        });
        let changed = toggle.needs_target(self.readable);
        match toggle.apply.may_be_hurried() {
            true => self.hurry(id, now),
            false => self.advance(id, now),
        }
        changed
    }

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
    fn permitted_step(&self, id: ToggleId) -> Option<Step> {
        let toggle = &self.toggles[id];
        let step = toggle
            .there
            .next_step(toggle.wanted.as_deref(), self.readable)?;
        let dry_run = matches!(self.mode, Mode::Once { dry_run: true, .. });
        (step == Step::Read || !dry_run).then_some(step)
    }

    /// There is nothing left to do at the target.
    fn rest(&mut self, id: ToggleId, now: Instant) {
        let toggle = &mut self.toggles[id];
        toggle.apply.state = State::Idle;
        self.touched.insert(super::Thing::Toggle(id));
        if toggle.wanted.is_some() {
            toggle.last_success = Some(now);
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
            toggle.apply.state = State::Running;
            toggle.recheck = false;
            self.places.take(id, now);
            return Some(match step {
                Step::Read => Job::Read(id),
                Step::Create => Job::Create(id),
                Step::Describe => Job::Describe(id),
                Step::Update => toggle.update(id),
            });
        }
        None
    }

    pub(super) fn was_read(&mut self, id: ToggleId, result: Result<There, Failure>, now: Moment) {
        self.places.release(id);
        match result {
            Ok(there) => {
                let toggle = &mut self.toggles[id];
                toggle.exists |= matches!(there, There::Present { .. });
                toggle.there = there;
                self.step_taken(id, "read", now);
            }
            Err(failure) => self.step_failed(id, "read", failure, now),
        }
    }

    pub(super) fn was_created(
        &mut self,
        id: ToggleId,
        result: Result<Created, Failure>,
        now: Moment,
    ) {
        self.places.release(id);
        let created = match result {
            Ok(created) => created,
            Err(failure) => return self.step_failed(id, "creation", failure, now),
        };
        if created == Created::Existed && self.readable {
            let words = "the target says that it is there already (409), but could not show it: it \
                         is read again";
            let failure = Failure::new(Kind::Status(409), words);
            return self.step_failed(id, "creation", failure, now);
        }
        let new = created == Created::New;
        if new {
            let name = self.toggle_name(id);
            self.notices.push(Notice::Created { name });
        }
        let nothing_to_describe = self.config.toggles[id].spec.is_empty();
        let toggle = &mut self.toggles[id];
        toggle.exists = true;
        toggle.fresh = true;
        toggle.outcome.created |= new;
        toggle.there = There::Present {
            described: new || nothing_to_describe,
            users: (new && self.readable).then(Arc::default),
        };
        self.step_taken(id, "creation", now);
    }

    pub(super) fn was_described(&mut self, id: ToggleId, result: Result<(), Failure>, now: Moment) {
        self.places.release(id);
        if let Err(failure) = result {
            return self.step_failed(id, "metadata update", failure, now);
        }
        let toggle = &mut self.toggles[id];
        toggle.outcome.described = true;
        if let There::Present { described, .. } = &mut toggle.there {
            *described = true;
        }
        self.step_taken(id, "metadata update", now);
    }

    pub(super) fn was_updated(&mut self, id: ToggleId, result: Result<(), Failure>, now: Moment) {
        self.places.release(id);
        let sent = self.toggles[id].sent.take();
        let (users, change) = match (result, sent) {
            (Ok(()), Some(sent)) => sent,
            (Ok(()), None) => return,
            (Err(failure), _) => return self.step_failed(id, "update", failure, now),
        };
        let name = self.toggle_name(id);
        let toggle = &mut self.toggles[id];
        toggle.fresh = false;
        toggle.outcome.sent = change.clone();
        toggle.there = There::Present {
            described: true,
            users: Some(Arc::clone(&users)),
        };
        if std::mem::take(&mut toggle.unsure) {
            self.timers.set(Timer::Confirm(id), now.at + CONFIRM);
        }
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
            toggle.there.forget_users(self.readable);
            self.advance(id, now);
        }
    }

    fn step_taken(&mut self, id: ToggleId, what: &'static str, now: Moment) {
        let toggle = &mut self.toggles[id];
        toggle.apply.state = State::Idle;
        if std::mem::take(&mut toggle.recheck) {
            toggle.there.forget(self.readable);
        }
        // The same step's trouble is over; another's may come back: it ends when all is done.
        if matches!(&toggle.apply.trouble, Some(trouble) if trouble.what == what) {
            self.succeeded(Key::Apply(id));
        }
        self.touched.insert(super::Thing::Toggle(id));
        self.advance(id, now);
    }

    fn step_failed(&mut self, id: ToggleId, what: &'static str, failure: Failure, now: Moment) {
        let toggle = &mut self.toggles[id];
        let deleted = failure.is_status(404) && !toggle.fresh && toggle.exists;
        if deleted && matches!(what, "update" | "metadata update") {
            toggle.there = There::Absent;
            toggle.apply.state = State::Idle;
            return self.advance(id, now);
        }
        toggle.unsure |= what == "update" && failure.is_unsure();
        toggle.there.forget_users(self.readable);
        if failure.is_status(404) && toggle.fresh {
            toggle.there = There::Unknown;
        }
        self.pause_target(&failure, now);
        self.failed(Key::Apply(id), what, failure, now);
    }

    /// In a single pass: whether nothing more will come of a toggle.
    pub(super) fn is_settled(&self, id: ToggleId) -> bool {
        let toggle = &self.toggles[id];
        let paused_for_good = match (&self.paused, self.until()) {
            (Some((end, _)), Some(until)) => *end > until,
            _ => false,
        };
        let applied = match toggle.apply.state {
            State::Idle | State::GivenUp => true,
            State::Queued => paused_for_good,
            State::Running | State::Waiting { .. } => false,
        };
        let source = &self.sources[self.config.toggles[id].users_policy.source];
        let answered = toggle.wanted.is_some() || toggle.query.has_given_up();
        applied && (answered || source.has_given_up())
    }

    pub(super) fn toggle_name(&self, id: ToggleId) -> String {
        format!("toggle {}", self.config.toggles[id].key)
    }
}

impl Toggle {
    fn update(&mut self, id: ToggleId) -> Job {
        let users = self.wanted.clone().unwrap_or_default();
        let sent = match self.there.users() {
            Some(there) => Sent::Change(users.change_from(there)),
            None => Sent::Whole,
        };
        self.sent = Some((Arc::clone(&users), sent));
        Job::Update(id, users)
    }
}
