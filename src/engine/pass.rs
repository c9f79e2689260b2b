//! Passes: all rules of a source are queried, when its OPA is ready.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Evidence, Job, Load, Operation, RuleId, SourceId, ToggleId};

use super::loading::{Loading, Verdict};
use super::task::{Slots, State, Task};
use super::{Cause, Engine, Key, Moment, News, Subject, Timer, Why};

/// How long a running pass may delay the next one, so that a query that hangs delays no other toggle.
pub(crate) const PATIENCE: Duration = Duration::from_millis(25);

#[derive(Default)]
pub(super) struct Passes {
    pub(super) waiting: Option<Cause>,
    /// When all queries of a pass last succeeded.
    pub(super) last: Option<Instant>,
    /// No query of the last one got a response.
    pub(super) unanswered: bool,
    pub(super) ready: Task,
    pub(super) ready_until: Option<Instant>,
    pub(super) held_since: Option<Instant>,
    /// OPA hangs when asked whether it has loaded everything: it is not asked again until then.
    pub(super) untold_until: Option<Instant>,
    /// It was logged that OPA does not report whether it has loaded everything.
    pub(super) is_logged: bool,
    pub(super) asks_if_ready: bool,
    pub(super) loading: Loading,
    /// OPA was restarted, and has not proven that it has loaded everything.
    pub(super) unproven: bool,
    pub(super) running: Option<Pass>,
    /// All queries have ended, and changes are on their way to the target.
    pub(super) settling: Option<Pass>,
    /// How many have begun.
    pub(super) count: u64,
    pub(super) queries: VecDeque<RuleId>,
    pub(super) slots: Slots<RuleId>,
}

pub(super) struct Pass {
    number: u64,
    pub(super) cause: Cause,
    started: Instant,
    toggles: usize,
    /// Toggles whose query has no response.
    pending: usize,
    /// How long the queries took, once all have ended.
    took: Option<Duration>,
    /// Toggles whose change is on its way to the target.
    settling: usize,
    /// Toggles that were changed there.
    changed: usize,
    failed: usize,
    /// Failed queries of a host that may be gone.
    lost: usize,
}

impl Passes {
    pub(super) fn inherit(&mut self, old: &Passes) {
        self.last = old.last;
        self.unanswered = old.unanswered;
        self.ready = old.ready.inherit_hurried();
        self.held_since = old.held_since;
        self.inherit_loading(old);
    }

    /// Takes over how far the OPA has loaded, whatever else has changed.
    pub(super) fn inherit_loading(&mut self, old: &Passes) {
        self.loading = old.loading.clone();
        self.unproven = old.unproven;
        self.is_logged = old.is_logged;
    }

    /// When the next query gets a slot without the end of a request, if that is all it waits for.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        let waits = !self.queries.is_empty() && (!self.asks_if_ready || self.ready_until.is_some());
        self.slots.next_free(now).filter(|_| waits)
    }

    /// A pass that has not been reported yet.
    fn pass(&mut self, number: u64) -> Option<&mut Pass> {
        let mut passes = self.running.iter_mut().chain(&mut self.settling);
        passes.find(|pass| pass.number == number)
    }

    /// Whether responses of OPA may be applied: nothing suggests that it has not loaded everything.
    pub(super) fn is_sure(&self) -> bool {
        self.held_since.is_none() && self.ready.trouble.is_none()
    }

    fn is_ready(&self, now: Instant) -> bool {
        !self.asks_if_ready || self.ready_until.is_some_and(|until| now < until)
    }
}

impl Engine {
    pub(super) fn ask_for_pass(&mut self, id: SourceId, cause: Cause, now: Moment) {
        self.sources[id].passes.waiting.get_or_insert(cause);
        self.try_pass(id, now);
    }

