//! The state of each source and toggle: events in, jobs and notices out; no I/O, no clock.
//!
//! Once a source is connected (discovered and registered with), passes query it for the users of its
//! toggles. A toggle has two tasks that never wait for each other: its query at the source, and its next
//! step at the target. At most one request of each is in flight.

mod loading;
mod pass;
mod reload;
mod source;
mod task;
#[cfg(test)]
mod tests;
mod toggle;
mod view;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use task::{Moment, Trouble};
pub(crate) use view::{Cause, News, Notice, Sent, State, TargetView, View};

use crate::config::Config;
use crate::error::Failure;
use crate::job::{Done, Job, Load, SourceId, TargetTerms, Terms, ToggleId};
use crate::schedule::Timers;
use source::{CallbackHealth, Source};
use task::{Key, Slots, Timer};
use toggle::Toggle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Serve,
    /// `sync --interval`.
    Sync {
        interval: Duration,
    },
    /// `sync --once`, `sync --dry-run`.
    Once {
        /// No retry starts later.
        until: Instant,
        dry_run: bool,
        /// `max_removal` does not apply.
        force: bool,
    },
}

#[derive(Debug)]
pub(crate) enum Event {
    Callback(SourceId),
    Loaded(SourceId, Load),
    Done(Done),
    /// A request for a toggle from the engine of an earlier configuration has ended.
    Ended(ToggleId),
    /// The engine of an earlier configuration has left a source. If it is one of ours under another name,
    /// our registration is gone.
    Left,
    Time,
    /// No new requests, except to unregister.
    Stop,
}

/// What a notice, or a row of the status, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Source(SourceId),
    Toggle(ToggleId),
    Target,
}

/// By how much a resync may exceed its interval, so that a request that ends at `http_timeout` is reported
/// as such.
const GRACE: Duration = Duration::from_millis(200);

struct Resync {
    since: Instant,
    /// Toggles that it has not read, or sent again.
    left: BTreeSet<ToggleId>,
    is_overdue: bool,
}

/// Owned by one thread, the worker.
pub(crate) struct Engine {
    config: Arc<Config>,
    mode: Mode,
    terms: TargetTerms,
    sources: Vec<Source>,
    toggles: Vec<Toggle>,
    /// Toggles with a change to send to the target; all other steps wait for these.
    changes: VecDeque<ToggleId>,
    looks: VecDeque<ToggleId>,
    slots: Slots,
    /// The end of the pause that the target asked for, and its words.
    paused: Option<(Instant, Failure)>,
    timers: Timers<Timer>,
    /// Jobs that need no slot: at most one of each kind for each source.
    urgent: VecDeque<Job>,
    in_flight: usize,
    /// Counts requests, responses and callbacks, which gives them an order.
    turn: u64,
    resync: Option<Resync>,
    started: bool,
    stopping: bool,
    notices: Vec<Notice>,
    touched: BTreeSet<Subject>,
}

impl Engine {
    pub(crate) fn new(config: Arc<Config>, mode: Mode, terms: Terms) -> Engine {
        let slots = config.concurrency;
        let at_once = terms.target.at_once;
        let source = |terms| Source::new(terms, mode, slots);
        Engine {
            mode,
            sources: terms.sources.into_iter().map(source).collect(),
            toggles: config.toggles.iter().map(|_| Toggle::default()).collect(),
            changes: VecDeque::new(),
            looks: VecDeque::new(),
            slots: Slots::new(at_once.unwrap_or(slots).min(slots), at_once.is_some()),
            terms: terms.target,
            paused: None,
            timers: Timers::new(),
            urgent: VecDeque::new(),
            in_flight: 0,
            turn: 1,
            resync: None,
            started: false,
            stopping: false,
            notices: Vec::new(),
            touched: BTreeSet::new(),
            config,
        }
    }

