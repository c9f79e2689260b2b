//! Passes: asking a source for the users of all its rules, when its OPA is ready.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Evidence, Job, Load, Operation, RuleId, SourceId, ToggleId};

use super::loading::{Loading, Verdict};
use super::task::{Slots, State, Task};
use super::{Cause, Engine, Key, Moment, News, Subject, Timer};

/// How long a pass may make a waiting one wait: longer, and a query that hangs for one toggle would
/// delay the others.
pub(crate) const PATIENCE: Duration = Duration::from_millis(25);

pub(super) struct Passes {
    /// Asked for, and why.
    pub(super) waiting: Option<Cause>,
    /// When one last ended with all of its answers.
    pub(super) last: Option<Instant>,
    /// The last one was not answered at all.
    pub(super) unanswered: bool,
    pub(super) ready: Task,
    pub(super) ready_until: Option<Instant>,
    pub(super) held_since: Option<Instant>,
    /// OPA does not tell whether it has loaded everything: until then it is not asked again, because
    /// that may be a question on which it hangs.
    pub(super) untold_until: Option<Instant>,
    /// That was logged.
    is_told_of: bool,
    pub(super) asks_if_ready: bool,
    pub(super) loading: Loading,
    /// OPA was restarted, and it is not known whether it has loaded everything.
    pub(super) unproven: bool,
    running: Option<Pass>,
    /// Answered, while what it changes is on its way to the target.
    settling: Option<Pass>,
    /// How many have begun.
    count: u64,
    pub(super) queries: VecDeque<RuleId>,
    slots: Slots<RuleId>,
}

struct Pass {
    number: u64,
    cause: Cause,
    started: Instant,
    toggles: usize,
    /// For how many the query is not answered.
    pending: usize,
    /// How long it took to ask, once all are.
    took: Option<Duration>,
    /// How many toggles are answered and have not come to rest at the target.
    settling: usize,
    /// How many were changed there.
    changed: usize,
    failed: usize,
    /// Of these, how many got no answer at all.
    lost: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Good,
    Failed,
    /// The host may be gone.
    Lost,
}

impl Passes {
    pub(super) fn new(asks_if_ready: bool, slots: usize) -> Passes {
        Passes {
            waiting: None,
            last: None,
            unanswered: false,
            ready: Task::default(),
            ready_until: None,
            held_since: None,
            untold_until: None,
            is_told_of: false,
            asks_if_ready,
            loading: Loading::default(),
            unproven: false,
            running: None,
            settling: None,
            count: 0,
            queries: VecDeque::new(),
            slots: Slots::new(slots),
        }
    }

    pub(super) fn inherit(&mut self, old: &Passes) {
        self.last = old.last;
        self.unanswered = old.unanswered;
        self.ready = old.ready.inherit().hurried();
        self.held_since = old.held_since;
        self.inherit_loading(old);
    }

    /// Takes over how far the OPA of a source has loaded, whatever else has changed of the source.
    pub(super) fn inherit_loading(&mut self, old: &Passes) {
        self.loading = old.loading.clone();
        self.unproven = old.unproven;
        self.is_told_of = old.is_told_of;
    }

    /// When the next query gets a slot although no request ends, where it waits for nothing else.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        let waits = !self.queries.is_empty() && (!self.asks_if_ready || self.ready_until.is_some());
        self.slots.next_free(now).filter(|_| waits)
    }

    #[cfg(test)]
    pub(super) fn queue_len(&self) -> usize {
        self.queries.len()
    }

    /// A pass of which has not been told yet.
    fn pass(&mut self, number: u64) -> Option<&mut Pass> {
        let mut passes = self.running.iter_mut().chain(&mut self.settling);
        passes.find(|pass| pass.number == number)
    }

    /// Whether nothing says that OPA has not loaded everything: while something does, what it answered
    /// before is not applied.
    pub(super) fn is_sure(&self) -> bool {
        self.held_since.is_none() && self.ready.trouble.is_none()
    }

    /// Whether OPA is known to have loaded everything.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        !self.asks_if_ready || self.ready_until.is_some_and(|until| now < until)
    }
}

impl Engine {
    pub(super) fn ask_for_pass(&mut self, id: SourceId, cause: Cause, now: Moment) {
        self.sources[id].passes.waiting.get_or_insert(cause);
        self.try_pass(id, now);
    }

    /// Begins the waiting pass, unless one is running that has not used up the patience yet.
    pub(super) fn try_pass(&mut self, id: SourceId, now: Moment) {
        let source = &self.sources[id];
        if source.connecting || source.origin.is_none() || source.passes.waiting.is_none() {
            return;
        }
        match &source.passes.running {
            Some(pass) if now.at < pass.started + PATIENCE => {
                let end = pass.started + PATIENCE;
                self.timers.set(Timer::Patience(id), end);
            }
            _ => self.begin_pass(id, now),
        }
    }

