//! A toggle: what is known of it at its target, and the next step of each of its parts there.
//!
//! [`Engine::decide`] alone decides what to do about a part, whenever something about the toggle has
//! changed, and again when a request can go out. A read, or a creation, is alone. Of the other parts, one
//! is sent at a time, unless one hangs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::MaxRemoval;
use crate::error::{Failure, Kind};
use crate::job::{
    Applied, Applies, Edit, Job, Operation, Part, Reads, SourceId, TargetId, ToggleId, What,
};
use crate::plan::{self, History, Observed, Present, Removal};
use crate::users::{Change, Users};

use super::source::Source;
use super::task::{PROMPT, State, Task, Trouble, subject};
use super::view::{Sent, Update};
use super::{Engine, Key, Mode, Moment, News, Subject, Timer, Why};

/// How long after a toggle is in sync to look once more, or to send once more, where an update may still be
/// applied late.
const CONFIRM: Duration = Duration::from_secs(30);

/// How much longer than a request a change may take to arrive before that is a failure.
const LATE: Duration = Duration::from_secs(5);

/// For how long removals count together where there are no resyncs.
const UNSYNCED: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(super) struct Toggle {
    pub(super) existence: Existence,
    /// Whether its metadata follow `spec`; none: it has to be read where it can be, and is sent otherwise.
    pub(super) described: Option<bool>,
    pub(super) environments: Vec<Environment>,
    pub(super) whole: Work,
    pub(super) metadata: Work,
    /// The engine of an earlier configuration has an edit in flight: until that has ended, nothing is done.
    pub(super) is_busy: bool,
    /// It was not read since a reload, and has to be read before it is changed.
    pub(super) unread: bool,
    /// The pass that waits for what becomes of the answer at the target.
    pub(super) settles: Option<u64>,
    /// Whether it was created, or found, once.
    pub(super) exists: bool,
    /// When the target was last looked at, in [`Engine::tick`]s.
    pub(super) looked: u64,
    /// Since when the target may not have what the policy says.
    pub(super) behind: Option<Instant>,
    /// That has lasted too long.
    pub(super) is_late: bool,
    /// To be read again, or where that is not possible sent again, although nothing is known to differ.
    pub(super) due: bool,
    /// The last read of several toggles did not return it: until it is known, or the next resync, it
    /// is read by itself.
    read_alone: bool,
    pub(super) last_success: Option<Instant>,
    /// This run has created it, or sent its metadata.
    pub(super) created: bool,
    pub(super) described_now: bool,
    /// It was created, or its users were sent, since a pass last told of it.
    pub(super) has_changed: bool,
}

/// Whether the target has a toggle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Existence {
    #[default]
    Unknown,
    Absent,
    Present,
}

/// A toggle in one environment of its target.
#[derive(Default)]
pub(super) struct Environment {
    /// Empty at a target without environments.
    pub(super) name: String,
    pub(super) work: Work,
    /// What the target has; none: it has to be read where it can be, and is sent all users otherwise.
    pub(super) observed: Option<plan::Environment>,
    /// What was sent, for the removal limit.
    pub(super) history: History,
    /// What a single pass has sent.
    pub(super) sent: Sent,
    /// The update in flight.
    pub(super) sending: Option<Update>,
    /// The last update, if it failed: it can have been done, or some of it, until the target shows what it has.
    pub(super) lost: Option<Update>,
    /// Why it would be updated.
    pub(super) why: Why,
    /// One could be applied late: it was lost, or the process before sent it.
    pub(super) unsure: bool,
}

/// What is under way about one part of a toggle at the target.
#[derive(Default)]
pub(super) struct Work {
    pub(super) task: Task,
    line: Line,
    /// When what is in flight was sent.
    since: Option<Instant>,
    /// What is in flight changes something.
    is_edit: bool,
    /// What is in flight cannot be taken for the target's state.
    pub(super) recheck: bool,
    /// The toggle was created, or found to exist, since the last success: a 404 is then no news.
    pub(super) fresh: bool,
}

/// The queue of the target in which a part has an entry. One that is no longer to be done is passed over.
#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
enum Line {
    #[default]
    None,
    Looks,
    Changes,
}

/// What there is to do about a part of a toggle at the target, or why it may not be done.
enum Decision {
    Read,
    Edit(What),
    InSync,
    /// It would take the toggle away from users, and the source's OPA has not proven that it has loaded
    /// everything.
    Doubtful,
    /// The users are not known or were asked for before the target was last looked at, the source's OPA is
    /// not ready, another part comes first, or there is nothing that a dry run does.
    Wait,
    Held(Failure),
}

impl Update {
    /// What of it was done, where the target has these users now; none: nothing that shows.
    fn done(self, seen: &plan::Environment, users: &Arc<Users>) -> Option<Update> {
        if seen.is_on_for(&self.users) {
            return Some(self);
        }
        let Change { added, removed } = self.change.as_deref()?;
        let change = Change {
            added: added.iter().filter(|key| users.contains(key)).collect(),
            removed: removed.iter().filter(|key| !users.contains(key)).collect(),
        };
        let is_some = !change.is_empty();
        is_some.then(|| Update {
            users: Arc::clone(users),
            change: Some(Arc::new(change)),
            ..self
        })
    }
}

impl Work {
    fn is_idle_or_queued(&self) -> bool {
        self.task.is_idle() || self.task.state == State::Queued
    }
}