    /// Connects to the sources, unless the connection was inherited, and to all toggles.
    pub(crate) fn start(&mut self, now: Moment) {
        for source in 0..self.sources.len() {
            let known = &self.sources[source];
            if known.has_registered && known.is_connected() && !known.connecting {
                // It was inherited.
                self.ask_for_pass(source, Cause::Reload, now);
            } else {
                self.connect(source, now);
            }
            self.set_poll(source, now);
            self.touched.insert(Subject::Source(source));
        }
        for toggle in 0..self.toggles.len() {
            self.decide_again(toggle, now);
            self.touched.insert(Subject::Toggle(toggle));
        }
        self.touched.insert(Subject::Target);
        self.set_resync(now.at);
        self.check_started();
    }

    pub(crate) fn handle(&mut self, event: Event, now: Moment) {
        match event {
            // A callback for a file only causes it to be read.
            Event::Callback(source) if self.sources[source].terms.is_read => {
                self.begin(Key::Discover(source));
            }
            Event::Callback(source) => {
                self.sources[source].callback_health = CallbackHealth::Working;
                self.heard_news(source, now.at);
                self.ask_for_pass(source, Cause::Callback, now);
            }
            Event::Loaded(source, load) => self.was_loaded(source, load, now),
            Event::Done(done) => self.done(done, now),
            Event::Ended(toggle) => self.ended(toggle, now),
            Event::Left => {
                (0..self.sources.len()).for_each(|source| self.check_registration(source));
            }
            Event::Time => {}
            Event::Stop => self.stop(),
        }
        while let Some(timer) = self.timers.pop(now.at) {
            self.ring(timer, now);
        }
        self.check_started();
    }

    /// The next job that can start now, if there is one.
    pub(crate) fn next_job(&mut self, now: Moment) -> Option<Job> {
        if !self.stopping {
            self.ask_if_ready(now.at);
        }
        let job = match self.urgent.pop_front() {
            None if self.stopping => None,
            None => self.next_query(now.at).or_else(|| self.next_step(now)),
            urgent => urgent,
        };
        if let Some(Job::Discover(source)) = job {
            self.sources[source].asking = self.tick();
        }
        self.in_flight += usize::from(job.is_some());
        job
    }

    /// When the next [`Event::Time`] is due.
    pub(crate) fn next_time(&self, now: Instant) -> Option<Instant> {
        let waits = !self.changes.is_empty() || !self.looks.is_empty();
        let steps = (waits && self.paused.is_none()).then_some(&self.slots);
        let sources = self.sources.iter();
        let queries = sources.filter_map(|source| source.passes.waiting_for_slot());
        let slots = queries.chain(steps);
        let free = slots.filter_map(|slots| slots.next_free(now));
        free.chain(self.timers.next()).min()
    }

    /// Whether nothing is in flight that changes anything: the shutdown does not wait for other responses.
    pub(crate) fn may_end(&self) -> bool {
        let is_changing = |source: &Source| source.register.is_running() || source.is_leaving;
        self.urgent.is_empty()
            && !self.sources.iter().any(is_changing)
            && self.toggles.iter().all(|toggle| toggle.edit.is_none())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.urgent.is_empty()
    }

    /// Whether the pass of [`Mode::Once`] is over: every toggle is in sync or has failed.
    pub(crate) fn is_finished(&self) -> bool {
        self.until().is_some()
            && self.is_idle()
            && (0..self.toggles.len()).all(|toggle| self.is_settled(toggle))
    }

    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The rows of the status that can have changed since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<Subject> {
        std::mem::take(&mut self.touched)
    }

    fn done(&mut self, done: Done, now: Moment) {
        self.in_flight -= 1;
        match done {
            Done::Discover(source, result) => self.discovered(source, result, now),
            Done::Register(source, result) => self.registered(source, result, now),
            Done::Watch(source, result) => self.watched(source, result, now),
            Done::Leave(source, result) => self.left(source, result),
            Done::Ready(source, result) => self.heard_if_ready(source, result, now),
            Done::Count(source, result) => self.counted(source, result, now),
            Done::Load(source, result) => self.asked_to_load(source, result, now),
            Done::Query(toggle, result) => self.queried(toggle, result, now),
            Done::Read(results) => self.were_read(results, now),
            Done::Apply(results) => self.were_applied(results, now),
        }
    }

