//! What is known of each source and toggle: events in, jobs and notices out; no I/O, no clock.
//!
//! A source is connected to (discovered, registered with), and then passes ask it for the users of
//! its toggles. A toggle has two tasks that never wait for each other: its query at the source, and
//! its next step at the target. Per toggle at most one request of each is in flight.

mod notice;
mod pass;
mod places;
mod source;
mod task;
#[cfg(test)]
mod tests;
mod toggle;
mod view;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use notice::{Cause, Notice};
pub use pass::PATIENCE;
pub use places::{HANGING, PROMPT};
pub use task::{Moment, Trouble};
pub use view::{Outcome, Sent, SourceView, TargetView, ToggleState, ToggleView};

use crate::config::Config;
use crate::error::Failure;
use crate::job::{Done, Job, SourceId, ToggleId};
use crate::schedule::{LONGEST_PAUSE, Timers};
use places::Places;
use source::Source;
use task::Task;
use toggle::Toggle;

/// What an engine is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `serve`: called back by OPAL.
    Serve,
    /// `sync`: a pass every interval.
    Sync {
        /// Time between passes.
        interval: Duration,
    },
    /// `sync --once`, `sync --dry-run`: one pass, then finished.
    Once {
        /// No retry starts later.
        until: Instant,
        /// Whether nothing may be changed at the target.
        dry_run: bool,
    },
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// OPAL called back.
    Callback(SourceId),
    /// A job has ended.
    Done(Done),
    /// Time has passed.
    Time,
    /// The program is to end: no new requests, but those that say goodbye.
    Stop,
}

/// A row of the status that can have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A source.
    Source(SourceId),
    /// A toggle.
    Toggle(ToggleId),
    /// The target.
    Target,
}

/// The tasks; each has a timer for its retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Discover(SourceId),
    Register(SourceId),
    Watch(SourceId),
    Ready(SourceId),
    Query(ToggleId),
    Apply(ToggleId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A task is due.
    Task(Key),
    /// The running pass has had its time, and another is waiting.
    Patience(SourceId),
    /// A source is due for a pass.
    Poll(SourceId),
    /// A toggle whose request was lost is due for another look.
    Confirm(ToggleId),
    /// A resync is due.
    Resync,
    /// The target's pause has ended.
    Target,
}

/// Owns all that the program knows. One thread owns the engine.
pub struct Engine {
    config: Arc<Config>,
    mode: Mode,
    readable: bool,
    sources: Vec<Source>,
    toggles: Vec<Toggle>,
    /// Toggles with a step to take at the target.
    steps: VecDeque<ToggleId>,
    places: Places,
    /// Until when the target wants to be left alone, and in which words it said so.
    paused: Option<(Instant, Failure)>,
    timers: Timers<Timer>,
    /// Requests that need no place: at most one of a kind for each source.
    urgent: VecDeque<Job>,
    in_flight: usize,
    started: bool,
    stopping: bool,
    notices: Vec<Notice>,
    touched: BTreeSet<Thing>,
}

impl Engine {
    /// An engine for a configuration. `readable` tells whether its target can be read.
    ///
    /// Nothing happens before [`Engine::start`].
    pub fn new(config: Arc<Config>, mode: Mode, readable: bool) -> Engine {
        let places = config.concurrency;
        let source = |source| Source::new(source, mode, places);
        Engine {
            mode,
            readable,
            sources: config.sources.iter().map(source).collect(),
            toggles: config.toggles.iter().map(|_| Toggle::default()).collect(),
            steps: VecDeque::new(),
            places: Places::new(places),
            paused: None,
            timers: Timers::default(),
            urgent: VecDeque::new(),
            in_flight: 0,
            started: false,
            stopping: false,
            notices: Vec::new(),
            touched: BTreeSet::new(),
            config,
        }
    }

    /// Connects to every source, and creates every toggle.
    pub fn start(&mut self, now: Moment) {
        for source in 0..self.sources.len() {
            self.connect(source, now);
            self.set_poll(source, now);
            self.touched.insert(Thing::Source(source));
        }
        for toggle in 0..self.toggles.len() {
            self.advance(toggle, now);
            self.touched.insert(Thing::Toggle(toggle));
        }
        self.touched.insert(Thing::Target);
        self.set_resync(now);
        self.check_started();
    }

    /// Takes note of an event.
    pub fn handle(&mut self, event: Event, now: Moment) {
        match event {
            Event::Callback(source) => self.ask_for_pass(source, Cause::Callback, now),
            Event::Done(done) => self.done(done, now),
            Event::Time => {}
            Event::Stop => self.stop(),
        }
        while let Some(timer) = self.timers.pop(now.at) {
            self.ring(timer, now);
        }
        self.check_started();
    }

    /// The next job that can be done now. Ask until there is none.
    pub fn next_job(&mut self, now: Moment) -> Option<Job> {
        if !self.stopping {
            self.ask_if_ready(now.at);
        }
        let job = match self.urgent.pop_front() {
            None if self.stopping => None,
            None => self.next_query(now.at).or_else(|| self.next_step(now.at)),
            urgent => urgent,
        };
        self.in_flight += usize::from(job.is_some());
        job
    }