impl Toggle {
    /// Its parts: what changes users first, and what depends on all others last.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let environments = (0..self.environments.len()).map(Part::Environment);
        environments.chain([Part::Metadata, Part::Whole])
    }

    pub(super) fn work(&mut self, part: Part) -> &mut Work {
        match part {
            Part::Whole => &mut self.whole,
            Part::Metadata => &mut self.metadata,
            Part::Environment(number) => &mut self.environments[number].work,
        }
    }

    pub(super) fn works(&self) -> impl Iterator<Item = (Part, &Work)> {
        let environments = self.environments.iter().enumerate();
        let environments = environments.map(|(id, it)| (Part::Environment(id), &it.work));
        let others = [(Part::Metadata, &self.metadata), (Part::Whole, &self.whole)];
        environments.chain(others)
    }

    pub(super) fn is_queued(&self) -> bool {
        self.works()
            .any(|(_, work)| work.task.state == State::Queued)
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_busy || self.works().any(|(_, work)| work.task.is_running())
    }

    /// Takes over what an old engine knows of the toggle at the same target; what that has, only where it is
    /// still known.
    pub(super) fn inherit(&mut self, old: &Toggle, is_known: bool, readable: bool) {
        self.exists = old.exists;
        // Only the old engine hears of a read that is in flight.
        self.due = old.due || old.whole.task.is_running();
        self.last_success = old.last_success;
        self.whole.task = old.whole.task.inherit_hurried();
        self.metadata.task = old.metadata.task.inherit_hurried();
        if is_known || !readable {
            self.existence = old.existence;
        }
        if is_known {
            self.described = old.described;
        }
        for environment in &mut self.environments {
            if let Some(known) = old.named(&environment.name) {
                let known = &old.environments[known];
                environment.work.task = known.work.task.inherit_hurried();
                environment.observed = known.observed.clone().filter(|_| is_known);
            }
        }
    }

    /// The index of an environment by its name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.environments.iter().position(|it| it.name == name)
    }

    pub(super) fn is_being_edited(&self) -> bool {
        self.works().any(|(_, work)| work.is_edit)
    }

    /// Waits until the edits that an old engine has in flight have ended: what becomes of them, only that
    /// one hears.
    pub(super) fn wait_for(&mut self, old: &Toggle) {
        self.is_busy = true;
        if old.whole.is_edit {
            self.existence = Existence::Unknown;
        }
        if old.metadata.is_edit {
            self.described = None;
        }
        for environment in &mut self.environments {
            let known = old.named(&environment.name);
            let known = known.and_then(|known| old.environments[known].sending.as_ref());
            if let Some(update) = known {
                environment.observed = None;
                environment.unsure = true;
                environment.history.may_have(&update.users);
            }
        }
    }

    /// Has it read again, or sent again, when nothing else is to be done. What cannot be looked at may
    /// have become anything by now.
    pub(super) fn fall_due(&mut self, readable: bool, turn: u64) {
        self.read_alone = false;
        self.due = true;
        if !readable {
            self.looked = turn;
            for environment in &mut self.environments {
                environment.work.recheck = environment.work.task.is_running();
                if !environment.work.recheck {
                    environment.observed = None;
                }
            }
        }
    }

    /// Whether the target lacks the toggle, or does not have it for exactly these users.
    pub(super) fn lacks_users(&self, desired: &Users) -> bool {
        let mut all = self.environments.iter();
        self.existence != Existence::Present || !all.all(|it| it.is_on_for(desired))
    }

    /// What of a part was last known may no longer be so.
    fn forget(&mut self, part: Part) {
        match part {
            Part::Whole if self.existence == Existence::Present => self.due = true,
            Part::Whole => self.existence = Existence::Unknown,
            Part::Metadata => self.described = None,
            Part::Environment(number) => self.environments[number].observed = None,
        }
    }
}

/// What is known of an environment at a target that cannot be read.
static UNKNOWN: plan::Environment = plan::Environment {
    users: None,
    named: None,
    in_order: true,
};

impl Environment {
    pub(super) fn is_on_for(&self, desired: &Users) -> bool {
        let observed = self.observed.as_ref();
        observed.is_some_and(|observed| observed.is_on_for(desired))
    }
}

impl Engine {
    pub(super) fn desired(&self, id: ToggleId) -> Option<&Arc<Users>> {
        match self.rule_of(id) {
            Some(rule) => rule.desired.as_ref(),
            None => Some(&self.no_users),
        }
    }

    /// What the desired users change at a target that has these.
    fn change_from(&self, id: ToggleId, observed: &Arc<Users>) -> Option<Arc<Change>> {
        match self.rule_of(id) {
            Some(rule) => rule.change_from(observed),
            None => Some(Arc::new(self.no_users.change_from(observed))),
        }
    }

    /// Whether the desired users were asked for before the target was last looked at: another instance
    /// that asked later may have written what is there.
    fn is_stale(&self, id: ToggleId) -> bool {
        let looked = self.toggles[id].looked;
        self.rule_of(id)
            .is_some_and(|rule| rule.desired.is_some() && looked > rule.asked)
    }

    /// Whether an update waits for users that are asked for again.
    pub(super) fn waits_for_answer(&self, id: ToggleId) -> bool {
        let (toggle, readable) = (&self.toggles[id], self.is_readable(id));
        let lacks = |desired: &Arc<Users>| {
            let environments = toggle.environments.iter();
            let mut known = environments.filter(|it| !readable || it.observed.is_some());
            known.any(|it| !it.is_on_for(desired))
        };
        let is_there = toggle.existence == Existence::Present;
        is_there && self.is_stale(id) && self.desired(id).is_some_and(lacks)
    }