    fn begin_pass(&mut self, id: SourceId, now: Moment) {
        self.end_pass(id, now);
        self.timers.cancel(Timer::Patience(id));
        let rules = self.sources[id].rules.clone();
        let toggles = rules
            .iter()
            .map(|rule| self.rules[*rule].toggles.len())
            .sum();
        let passes = &mut self.sources[id].passes;
        let Some(cause) = passes.waiting.take().filter(|_| toggles > 0) else {
            return;
        };
        passes.count += 1;
        passes.ready_until = passes.untold_until.filter(|until| now.at < *until);
        if passes.ready.may_be_hurried() {
            passes.ready.state = State::Idle;
            self.timers.cancel(Timer::Task(Key::Ready(id)));
        }
        passes.running = Some(Pass {
            number: passes.count,
            cause,
            started: now.at,
            toggles,
            pending: toggles,
            took: None,
            settling: 0,
            changed: 0,
            failed: 0,
            lost: 0,
        });
        let count = passes.count;
        for rule in rules {
            self.rules[rule].pass = Some(count);
            self.ask_for_query(rule);
        }
    }

    pub(super) fn running_cause(&self, id: SourceId) -> Option<Cause> {
        let running = self.sources[id].passes.running.as_ref();
        running.map(|pass| pass.cause)
    }

    /// Ends the running pass, if there is one, and tells of it when what it has changed has arrived.
    fn end_pass(&mut self, id: SourceId, now: Moment) {
        let passes = &mut self.sources[id].passes;
        let Some(mut pass) = passes.running.take() else {
            return;
        };
        passes.unanswered = pass.lost == pass.toggles;
        if pass.failed + pass.pending == 0 {
            passes.last = Some(now.at);
        }
        pass.took = Some(now.at - pass.started);
        let before = passes.settling.replace(pass);
        self.touch(Subject::Source(id));
        if let Some(before) = before {
            self.tell_of_pass(id, before);
        }
        self.tell_if_settled(id);
    }

    fn tell_if_settled(&mut self, id: SourceId) {
        let settling = &mut self.sources[id].passes.settling;
        if let Some(pass) = settling.take_if(|pass| pass.settling == 0) {
            self.tell_of_pass(id, pass);
        }
    }

    fn tell_of_pass(&mut self, id: SourceId, pass: Pass) {
        let news = News::Pass {
            cause: pass.cause,
            toggles: pass.toggles,
            changed: pass.changed,
            failed: pass.failed,
            late: pass.pending,
            took: pass.took.unwrap_or_default(),
        };
        self.notify(Subject::Source(id), news);
    }

    /// A query was answered, on which so many toggles wait.
    pub(super) fn count_answer(
        &mut self,
        id: SourceId,
        number: u64,
        answer: Answer,
        toggles: usize,
        now: Moment,
    ) {
        let Some(pass) = self.sources[id].passes.pass(number) else {
            return;
        };
        if pass.took.is_some() {
            return;
        }
        pass.pending -= toggles;
        pass.failed += if answer == Answer::Good { 0 } else { toggles };
        pass.lost += if answer == Answer::Lost { toggles } else { 0 };
        if pass.pending == 0 {
            self.end_pass(id, now);
            self.try_pass(id, now);
        }
    }

    /// The pass `number` is to tell of what becomes of a toggle.
    pub(super) fn waits_for_target(&mut self, toggle: ToggleId, number: u64) {
        let source = self.source_of(toggle);
        self.settled(toggle);
        if let Some(pass) = self.sources[source].passes.pass(number) {
            pass.settling += 1;
            self.toggles[toggle].settles = Some(number);
        }
    }

    /// A toggle has come to rest at the target.
    pub(super) fn settled(&mut self, toggle: ToggleId) {
        let source = self.source_of(toggle);
        let Some(number) = self.toggles[toggle].settles.take() else {
            return;
        };
        let has_changed = std::mem::take(&mut self.toggles[toggle].has_changed);
        if let Some(pass) = self.sources[source].passes.pass(number) {
            pass.settling -= 1;
            pass.changed += usize::from(has_changed);
            self.tell_if_settled(source);
        }
    }

    pub(super) fn enqueue_query(&mut self, id: SourceId, rule: RuleId) {
        self.sources[id].passes.queries.push_back(rule);
    }