    /// Begins the waiting pass, unless another has just begun.
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
        let counts = rules.iter().map(|rule| self.rules[*rule].toggles.len());
        let toggles = counts.sum();
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
            let is_first = self.rules[rule].answer.is_none();
            self.rules[rule].why = Why::of(cause, is_first);
            self.ask_for_query(rule);
        }
    }

    /// Ends the running pass, which is reported when its changes have arrived.
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
            self.report_pass(id, before);
        }
        self.report_if_settled(id);
    }

    fn report_if_settled(&mut self, id: SourceId) {
        let settling = &mut self.sources[id].passes.settling;
        if let Some(pass) = settling.take_if(|pass| pass.settling == 0) {
            self.report_pass(id, pass);
        }
    }

    fn report_pass(&mut self, id: SourceId, pass: Pass) {
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

    /// The query of a rule that so many toggles follow has ended.
    pub(super) fn count_answer(
        &mut self,
        id: SourceId,
        number: u64,
        toggles: usize,
        failure: Option<&Failure>,
        now: Moment,
    ) {
        let Some(pass) = self.sources[id].passes.pass(number) else {
            return;
        };
        if pass.took.is_some() {
            return;
        }
        pass.pending -= toggles;
        pass.failed += failure.map_or(0, |_| toggles);
        pass.lost += failure
            .filter(|failure| failure.is_unreachable())
            .map_or(0, |_| toggles);
        if pass.pending == 0 {
            self.end_pass(id, now);
            self.try_pass(id, now);
        }
    }

    /// The report of the pass waits for the outcome of a toggle.
    pub(super) fn waits_for_target(&mut self, source: SourceId, toggle: ToggleId, number: u64) {
        self.settled(toggle);
        if let Some(pass) = self.sources[source].passes.pass(number) {
            pass.settling += 1;
            self.toggles[toggle].settles = Some(number);
        }
    }

    /// A toggle has come to rest at the target.
    pub(super) fn settled(&mut self, toggle: ToggleId) {
        let number = self.toggles[toggle].settles.take();
        let Some((number, source)) = number.zip(self.source_of(toggle)) else {
            return;
        };
        let has_changed = std::mem::take(&mut self.toggles[toggle].has_changed);
        if let Some(pass) = self.sources[source].passes.pass(number) {
            pass.settling -= 1;
            pass.changed += usize::from(has_changed);
            self.report_if_settled(source);
        }
    }

    pub(super) fn next_query(&mut self, now: Instant) -> Option<Job> {
        let turn = self.tick();
        for source in &mut self.sources {
            let asking = match source.terms.is_read {
                true => source.asked,
                false => turn,
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
            return Some(Job::Query(id, Arc::clone(origin), rule.answer.clone()));
        }
        None
    }
}

/// How long OPA counts as ready. Short, because an OPA that restarts during a pass returns empty sets.
const READY: Duration = Duration::from_millis(250);

/// How long an OPA that does not report whether it is ready counts as ready.
const UNTOLD: Duration = Duration::from_secs(60);

/// How long to wait for OPAL's report of a load before asking it again.
const REPORT: Duration = Duration::from_secs(15);

/// How often OPAL is asked at once for another load when it reports one.
const LOADS: u8 = 2;

/// The shortest and longest wait before an OPA that is not ready is asked again.
const HOLD: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

/// How long OPA may take to become ready before that counts as a failure.
const LONG_HOLD: Duration = Duration::from_secs(60);

impl Engine {
    /// Asks each OPA for which queries wait whether it is ready, unless that is known.
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
            // Only this request may hang; its rules will show.
            Err(failure) if failure.kind == Kind::Timeout && !loads && passes.is_sure() => {
                passes.untold_until = Some(now.at + UNTOLD);
                Evidence::default()
            }
            Err(failure) => {
                self.rediscover(id, &failure, now);
                self.failed(Key::Ready(id), Operation::Ready, failure, now);
                return self.skip_in_resync(id, now.at);
            }
        };
        let verdict = match evidence.says {
            _ if loads => passes.loading.judge(&evidence, now.at),
            // An OPA alone reports on its bundles each time, or the last report holds.
            Some(false) => Verdict::NotReady,
            None if passes.held_since.is_some() => Verdict::NotReady,
            _ => Verdict::Ready,
        };
        match verdict {
            Verdict::Ready => passes.unproven = false,
            Verdict::Unproven if std::mem::replace(&mut passes.unproven, true) => {}
            Verdict::Unproven => self.notify(Subject::Source(id), News::Unproven),
            Verdict::Silent => {
                let words = "OPA no longer reports whether it was restarted and what was written to \
                             it (GET /v1/config and /metrics): nothing is applied until it does; to go \
                             on without, set wait_until_ready = false on the source";
                let failure = Failure::new(Kind::NotReady, words);
                self.failed(Key::Ready(id), Operation::Ready, failure, now);
                return self.skip_in_resync(id, now.at);
            }
            Verdict::Restarted => {
                self.notify(Subject::Source(id), News::Restarted);
                // OPAL may have been restarted too, and have lost our registration.
                self.check_registration(id);
                self.ask_to_load(id, REPORT, now);
                return self.hold(id, now);
            }
            Verdict::NotReady => return self.hold(id, now),
        }
        let passes = &mut self.sources[id].passes;
        let was_sure = passes.is_sure();
        passes.held_since = None;
        let tells_nothing = evidence.says.is_none() && evidence.writes.is_none();
        if loads && tells_nothing && !passes.loading.trusts(&evidence) && !passes.is_logged {
            passes.is_logged = true;
            self.notify(Subject::Source(id), News::Untold);
        }
        self.succeeded(Key::Ready(id));
        if verdict == Verdict::Ready && !self.sources[id].load.is_running() {
            self.succeeded(Key::Load(id));
        }
        if !was_sure {
            // Responses from before the restart are out of date.
            self.ask_for_pass(id, Cause::Ready, now);
        }
        self.sources[id].passes.ready_until = Some(now.at + READY);
    }

    /// An OPA that was trusted without proof would remove users: it may have restarted before it was first
    /// seen, and have only part of its data.
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
            // It has loaded anyway.
            Err(_) if !self.sources[id].passes.loading.wants_load() => self.succeeded(key),
            Err(failure) => self.failed(key, Operation::Load, failure, now),
        }
    }

    pub(super) fn was_loaded(&mut self, id: SourceId, load: Load, now: Moment) {
        let passes = &mut self.sources[id].passes;
        passes.loading.reported(load);
        let wants_next = load == Load::Data && passes.loading.wants_data();
        if (wants_next || passes.loading.lacks_report()) && self.sources[id].loads_left > 0 {
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

    /// Asks OPAL again to load everything, if that is still needed. Without proof for a minute, it is only asked
    /// at resyncs.
    pub(super) fn load_again(&mut self, id: SourceId, now: Moment) {
        let loading = &self.sources[id].passes.loading;
        if !loading.wants_load() {
            self.succeeded(Key::Load(id));
        } else if !loading.is_unproven(now.at) || self.sources[id].load.trouble.is_some() {
            self.ask_to_load(id, Duration::ZERO, now);
        }
    }

    /// Asks OPAL to load everything, at the earliest `apart` after the last time: behind a load balancer, new
    /// processes can respond again and again.
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

    /// Asks OPAL once more if OPA has not proven anything.
    pub(super) fn load_at_resync(&mut self, id: SourceId, now: Moment) {
        if self.sources[id].passes.unproven && self.sources[id].passes.loading.wants_load() {
            self.ask_to_load(id, REPORT, now);
        }
    }

    /// OPA is not ready, and is asked again soon. In a single pass, or after a long time, that is a failure.
    fn hold(&mut self, id: SourceId, now: Moment) {
        self.touch(Subject::Source(id));
        self.skip_in_resync(id, now.at);
        if self.sources[id].passes.held_since.is_none() {
            self.notify(Subject::Source(id), News::NotReady);
        }
        let held = now.at - *self.sources[id].passes.held_since.get_or_insert(now.at);
        if held >= LONG_HOLD || self.until().is_some() {
            let source = &self.sources[id];
            let loads = source.terms.loads;
            let failure = match loads && source.passes.loading.wants_load() {
                true => {
                    let words = "OPA was restarted, or may have been, and OPAL has not reported yet that \
                                 it has loaded all policy and data into it again: nothing is applied; OPAL \
                                 reports only with OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True; to go on \
                                 without, set wait_until_ready = false on the source";
                    Failure::new(Kind::NotReady, words)
                }
                false => Failure::not_ready(loads),
            };
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