    /// Whether policy says, or may say, something else than the target has.
    fn is_behind(&self, id: ToggleId) -> bool {
        let toggle = &self.toggles[id];
        let is_sent_again = toggle.due && !self.is_readable(id);
        let lacks = self
            .desired(id)
            .is_some_and(|desired| toggle.lacks_users(desired));
        let mut rule = self.rule_of(id).into_iter();
        rule.any(|rule| rule.news > rule.asked) || (!is_sent_again && lacks)
    }

    /// Users have changed: what was held may have been let through by `sync --force`, and where a target
    /// cannot be read, they are not sent again, but sent.
    pub(super) fn note_change(&mut self, id: ToggleId, why: Why) {
        let readable = self.is_readable(id);
        let toggle = &mut self.toggles[id];
        for environment in &mut toggle.environments {
            environment.why = why;
        }
        let is_held = |(_, work): (Part, &Work)| {
            let trouble = work.task.trouble.as_ref();
            trouble.is_some_and(|trouble| trouble.failure.is_held())
        };
        if !readable {
            toggle.due = false;
        } else if toggle.works().any(is_held) {
            toggle.due = true;
        }
    }

    /// Tries what waits for its retry at once, unless the target asked for the wait.
    pub(super) fn hurry_all(&mut self, id: ToggleId) {
        for part in self.toggles[id].parts() {
            let task = &mut self.toggles[id].work(part).task;
            if task.may_be_hurried() {
                task.state = State::Idle;
                self.timers.cancel(Timer::Task(Key::Apply(id, part)));
            }
        }
    }

    /// Decides anew what to do at the target, and puts in line each part of a toggle about which there is
    /// something to do, unless something of it is in flight or waits for its retry.
    pub(super) fn decide_again(&mut self, id: ToggleId, now: Moment) {
        self.note_if_behind(id, now.at);
        self.forget_old_changes(id, now.at);
        let mut is_in_sync = true;
        for part in self.toggles[id].parts() {
            if !self.toggles[id].work(part).is_idle_or_queued() {
                is_in_sync = false;
                continue;
            }
            match self.decide(id, part) {
                decision @ (Decision::Read | Decision::Edit(_)) => {
                    is_in_sync = false;
                    self.put_in_line(id, part, &decision);
                }
                other => {
                    is_in_sync &= matches!(other, Decision::InSync);
                    self.come_to_rest(id, part, other, now);
                }
            }
        }
        if is_in_sync {
            let toggle = &mut self.toggles[id];
            toggle.due = false;
            toggle.last_success = Some(now.at);
        }
        if self.waits_for_answer(id) {
            // It is not read again before the answer has come: each answer could be stale then.
            self.ask_again(id);
        } else if self.is_at_rest(id) {
            self.note_reached(id, now.at);
            self.settled(id);
        }
    }

    fn forget_old_changes(&mut self, id: ToggleId, now: Instant) {
        let window = match self.config.toggles[id].max_removal.allows_everybody() {
            // Nothing is held back for what was removed before, and sets can be large.
            true => Duration::ZERO,
            false => self.config.resync_interval.unwrap_or(UNSYNCED),
        };
        if let Some(start) = now.checked_sub(window) {
            for environment in &mut self.toggles[id].environments {
                environment.history.forget_before(start);
            }
        }
    }

    fn put_in_line(&mut self, id: ToggleId, part: Part, decision: &Decision) {
        let target = self.config.toggles[id].target;
        let readable = self.is_readable(id);
        let toggle = &mut self.toggles[id];
        let is_update = matches!(decision, Decision::Edit(What::Update(..)));
        let is_change = is_update && (readable || !toggle.due);
        let line = if is_change {
            Line::Changes
        } else {
            Line::Looks
        };
        let work = toggle.work(part);
        work.task.state = State::Queued;
        // What moves to the other queue leaves an entry in the first, which is passed over.
        if work.line < line {
            work.line = line;
            let target = &mut self.targets[target];
            match is_change {
                true => target.changes.push_back((id, part)),
                false => target.looks.push_back((id, part)),
            }
        }
        self.touch_pause(id);
    }

    /// What waits for the end of a pause is shown.
    fn touch_pause(&mut self, id: ToggleId) {
        let target = self.config.toggles[id].target;
        if self.targets[target].paused.is_some() {
            self.touch(Subject::Target(target));
        }
    }

    /// The next step of a part, if this run may take it. Whether a run is dry is decided here and nowhere
    /// else.
    fn decide(&self, id: ToggleId, part: Part) -> Decision {
        let toggle = &self.toggles[id];
        let readable = self.is_readable(id);
        let dry_run = matches!(self.mode, Mode::Once { dry_run: true, .. });
        let is_there = toggle.existence == Existence::Present;
        match part {
            _ if toggle.is_busy => Decision::Wait,
            Part::Whole if readable && self.wants_read(id) => Decision::Read,
            Part::Whole if !is_there && !dry_run => Decision::Edit(What::Create),
            Part::Whole => Decision::InSync,
            Part::Metadata if !is_there => Decision::Wait,
            Part::Metadata if toggle.described == Some(true) || dry_run => Decision::InSync,
            Part::Metadata if toggle.unread || (readable && toggle.described.is_none()) => {
                Decision::Wait
            }
            Part::Metadata => Decision::Edit(What::Describe),
            // A dry run does not create, and reports nevertheless what would be held then.
            Part::Environment(_) if !is_there && (readable || !dry_run) => Decision::Wait,
            Part::Environment(number) => {
                let unknown = (!readable).then_some(&UNKNOWN);
                let observed = toggle.environments[number].observed.as_ref().or(unknown);
                let (Some(observed), Some(desired)) = (observed, self.desired(id)) else {
                    return Decision::Wait;
                };
                if observed.is_on_for(desired) {
                    return Decision::InSync;
                }
                match self.refusal(id, number, observed, desired) {
                    None if dry_run || toggle.unread => Decision::Wait,
                    None => Decision::Edit(What::Update(number, Arc::clone(desired))),
                    Some(refusal) => refusal,
                }
            }
        }
    }

