//! A toggle's next step at the target: read, create, describe, update.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Created, Job, ToggleId};
use crate::plan::{Step, There};
use crate::schedule::LONGEST_PAUSE;

use super::task::State;
use super::toggle::Toggle;
use super::view::Sent;
use super::{Engine, Key, Mode, Moment, Notice, Thing, Timer};

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