    pub(super) fn next_query(&mut self, now: Instant) -> Option<Job> {
        let turn = self.tick();
        for source in &mut self.sources {
            let asking = if source.terms.is_read {
                source.asked
            } else {
                turn
            };
            let (Some(origin), passes) = (&source.origin, &mut source.passes) else {
                continue;
            };
            if !passes.is_ready(now) || !passes.slots.is_free(now) {
                continue;
            }
            let Some(id) = passes.queries.pop_front() else {
                continue;
            };
            let rule = &mut self.rules[id];
            rule.asking = asking;
            passes.slots.take(id, now, rule.query.hung());
            rule.query.state = State::Running;
            return Some(Job::Query(id, Arc::clone(origin)));
        }
        None
    }

    pub(super) fn release_query(&mut self, id: SourceId, rule: RuleId) {
        self.sources[id].passes.slots.release(&rule);
    }
}

/// How long one answer about its readiness is taken for OPA's state. Short, because an OPA that is
/// restarted in the middle of a pass answers empty sets.
const READY: Duration = Duration::from_millis(250);

/// For how long an OPA that does not tell is taken as it is.
const UNTOLD: Duration = Duration::from_secs(60);

/// How long OPAL may take to report that it has loaded everything, before it is asked again.
const REPORT: Duration = Duration::from_secs(15);

/// How often OPAL is asked once more at once, when it reports a load and another is needed.
const LOADS: u8 = 2;

/// How long to wait at least, and at most, before asking an OPA again that is not ready.
const HOLD: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

/// How long OPA may take to become ready before that counts as a failure.
const LONG_HOLD: Duration = Duration::from_secs(60);

impl Engine {
    /// Asks each OPA that has queries waiting, and whose state is not known, if it is ready.
    pub(super) fn ask_if_ready(&mut self, now: Instant) {
        for (id, source) in self.sources.iter_mut().enumerate() {
            let (Some(origin), passes) = (&source.origin, &mut source.passes) else {
                continue;
            };
            if !passes.queries.is_empty() && !passes.is_ready(now) && passes.ready.is_idle() {
                passes.ready.state = State::Running;
                let known = passes.loading.known();
                self.urgent
                    .push_back(Job::Ready(id, Arc::clone(origin), known));
            }
        }
    }

    pub(super) fn heard_if_ready(
        &mut self,
        id: SourceId,
        result: Result<Evidence, Failure>,
        now: Moment,
    ) {
        if self.sources[id].passes.ready.take_outdated() {
            return;
        }
        let loads = self.sources[id].terms.loads;
        let passes = &mut self.sources[id].passes;
        let evidence = match result {
            Ok(evidence) => evidence,
            // It hangs on the question alone: its rules tell whether it answers.
            Err(failure) if failure.kind == Kind::Timeout && !loads && passes.is_sure() => {
                passes.untold_until = Some(now.at + UNTOLD);
                Evidence::default()
            }
            Err(failure) => {
                self.rediscover(id, &failure, now);
                self.failed(Key::Ready(id), Operation::Ready, failure, now);
                return self.note_unasked(id, now.at);
            }
        };
        let verdict = match evidence.says {
            _ if loads => passes.loading.judge(&evidence, now.at),
            // Its bundles tell each time, or do not: then what they told last holds.
            Some(false) => Verdict::NotReady,
            None if passes.held_since.is_some() => Verdict::NotReady,
            _ => Verdict::Ready,
        };
        match verdict {
            Verdict::Ready => passes.unproven = false,
            Verdict::Unproven if std::mem::replace(&mut passes.unproven, true) => {}
            Verdict::Unproven => self.notify(Subject::Source(id), News::Unproven),
            Verdict::Silent => {
                let failure = Failure::silent();
                self.failed(Key::Ready(id), Operation::Ready, failure, now);
                return self.note_unasked(id, now.at);
            }
            Verdict::Restarted => {
                self.notify(Subject::Source(id), News::Restarted);
                // OPAL may have been restarted too, and have lost where to report.
                self.look_at_registration(id);
                self.ask_to_load(id, REPORT, now);
                return self.hold(id, now);
            }
            Verdict::NotReady => return self.hold(id, now),
        }
        let passes = &mut self.sources[id].passes;
        let was_sure = passes.is_sure();
        passes.held_since = None;
        let tells_nothing = evidence.says.is_none() && evidence.writes.is_none();
        if loads && tells_nothing && !passes.loading.trusts(&evidence) && !passes.is_told_of {
            passes.is_told_of = true;
            self.notify(Subject::Source(id), News::Untold);
        }
        self.succeeded(Key::Ready(id));
        if verdict == Verdict::Ready && !self.sources[id].load.is_running() {
            self.succeeded(Key::Load(id));
        }
        if !was_sure {
            // What was asked before OPA was restarted is out of date.
            self.ask_for_pass(id, Cause::Ready, now);
        }
        self.sources[id].passes.ready_until = Some(now.at + READY);
    }