    /// Whether a toggle is to be read: nothing is known of it, it is due, or a part cannot go on without.
    fn wants_read(&self, id: ToggleId) -> bool {
        let toggle = &self.toggles[id];
        let mut environments = toggle.environments.iter();
        match toggle.existence {
            Existence::Unknown => true,
            // What is to be off is not created.
            Existence::Absent => self.is_retired(id),
            Existence::Present => {
                let is_undescribed = toggle.unread && toggle.described == Some(false);
                let desired = self.desired(id).filter(|_| toggle.unread);
                let lacks = |it: &Environment| desired.is_some_and(|users| !it.is_on_for(users));
                toggle.due
                    || ((toggle.described.is_none() || is_undescribed)
                        && toggle.metadata.is_idle_or_queued())
                    || environments.any(|it| {
                        (it.observed.is_none() || lacks(it)) && it.work.is_idle_or_queued()
                    })
            }
        }
    }

    /// Why the desired users may not be sent to an environment.
    fn refusal(
        &self,
        id: ToggleId,
        number: usize,
        observed: &plan::Environment,
        desired: &Arc<Users>,
    ) -> Option<Decision> {
        if !self.is_sure(id) || self.is_stale(id) {
            return Some(Decision::Wait);
        }
        let is_forced = matches!(self.mode, Mode::Once { force: true, .. });
        let limit = self.limit(id).filter(|_| !is_forced);
        let lacks_proof = self.lacks_proof(id);
        if limit.is_none() && !lacks_proof {
            return None;
        }
        let removals = self.removals(id, number, observed, desired);
        let may_remove =
            |removals: &Vec<Removal>| removals.iter().any(|removal| removal.removed > 0);
        if lacks_proof && removals.as_ref().is_none_or(may_remove) {
            return Some(Decision::Doubtful);
        }
        let target = &self.config.targets[self.config.toggles[id].target];
        let forced = Some(self.config.name_of(id)).filter(|_| !target.kind.is_served);
        let held = held_back(limit?, removals.as_deref(), desired.len(), forced);
        let held = held.map(|failure| match self.is_retired(id) {
            true => failure.about("it left the configuration"),
            false => failure,
        });
        held.map(Decision::Held)
    }

    /// What sending the desired users to an environment would remove; none where that is not known.
    fn removals(
        &self,
        id: ToggleId,
        number: usize,
        observed: &plan::Environment,
        desired: &Users,
    ) -> Option<Vec<Removal>> {
        let users = observed.users.as_ref();
        let change = users.and_then(|users| self.change_from(id, users));
        let history = &self.toggles[id].environments[number].history;
        observed.removals(desired, change.as_deref(), history)
    }

    /// Whether the desired users can be relied on: a pass follows as soon as they can.
    fn is_sure(&self, id: ToggleId) -> bool {
        let source = self.source_of(id);
        source.is_none_or(|source| self.sources[source].passes.is_sure())
    }

    /// Whether the source's OPA has been taken at its word, and OPAL can be had to prove it.
    fn lacks_proof(&self, id: ToggleId) -> bool {
        let Some(source) = self.source_of(id) else {
            return false;
        };
        let source = &self.sources[source];
        source.registers && source.passes.asks_if_ready && source.passes.loading.lacks_proof()
    }

    /// What may be removed of a toggle at once, where there is a limit.
    fn limit(&self, id: ToggleId) -> Option<MaxRemoval> {
        let limit = self.config.toggles[id].max_removal;
        let source = self.source_of(id);
        let limit = match source.is_some_and(|source| self.sources[source].passes.unproven) {
            // A share says enough of few users too, where OPA may have lost some of its data.
            true if limit == MaxRemoval::Unset => MaxRemoval::Percent(50.0),
            _ => limit,
        };
        (!limit.allows_everybody()).then_some(limit)
    }

    /// There is nothing left to do about a part at the target, or nothing that may be done.
    fn come_to_rest(&mut self, id: ToggleId, part: Part, why: Decision, now: Moment) {
        self.touch(Subject::Toggle(id));
        self.touch_pause(id);
        let work = self.toggles[id].work(part);
        work.task.state = State::Idle;
        match why {
            Decision::Doubtful => {
                if let Some(source) = self.source_of(id) {
                    self.doubt(source, now);
                }
            }
            Decision::Held(failure) => self.hold_back(id, part, failure),
            Decision::InSync => {
                if let Part::Environment(number) = part {
                    self.note_on(id, number, now.at);
                }
                self.succeeded(Key::Apply(id, part));
            }
            Decision::Wait | Decision::Read | Decision::Edit(_) => {}
        }
    }