    /// When [`Event::Time`] is to be sent, unless something else happens before.
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        let steps = (!self.steps.is_empty() && self.paused.is_none()).then_some(&self.places);
        let queries = self
            .sources
            .iter()
            .filter_map(|source| source.passes.waiting_for_place());
        let places = queries
            .chain(steps)
            .filter_map(|places| places.next_free(now));
        places.chain(self.timers.next()).min()
    }

    /// Whether nothing is in flight, and nothing urgent is left to do.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.urgent.is_empty()
    }

    /// Whether the one pass of [`Mode::Once`] is over: every toggle is in sync or has failed.
    pub fn is_finished(&self) -> bool {
        let once = matches!(self.mode, Mode::Once { .. });
        once && self.is_idle() && (0..self.toggles.len()).all(|toggle| self.is_settled(toggle))
    }

    /// What there is to tell since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What can look different since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<Thing> {
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
            Done::Query(toggle, result) => self.queried(toggle, result, now),
            Done::Read(toggle, result) => self.was_read(toggle, result, now),
            Done::Create(toggle, result) => self.was_created(toggle, result, now),
            Done::Describe(toggle, result) => self.was_described(toggle, result, now),
            Done::Update(toggle, result) => self.was_updated(toggle, result, now),
        }
    }

    fn ring(&mut self, timer: Timer, now: Moment) {
        match timer {
            Timer::Task(Key::Query(toggle)) => self.hurry_query(toggle),
            Timer::Task(Key::Apply(toggle)) => self.hurry(toggle, now),
            Timer::Task(Key::Ready(source)) => {
                self.sources[source].passes.ready.state = task::State::Idle;
            }
            Timer::Task(key) => self.begin(key),
            Timer::Patience(source) => self.try_pass(source, now),
            Timer::Poll(source) => {
                self.ask_for_pass(source, Cause::Poll, now);
                self.set_poll(source, now);
            }
            Timer::Confirm(toggle) => self.confirm(toggle, now),
            Timer::Resync => self.resync(now),
            Timer::Target => {
                self.paused = None;
                self.touched.insert(Thing::Target);
            }
        }
    }

    fn resync(&mut self, now: Moment) {
        for toggle in &mut self.toggles {
            toggle.forget(self.readable);
        }
        for source in 0..self.sources.len() {
            self.ask_for_pass(source, Cause::Resync, now);
        }
        self.set_resync(now);
    }

    fn set_resync(&mut self, now: Moment) {
        let once = matches!(self.mode, Mode::Once { .. });
        if let (false, Some(interval)) = (once, self.config.resync_interval) {
            self.timers.set(Timer::Resync, now.at + interval);
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        for job in std::mem::take(&mut self.urgent) {
            if let Job::Register(source) = job {
                self.sources[source].register.state = task::State::Idle;
            }
        }
        for source in 0..self.sources.len() {
            self.leave(source);
        }
    }

    /// `/health/started`: once it is true, it stays.
    fn check_started(&mut self) {
        self.started = self.started
            || (self.sources.iter().all(Source::is_connected)
                && self.toggles.iter().all(|toggle| toggle.exists));
    }

    fn until(&self) -> Option<Instant> {
        match self.mode {
            Mode::Once { until, .. } => Some(until),
            _ => None,
        }
    }

    fn task(&mut self, key: Key) -> &mut Task {
        match key {
            Key::Discover(source) => &mut self.sources[source].discover,
            Key::Register(source) => &mut self.sources[source].register,
            Key::Watch(source) => &mut self.sources[source].watch,
            Key::Ready(source) => &mut self.sources[source].passes.ready,
            Key::Query(toggle) => &mut self.toggles[toggle].query,
            Key::Apply(toggle) => &mut self.toggles[toggle].apply,
        }
    }

    fn name(&self, key: Key) -> String {
        match key {
            Key::Query(toggle) | Key::Apply(toggle) => self.toggle_name(toggle),
            Key::Discover(source)
            | Key::Register(source)
            | Key::Watch(source)
            | Key::Ready(source) => self.source_name(source),
        }
    }

    /// A task has succeeded.
    fn succeeded(&mut self, key: Key) {
        self.timers.cancel(Timer::Task(key));
        self.touched.insert(thing(key));
        if let Some(trouble) = self.task(key).succeed() {
            let (name, what, count) = (self.name(key), trouble.what, trouble.count);
            self.notices.push(Notice::Mended { name, what, count });
        }
    }

    /// A task has failed: its retry is set, where there will be one.
    fn failed(&mut self, key: Key, what: &'static str, failure: Failure, now: Moment) {
        let until = self.until();
        let retry_in = self.task(key).fail(what, failure.clone(), now, until);
        if let Some(wait) = retry_in {
            self.timers.set(Timer::Task(key), now.at + wait);
        }
        self.touched.insert(thing(key));
        let count = self
            .task(key)
            .trouble
            .as_ref()
            .map_or(1, |trouble| trouble.count);
        if count.is_power_of_two() {
            let name = self.name(key);
            self.notices.push(Notice::Failing {
                name,
                what,
                failure,
                count,
                retry_in,
            });
        }
    }

    /// The target wants to be left alone (429): the whole of it.
    fn pause_target(&mut self, failure: &Failure, now: Moment) {
        let Some(wait) = failure.pause.filter(|_| failure.is_status(429)) else {
            return;
        };
        let end = now.at + wait.min(LONGEST_PAUSE);
        if self.paused.as_ref().is_none_or(|(known, _)| *known < end) {
            self.paused = Some((end, failure.clone()));
            self.timers.set(Timer::Target, end);
            self.notices.push(Notice::Paused { wait });
            self.touched.insert(Thing::Target);
        }
    }
}

fn thing(key: Key) -> Thing {
    match key {
        Key::Query(toggle) | Key::Apply(toggle) => Thing::Toggle(toggle),
        Key::Discover(source) | Key::Register(source) | Key::Watch(source) | Key::Ready(source) => {
            Thing::Source(source)
        }
    }
}