    /// What an OPA says that was taken at its word would take a toggle away from users: it may have been
    /// restarted before it was first seen, and hold a part of its data alone.
    pub(super) fn doubt(&mut self, id: SourceId, now: Moment) {
        let passes = &mut self.sources[id].passes;
        if passes.loading.demand_proof(now.at) {
            passes.held_since = Some(now.at);
            self.touch(Subject::Source(id));
            self.notify(Subject::Source(id), News::Doubtful);
            self.ask_to_load(id, REPORT, now);
            self.ask_for_pass(id, Cause::Ready, now);
        }
    }

    pub(super) fn asked_to_load(
        &mut self,
        id: SourceId,
        result: Result<bool, Failure>,
        now: Moment,
    ) {
        let key = Key::Load(id);
        match result {
            Ok(loads_data) => {
                self.succeeded(key);
                if !loads_data {
                    self.sources[id].passes.loading.loads_no_data();
                }
                self.timers.set(Timer::Task(key), now.at + REPORT);
            }
            // It has been loaded nevertheless.
            Err(_) if !self.sources[id].passes.loading.wants_load() => self.succeeded(key),
            Err(failure) => self.failed(key, Operation::Load, failure, now),
        }
    }

    pub(super) fn was_loaded(&mut self, id: SourceId, load: Load, now: Moment) {
        let passes = &mut self.sources[id].passes;
        passes.loading.reported(load);
        if load == Load::Data && passes.loading.wants_data() && self.sources[id].loads_left > 0 {
            self.sources[id].loads_left -= 1;
            self.begin(Key::Load(id));
        }
        // It may be all that was missing.
        let passes = &mut self.sources[id].passes;
        if passes.unproven && !passes.loading.wants_load() {
            return self.ask_for_pass(id, Cause::Ready, now);
        }
        if passes.ready.may_be_hurried() {
            passes.ready.state = State::Idle;
            self.timers.cancel(Timer::Task(Key::Ready(id)));
        }
    }

    /// It is time to ask OPAL again to load everything, if that is still wanted: where it has proven nothing
    /// for a minute, no more often than at each resync.
    pub(super) fn load_again(&mut self, id: SourceId, now: Moment) {
        let loading = &self.sources[id].passes.loading;
        if !loading.wants_load() {
            self.succeeded(Key::Load(id));
        } else if !loading.is_unproven(now.at) || self.sources[id].load.trouble.is_some() {
            self.ask_to_load(id, Duration::ZERO, now);
        }
    }

    /// Asks OPAL to load everything, so long at least after it was asked the last time: behind a load
    /// balancer, processes that are new answer again and again.
    fn ask_to_load(&mut self, id: SourceId, apart: Duration, now: Moment) {
        let next = self.sources[id].load_asked.map(|asked| asked + apart);
        match next.filter(|next| now.at < *next) {
            Some(next) => self.timers.set(Timer::Task(Key::Load(id)), next),
            None => {
                self.sources[id].load_asked = Some(now.at);
                self.sources[id].loads_left = LOADS;
                self.begin(Key::Load(id));
            }
        }
    }

    /// Asks OPAL once more where it has proven nothing before.
    pub(super) fn load_at_resync(&mut self, id: SourceId, now: Moment) {
        if self.sources[id].passes.unproven && self.sources[id].passes.loading.wants_load() {
            self.ask_to_load(id, REPORT, now);
        }
    }

    /// What an OPA lacks that is not ready, and the way out.
    fn not_ready(&self, id: SourceId) -> Failure {
        let source = &self.sources[id];
        match source.terms.loads {
            false => Failure::bundles_missing(),
            true if source.passes.loading.wants_load() => Failure::reload_missing(),
            true => Failure::not_ready(),
        }
    }

    /// OPA is not ready: asks again soon. In a single pass, and after a long time, it is a failure.
    fn hold(&mut self, id: SourceId, now: Moment) {
        self.touch(Subject::Source(id));
        self.note_unasked(id, now.at);
        if self.sources[id].passes.held_since.is_none() {
            self.notify(Subject::Source(id), News::NotReady);
        }
        let held = now.at - *self.sources[id].passes.held_since.get_or_insert(now.at);
        if held >= LONG_HOLD || self.until().is_some() {
            let failure = self.not_ready(id);
            self.failed(Key::Ready(id), Operation::Ready, failure, now);
        }
        let ready = &mut self.sources[id].passes.ready;
        if !ready.has_given_up() {
            ready.state = State::Waiting { asked: false };
            let wait = held.clamp(HOLD.0, HOLD.1);
            self.timers.set(Timer::Task(Key::Ready(id)), now.at + wait);
        }
    }
}