    /// An environment has the toggle on for exactly the desired users.
    fn note_on(&mut self, id: ToggleId, number: usize, now: Instant) {
        let desired = self.desired(id).map(Arc::clone);
        let environment = &mut self.toggles[id].environments[number];
        // Of two equal sets, one is kept.
        if let Some(observed) = &mut environment.observed {
            observed.users = desired;
        }
        environment.why = Why::Drift;
        if std::mem::take(&mut environment.unsure) {
            self.timers.set(Timer::Confirm(id), now + CONFIRM);
        }
    }

    /// Leaves a part as it is, and says why: once, as long as the numbers are the same.
    fn hold_back(&mut self, id: ToggleId, part: Part, failure: Failure) {
        let task = &mut self.toggles[id].work(part).task;
        if matches!(&task.trouble, Some(known) if known.failure.kind == failure.kind) {
            return;
        }
        task.trouble = Some(Trouble::first(Operation::Update, failure.clone()));
        self.notify(subject(Key::Apply(id, part)), News::HeldBack(failure));
    }

    /// The users of a source's toggles cannot be asked for: a resync does not wait for that.
    pub(super) fn skip_in_resync(&mut self, source: SourceId, now: Instant) {
        for id in self.toggles_of(source) {
            if self.waits_for_answer(id) {
                self.note_reached(id, now);
            }
        }
    }

    /// Notes since when the target may not have what the policy says.
    pub(super) fn note_if_behind(&mut self, id: ToggleId, now: Instant) {
        let is_behind = self.is_behind(id);
        let toggle = &mut self.toggles[id];
        match (is_behind, toggle.behind) {
            (true, None) => {
                toggle.behind = Some(now);
                // One that is set rings earlier, and is then set for the next.
                if self.timers.get(Timer::Late).is_none() {
                    self.timers.set(Timer::Late, now + self.longest_delay());
                }
            }
            (false, Some(_)) => {
                toggle.behind = None;
                if std::mem::take(&mut toggle.is_late) {
                    self.touch(Subject::Toggle(id));
                }
            }
            _ => {}
        }
    }

    /// How long a change may take to arrive.
    fn longest_delay(&self) -> Duration {
        self.config.http_timeout + LATE
    }

    /// Finds the changes that have not arrived in time, and sets the timer of the next that could be late.
    pub(super) fn find_late(&mut self, now: Instant) {
        let limit = self.longest_delay();
        let toggles = self.toggles.iter().enumerate();
        let behind = toggles.filter(|(_, toggle)| !toggle.is_late);
        let behind = behind.filter_map(|(id, toggle)| Some((id, toggle.behind?)));
        let (late, others): (Vec<_>, Vec<_>) = behind.partition(|(_, since)| *since + limit <= now);
        for (id, since) in late {
            self.note_late(id, now - since);
        }
        if let Some(since) = others.into_iter().map(|(_, since)| since).min() {
            self.timers.set(Timer::Late, since + limit);
        }
    }

    /// A change has not arrived for so long, for whatever reason.
    fn note_late(&mut self, id: ToggleId, after: Duration) {
        self.touch(Subject::Toggle(id));
        let is_unanswered = self
            .query_of(id)
            .is_some_and(|query| query.trouble.is_some());
        let toggle = &mut self.toggles[id];
        toggle.is_late = true;
        let is_told = toggle.works().any(|(_, work)| work.task.trouble.is_some());
        if !is_unanswered && !is_told {
            self.notify(Subject::Toggle(id), News::Late { after });
        }
    }

    /// The next step of a toggle at a target.
    pub(super) fn next_step(&mut self, target: TargetId, moment: Moment) -> Option<Job> {
        let mut put_off = Vec::new();
        let job = self.take_step(target, moment, &mut put_off);
        for (id, part, line) in put_off.into_iter().rev() {
            self.toggles[id].work(part).line = line;
            match line {
                Line::Changes => self.targets[target].changes.push_front((id, part)),
                _ => self.targets[target].looks.push_front((id, part)),
            }
        }
        job
    }

    fn take_step(
        &mut self,
        target: TargetId,
        moment: Moment,
        put_off: &mut Vec<(ToggleId, Part, Line)>,
    ) -> Option<Job> {
        let now = moment.at;
        let mut edits: Vec<Edit> = Vec::new();
        while let Some((id, part)) = self.targets[target].pop() {
            let has_in_change = self.targets[target].has_in_change(id, part);
            let work = self.toggles[id].work(part);
            let line = std::mem::replace(&mut work.line, Line::None);
            if work.task.state != State::Queued {
                continue;
            }
            if has_in_change {
                // Where it has an entry in both queues, one is enough.
                put_off.extend((line != Line::None).then_some((id, part, line)));
                continue;
            }
            if self.has_to_wait(id, part, &edits, now) {
                self.toggles[id].work(part).task.state = State::Idle;
                continue;
            }
            let what = match self.decide(id, part) {
                Decision::Read if edits.is_empty() => {
                    self.take_slot(target, id, part, now);
                    return Some(Job::Read(target, self.batch(target, id, now)));
                }
                Decision::Read => {
                    self.toggles[id].work(part).line = Line::Looks;
                    self.targets[target].looks.push_front((id, part));
                    break;
                }
                Decision::Edit(what) => what,
                // What it was queued for is no longer to be done.
                _ => {
                    self.toggles[id].work(part).task.state = State::Idle;
                    self.decide_again(id, moment);
                    continue;
                }
            };
            if let What::Update(number, users) = &what {
                self.note_sending(id, *number, users);
                let target = &mut self.targets[target];
                let shares = target.shares(id, part).to_vec();
                target.in_change.extend(shares);
            }
            self.set_running(id, part, now);
            self.toggles[id].work(part).is_edit = true;
            let revision = self.revision_of(id);
            edits.push(Edit {
                toggle: id,
                what,
                revision,
            });
            if !self.targets[target].terms.applies_together {
                break;
            }
        }
        let first = edits.first()?;
        self.take_slot(target, first.toggle, first.part(), now);
        Some(Job::Apply(target, edits))
    }