    fn ring(&mut self, timer: Timer, now: Moment) {
        match timer {
            Timer::Task(Key::Query(toggle)) => self.hurry_query(toggle),
            Timer::Task(Key::Apply(toggle)) => self.hurry(toggle, now),
            Timer::Task(Key::Ready(source)) => {
                self.sources[source].passes.ready.state = task::State::Idle;
            }
            Timer::Task(Key::Load(source)) => self.load_again(source, now),
            Timer::Task(key) => self.begin(key),
            Timer::Patience(source) => self.try_pass(source, now),
            Timer::Poll(source) => self.poll(source, now),
            Timer::Confirm(toggle) => self.confirm(toggle, now),
            Timer::Late(toggle) => self.note_late(toggle, now.at),
            Timer::Resync => self.begin_resync(now),
            Timer::Overdue => self.note_overdue(now.at),
            Timer::Target => {
                self.paused = None;
                self.touched.insert(Subject::Target);
            }
        }
    }

    /// Finds or overrides what was changed by hand, after all changes of policy. What the previous resync did
    /// not reach is part of this one.
    fn begin_resync(&mut self, now: Moment) {
        // A toggle that waits for its retry must not delay the next resync of the others.
        let left = (0..self.toggles.len()).filter(|id| !self.toggles[*id].apply.is_waiting());
        self.resync = Some(Resync {
            since: now.at,
            left: left.collect(),
            is_overdue: false,
        });
        if let Some(interval) = self.config.resync_interval {
            self.timers.set(Timer::Overdue, now.at + interval + GRACE);
        }
        let turn = self.tick();
        for toggle in &mut self.toggles {
            toggle.fall_due(self.terms.readable, turn);
            if !self.terms.readable && !toggle.recheck {
                toggle.observed.forget(false);
            }
        }
        // All at once, so that they can be read together.
        (0..self.toggles.len()).for_each(|id| self.decide_again(id, now));
        for source in 0..self.sources.len() {
            self.load_at_resync(source, now);
            self.ask_for_pass(source, Cause::Resync, now);
        }
        self.end_resync(now.at);
    }

    /// The resync has reached a toggle, whatever the result.
    fn note_reached(&mut self, id: ToggleId, now: Instant) {
        if let Some(resync) = &mut self.resync {
            resync.left.remove(&id);
            self.end_resync(now);
        }
    }

    /// Ends the resync when it has reached every toggle. The next one begins an interval later.
    fn end_resync(&mut self, now: Instant) {
        let resync = self.resync.take_if(|resync| resync.left.is_empty());
        if resync.is_some() {
            self.timers.cancel(Timer::Overdue);
            self.touched.insert(Subject::Target);
            self.set_resync(now);
        }
    }

    fn note_overdue(&mut self, now: Instant) {
        if let Some(resync) = &mut self.resync {
            resync.is_overdue = true;
            let (took, left) = (now - resync.since, resync.left.len());
            self.notify(Subject::Target, News::Overdue { took, left });
            self.touched.insert(Subject::Target);
        }
    }

    fn set_resync(&mut self, now: Instant) {
        // A reload does not postpone it.
        let due = self.timers.get(Timer::Resync);
        self.timers.cancel(Timer::Resync);
        if let (None, Some(interval)) = (self.until(), self.config.resync_interval) {
            let next = now + interval;
            let next = due.map_or(next, |due| due.min(next));
            self.timers.set(Timer::Resync, next);
        }
    }

    fn notify(&mut self, subject: Subject, news: News) {
        self.notices.push(Notice { subject, news });
    }

    fn tick(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// For `/health/started`, which stays true.
    fn check_started(&mut self) {
        self.started = self.started
            || (self.sources.iter().all(Source::is_connected)
                && self.toggles.iter().all(|toggle| toggle.exists));
    }

    /// The end of a single pass.
    fn until(&self) -> Option<Instant> {
        match self.mode {
            Mode::Once { until, .. } => Some(until),
            _ => None,
        }
    }
}