    fn note_sending(&mut self, id: ToggleId, number: usize, users: &Arc<Users>) {
        let why = self.why(id, number, users);
        let observed = self.toggles[id].environments[number].observed.as_ref();
        let change = observed.and_then(|it| self.change_from(id, it.users.as_ref()?));
        let revision = self.revision_of(id);
        self.toggles[id].environments[number].sending = Some(Update {
            users: Arc::clone(users),
            change,
            why,
            revision,
        });
    }

    /// Why these users are sent to an environment; none where it was sent them before, and cannot tell
    /// whether it still has them.
    fn why(&self, id: ToggleId, number: usize, users: &Users) -> Option<Why> {
        let environment = &self.toggles[id].environments[number];
        let is_again = environment.why == Why::Drift && environment.history.ends_with(users);
        if is_again && !self.is_readable(id) {
            return None;
        }
        let would_be_held = || {
            let observed = environment.observed.as_ref().unwrap_or(&UNKNOWN);
            let removals = self.removals(id, number, observed, users);
            let limit = self.limit(id)?;
            held_back(limit, removals.as_deref(), users.len(), None)
        };
        Some(match self.mode {
            Mode::Once { force: true, .. } if would_be_held().is_some() => Why::Force,
            _ if self.is_retired(id) => Why::Retired,
            Mode::Serve => environment.why,
            Mode::Once { .. } | Mode::Sync { .. } => Why::Sync,
        })
    }

    /// Whether a part has to wait for another part of the toggle that is in flight, and not in the same
    /// job: one after the other, because platforms answer changes of one flag at the same time with a
    /// 409; but one that hangs is overtaken.
    fn has_to_wait(&mut self, id: ToggleId, part: Part, edits: &[Edit], now: Instant) -> bool {
        let is_whole = |part: Part| part == Part::Whole;
        let mut until = None;
        for (other, work) in self.toggles[id].works() {
            let is_here = |edit: &Edit| edit.toggle == id && edit.part() == other;
            if other == part || !work.task.is_running() || edits.iter().any(is_here) {
                continue;
            }
            if is_whole(part) || is_whole(other) {
                return true;
            }
            let overtaken = work.since.map(|since| since + PROMPT);
            until = until.max(overtaken.filter(|at| *at > now && !work.task.hung()));
        }
        if let Some(at) = until {
            self.timers.set(Timer::Overtake(id), at);
        }
        until.is_some()
    }

    fn take_slot(&mut self, target: TargetId, id: ToggleId, part: Part, now: Instant) {
        let hung = self.toggles[id].work(part).task.hung();
        self.targets[target].slots.take(Some((id, part)), now, hung);
    }

    fn set_running(&mut self, id: ToggleId, part: Part, now: Instant) {
        let work = self.toggles[id].work(part);
        work.task.state = State::Running;
        work.since = Some(now);
        work.recheck = false;
    }

    /// The toggles to read along with this one: all that are to be read, or read again, and can be
    /// had in the same job.
    fn batch(&mut self, target: TargetId, first: ToggleId, now: Instant) -> Vec<ToggleId> {
        let toggles = &self.targets[target].terms.toggles;
        let batch = toggles.get(&first).and_then(|terms| terms.batch);
        let mut ids = vec![first];
        if batch.is_some() && !self.toggles[first].read_alone {
            let others = toggles.iter().filter(|(id, terms)| {
                let is_free = !self.targets[target].has_in_change(**id, Part::Whole);
                **id != first && terms.batch == batch && is_free && self.can_be_read(**id)
            });
            ids.extend(others.map(|(id, _)| *id));
        }
        for id in &ids {
            self.timers
                .cancel(Timer::Task(Key::Apply(*id, Part::Whole)));
            let toggle = &mut self.toggles[*id];
            toggle.due = false;
            self.set_running(*id, Part::Whole, now);
        }
        ids
    }

    /// Whether a toggle is to be read, or read again, and need not be read alone.
    fn can_be_read(&self, id: ToggleId) -> bool {
        let toggle = &self.toggles[id];
        let is_free = match toggle.whole.task.state {
            State::Queued | State::Waiting { asked: false } => !toggle.is_running(),
            _ => false,
        };
        is_free && !toggle.read_alone && matches!(self.decide(id, Part::Whole), Decision::Read)
    }

    /// Reads of one job have ended; the slot is one of theirs.
    pub(super) fn were_read(&mut self, target: TargetId, results: Reads, now: Moment) {
        for (id, _) in &results {
            self.targets[target]
                .slots
                .release(&Some((*id, Part::Whole)));
        }
        for (id, result) in results {
            match result {
                Ok(Observed::Unknown) => self.was_not_returned(id, now),
                Ok(observed) => {
                    self.toggles[id].read_alone = false;
                    self.was_seen(id, observed, now);
                    self.step_taken(id, Part::Whole, Operation::Read, now);
                }
                Err(failure) => self.step_failed(id, Part::Whole, Operation::Read, failure, now),
            }
        }
    }

    /// The target was looked at, and has this.
    fn was_seen(&mut self, id: ToggleId, observed: Observed, now: Moment) {
        self.toggles[id].looked = self.tick();
        let mut updates = Vec::new();
        if let Observed::Present(present) = &observed {
            let environments = self.toggles[id].environments.iter_mut().enumerate();
            for ((number, environment), seen) in environments.zip(&present.environments) {
                if let Ok(seen) = seen
                    && let Some(users) = &seen.users
                {
                    environment.history.seen(users, now.at);
                    let lost = environment.lost.take();
                    let done = lost.and_then(|lost| lost.done(seen, users));
                    updates.extend(done.map(|update| (number, update)));
                }
            }
        }
        for (number, update) in updates {
            self.notify(Subject::Environment(id, number), News::Updated(update));
        }
        self.was_found(id, observed, now);
    }

    /// Takes this for what the target has.
    fn was_found(&mut self, id: ToggleId, observed: Observed, now: Moment) {
        let toggle = &mut self.toggles[id];
        let present = match observed {
            Observed::Present(present) => present,
            Observed::Unknown => {
                toggle.existence = Existence::Unknown;
                return;
            }
            Observed::Absent(wrong) => {
                toggle.existence = Existence::Absent;
                for (number, failure) in wrong {
                    self.cannot_be_kept(id, number, failure, now);
                }
                return;
            }
        };
        toggle.existence = Existence::Present;
        toggle.exists = true;
        toggle.unread = false;
        toggle.described = Some(present.described);
        let mut seen = present.environments.into_iter();
        for number in 0..toggle.environments.len() {
            let seen = seen.next().unwrap_or_else(|| Err(not_returned()));
            let environment = &mut self.toggles[id].environments[number];
            match seen {
                Ok(observed) => environment.observed = Some(observed),
                Err(failure) => self.cannot_be_kept(id, number, failure, now),
            }
        }
    }

    fn cannot_be_kept(&mut self, id: ToggleId, number: usize, failure: Failure, now: Moment) {
        let environment = &mut self.toggles[id].environments[number];
        environment.observed = None;
        if environment.work.is_idle_or_queued() {
            let key = Key::Apply(id, Part::Environment(number));
            self.failed(key, Operation::Read, failure, now);
        }
    }

    /// A read of several toggles did not return this one: it gets a job of its own, so that a request
    /// that hangs delays no other toggle, and that a 429 is heard before the next one goes out.
    fn was_not_returned(&mut self, id: ToggleId, now: Moment) {
        let toggle = &mut self.toggles[id];
        if std::mem::replace(&mut toggle.read_alone, true) {
            return self.step_failed(id, Part::Whole, Operation::Read, not_returned(), now);
        }
        toggle.due = true;
        toggle.whole.task.state = State::Idle;
        self.decide_again(id, now);
    }

    /// Edits of one job have ended; the slot is one of theirs.
    pub(super) fn were_applied(&mut self, target: TargetId, results: Applies, now: Moment) {
        for (id, part, _) in &results {
            let target = &mut self.targets[target];
            target.slots.release(&Some((*id, *part)));
            if let (Part::Environment(_), [share]) = (part, target.shares(*id, *part)) {
                let share = *share;
                target.in_change.remove(&share);
            }
            self.toggles[*id].work(*part).is_edit = false;
        }
        for (id, part, result) in results {
            let operation = match part {
                Part::Whole => Operation::Create,
                Part::Metadata => Operation::Describe,
                Part::Environment(_) => Operation::Update,
            };
            match self.was_applied(id, part, result, now) {
                Ok(()) => self.step_taken(id, part, operation, now),
                Err(failure) => self.step_failed(id, part, operation, failure, now),
            }
        }
    }

    /// Notes what has become of an edit.
    fn was_applied(
        &mut self,
        id: ToggleId,
        part: Part,
        result: Result<Applied, Failure>,
        now: Moment,
    ) -> Result<(), Failure> {
        let readable = self.is_readable(id);
        let toggle = &mut self.toggles[id];
        let sending = match part {
            Part::Environment(number) => toggle.environments[number].sending.take(),
            Part::Whole | Part::Metadata => None,
        };
        match result {
            Ok(Applied::Done) => toggle.work(part).fresh = false,
            Ok(_) => toggle.parts().for_each(|it| toggle.work(it).fresh = true),
            Err(_) => {}
        }
        match (result, part) {
            (Err(failure), Part::Environment(number)) => {
                let environment = &mut toggle.environments[number];
                if let Some(update) = sending.as_ref().filter(|_| failure.is_unsure()) {
                    environment.history.may_have(&update.users);
                }
                environment.lost = sending;
                return Err(failure);
            }
            (Err(failure), _) => return Err(failure),
            (Ok(Applied::Found(Observed::Unknown)), _) => {
                let words = "the target says that it exists already (409), but could not show it: \
                             it is read again";
                return Err(Failure::new(Kind::Status(409), words));
            }
            (Ok(Applied::Found(observed)), _) => match readable {
                true => self.was_seen(id, observed, now),
                false => self.was_found(id, observed, now),
            },
            (Ok(Applied::Created(present)), _) => self.was_created(id, present, now),
            (Ok(Applied::Done), Part::Environment(number)) => {
                if let Some(update) = sending {
                    self.was_updated(id, number, update, now.at);
                }
            }
            (Ok(Applied::Done), _) => {
                toggle.described = Some(true);
                toggle.described_now = true;
            }
        }
        Ok(())
    }

    fn was_created(&mut self, id: ToggleId, present: Present, now: Moment) {
        let toggle = &mut self.toggles[id];
        toggle.created = true;
        toggle.has_changed = true;
        for environment in &mut toggle.environments {
            environment.lost = None;
            environment.history = History::default();
            environment.history.sent(&Arc::default(), None, now.at);
        }
        self.was_found(id, Observed::Present(present), now);
        self.notify(Subject::Toggle(id), News::Created);
    }

    fn was_updated(&mut self, id: ToggleId, number: usize, update: Update, now: Instant) {
        let toggle = &mut self.toggles[id];
        let environment = &mut toggle.environments[number];
        let Update { users, change, .. } = &update;
        toggle.has_changed |= change.as_ref().is_none_or(|change| !change.is_empty());
        environment.observed = Some(plan::Environment::of(Arc::clone(users)));
        environment.history.sent(users, change.as_ref(), now);
        environment.lost = None;
        if matches!(self.mode, Mode::Once { .. }) {
            environment.sent = change.clone().map_or(Sent::Whole, Sent::Change);
        }
        if let Some(rule) = self.config.toggles[id].rule {
            self.rules[rule].forget_change();
        }
        self.notify(Subject::Environment(id, number), News::Updated(update));
    }

    fn step_taken(&mut self, id: ToggleId, part: Part, operation: Operation, now: Moment) {
        let toggle = &mut self.toggles[id];
        let work = toggle.work(part);
        work.task.state = State::Idle;
        let is_over = matches!(&work.task.trouble, Some(it) if it.operation == operation);
        if std::mem::take(&mut work.recheck) {
            toggle.forget(part);
        }
        // The same step's trouble is over; another's may come back: it ends when all is done.
        if is_over {
            self.succeeded(Key::Apply(id, part));
        }
        self.touch(Subject::Toggle(id));
        self.decide_again(id, now);
    }

    fn step_failed(
        &mut self,
        id: ToggleId,
        part: Part,
        operation: Operation,
        failure: Failure,
        now: Moment,
    ) {
        let toggle = &mut self.toggles[id];
        if failure.is_status(404) && part != Part::Whole {
            toggle.existence = match toggle.work(part).fresh {
                true => Existence::Unknown,
                false => Existence::Absent,
            };
            if toggle.existence == Existence::Absent {
                // It was deleted.
                toggle.work(part).task.state = State::Idle;
                return self.decide_again(id, now);
            }
        }
        if let Part::Environment(number) = part {
            toggle.environments[number].unsure |= failure.is_unsure();
        }
        if part == Part::Whole && failure.kind == Kind::Misfit {
            // It may be another owner's by now: nothing is sent before it can be read.
            toggle.existence = Existence::Unknown;
        }
        toggle.forget(part);
        let failure = self.pause_target(self.config.toggles[id].target, failure, now);
        self.failed(Key::Apply(id, part), operation, failure, now);
        self.decide_again(id, now);
    }

    /// Whether nothing is in flight or in line for a toggle at the target.
    pub(super) fn is_at_rest(&self, id: ToggleId) -> bool {
        let toggle = &self.toggles[id];
        !toggle.is_queued() && !toggle.is_running() && !self.waits_for_answer(id)
    }

    /// In a single pass: whether nothing more will come of a toggle. Once its source or its target has
    /// failed for good, retries of the other cannot help.
    pub(super) fn is_settled(&self, id: ToggleId) -> bool {
        let toggle = &self.toggles[id];
        let source = self.source_of(id).map(|source| &self.sources[source]);
        let query = self.query_of(id);
        let unanswerable =
            query.is_some_and(Task::has_given_up) || source.is_some_and(Source::has_given_up);
        let paused_for_good = self.is_paused_for_good(self.config.toggles[id].target);
        let applied = toggle.works().all(|(_, work)| match work.task.state {
            State::Idle | State::GivenUp => true,
            State::Queued => paused_for_good,
            State::Waiting { .. } => unanswerable,
            State::Running => false,
        });
        let mut environments = toggle.environments.iter();
        let has_failed = toggle.whole.task.has_given_up()
            || environments.all(|environment| environment.work.task.has_given_up());
        let retries = query.is_some_and(Task::is_waiting) || source.is_some_and(Source::is_waiting);
        let waits = self.waits_for_answer(id);
        let known = self.desired(id).is_some() && self.is_sure(id) && !waits;
        let answered = known || unanswerable || (has_failed && retries);
        applied && answered
    }

    pub(super) fn query_of(&self, id: ToggleId) -> Option<&Task> {
        Some(&self.rule_of(id)?.query)
    }
}

fn not_returned() -> Failure {
    Failure::new(Kind::Answer, "the target did not return it")
}

/// Why an update may not be made that removes so much, and leaves so many.
///
/// A set that becomes empty removes all users. Where it is not known who has the toggle, an empty set is
/// held too, if the configuration says anything of a limit.
fn held_back(
    limit: MaxRemoval,
    removals: Option<&[Removal]>,
    left: usize,
    forced: Option<&str>,
) -> Option<Failure> {
    let Some(removals) = removals else {
        let is_held = left == 0 && limit != MaxRemoval::Unset;
        return is_held.then(|| Failure::held(0, None, limit, forced));
    };
    let too_many = removals.iter();
    let too_many = too_many.filter(|it| !limit.allows(it.removed, it.of, left));
    let most = too_many.max_by(|one, other| one.cmp_share(other))?;
    Some(Failure::held(most.removed, Some(most.of), limit, forced))
}
