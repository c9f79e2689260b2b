//! The state of each source and toggle: events in, jobs and notices out; no I/O, no clock.
//!
//! Once a source is connected (discovered and registered with), passes query its rules. A rule has a task
//! for its query, a toggle one for each of its parts at the target: no task waits for another's retry.

mod loading;
mod pass;
mod reload;
mod rule;
mod source;
mod target;
mod task;
#[cfg(test)]
mod tests;
mod toggle;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use task::{Moment, Trouble};
pub(crate) use view::{
    Cause, Counts, EnvironmentOutcome, EnvironmentView, Holding, News, Notice, Outcome, Sent,
    State, TargetView, Update, Verdict, View, Why,
};

use crate::config::Config;
use crate::job::{Done, Job, Load, Marked, RuleId, SourceId, TargetId, Terms, ToggleId};
use crate::schedule::Timers;
use crate::users::Users;
use rule::Rule;
use source::{CallbackHealth, Source};
use target::Target;
use task::{Key, Timer};
use toggle::Toggle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Serve,
    /// `sync --interval`.
    Sync {
        interval: Duration,
    },
    /// `sync`.
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
    Rule(RuleId),
    Toggle(ToggleId),
    /// A toggle in one of its environments.
    Environment(ToggleId, usize),
    Target(TargetId),
}

/// Owned by one thread, the worker.
pub(crate) struct Engine {
    config: Arc<Config>,
    mode: Mode,
    sources: Vec<Source>,
    targets: Vec<Target>,
    rules: Vec<Rule>,
    toggles: Vec<Toggle>,
    /// Whom a toggle is to be on for that has left the configuration.
    no_users: Arc<Users>,
    /// The toggles to retire, of targets where they are not those of the configuration.
    found: BTreeMap<TargetId, Vec<Marked>>,
    timers: Timers<Timer>,
    /// Jobs that need no slot: at most one of each kind for each source.
    urgent: VecDeque<Job>,
    in_flight: usize,
    /// Counts requests, responses and callbacks, which gives them an order.
    turn: u64,
    started: bool,
    stopping: bool,
    notices: Vec<Notice>,
    touched: BTreeSet<Subject>,
}

impl Engine {
    pub(crate) fn new(config: Arc<Config>, mode: Mode, terms: Terms) -> Engine {
        let slots = config.concurrency;
        let mut rules: Vec<Rule> = config.rules.iter().map(|_| Rule::default()).collect();
        for (id, toggle) in config.toggles.iter().enumerate() {
            if let Some(rule) = toggle.rule {
                rules[rule].toggles.push(id);
            }
        }
        let sources = terms.sources.into_iter().enumerate().map(|(id, terms)| {
            let of_source = config.rules.iter().enumerate();
            let of_source = of_source.filter(|(_, rule)| rule.source == id);
            Source::new(
                terms,
                mode,
                slots,
                of_source.map(|(rule, _)| rule).collect(),
            )
        });
        let mut toggles: Vec<Toggle> = config.toggles.iter().map(|_| Toggle::default()).collect();
        let targets = terms.targets.into_iter();
        let targets = targets.map(|terms| Target::new(terms, slots, &mut toggles));
        let targets = targets.collect();
        // A request of the previous process may arrive after ours.
        for environment in toggles.iter_mut().flat_map(|it| &mut it.environments) {
            environment.unsure = mode == Mode::Serve;
        }
        Engine {
            mode,
            sources: sources.collect(),
            targets,
            rules,
            toggles,
            no_users: Arc::default(),
            found: BTreeMap::new(),
            timers: Timers::new(),
            urgent: VecDeque::new(),
            in_flight: 0,
            turn: 1,
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
            self.touch(Subject::Source(source));
        }
        for toggle in 0..self.toggles.len() {
            self.decide_again(toggle, now);
            self.touch(Subject::Toggle(toggle));
        }
        for target in 0..self.targets.len() {
            self.touch(Subject::Target(target));
            self.set_resync(target, now.at);
            if !self.targets[target].has_looked {
                self.find_marked(target);
            }
        }
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
            None => self.next_query(now.at).or_else(|| {
                let mut targets = 0..self.targets.len();
                targets.find_map(|target| self.next_job_at(target, now))
            }),
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
        let sources = self.sources.iter();
        let queries = sources.filter_map(|source| source.passes.next_slot(now));
        let targets = self.targets.iter();
        let steps = targets.filter_map(|target| target.next_slot(now));
        queries.chain(steps).chain(self.timers.next()).min()
    }

    /// Whether nothing is in flight that changes anything: the shutdown does not wait for other responses.
    pub(crate) fn may_end(&self) -> bool {
        let is_changing = |source: &Source| source.register.is_running() || source.is_leaving;
        self.urgent.is_empty()
            && !self.sources.iter().any(is_changing)
            && !self.toggles.iter().any(Toggle::is_being_edited)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.urgent.is_empty()
    }

    /// Whether the pass of [`Mode::Once`] is over: every toggle is in sync or has failed.
    pub(crate) fn is_finished(&self) -> bool {
        self.until().is_some()
            && self.is_idle()
            && (0..self.targets.len()).all(|target| self.has_found(target))
            && (0..self.toggles.len()).all(|toggle| self.is_settled(toggle))
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
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
            Done::Query(rule, result) => self.queried(rule, result, now),
            Done::Find(target, result) => self.found_marked(target, result, now),
            Done::Read(target, results) => self.were_read(target, results, now),
            Done::Apply(target, results) => self.were_applied(target, results, now),
        }
    }

    fn ring(&mut self, timer: Timer, now: Moment) {
        match timer {
            Timer::Task(Key::Query(rule)) => self.hurry_query(rule),
            Timer::Task(Key::Apply(toggle, part)) => {
                self.toggles[toggle].work(part).task.state = task::State::Idle;
                self.decide_again(toggle, now);
            }
            Timer::Task(Key::Ready(source)) => {
                self.sources[source].passes.ready.state = task::State::Idle;
            }
            Timer::Task(Key::Load(source)) => self.load_again(source, now),
            Timer::Task(Key::Find(target)) => self.find_marked(target),
            Timer::Task(key) => self.begin(key),
            Timer::Patience(source) => self.try_pass(source, now),
            Timer::Poll(source) => self.poll(source, now),
            Timer::Overtake(toggle) => self.decide_again(toggle, now),
            Timer::Confirm(toggle) => {
                let (turn, readable) = (self.tick(), self.is_readable(toggle));
                self.toggles[toggle].fall_due(readable, turn);
                self.decide_again(toggle, now);
            }
            Timer::Late => self.find_late(now.at),
            Timer::Resync(target) => self.begin_resync(target, now),
            Timer::Overdue(target) => self.note_overdue(target, now.at),
            Timer::Pause(target) => {
                self.targets[target].paused = None;
                self.touch(Subject::Target(target));
            }
        }
    }

    /// The rule that a toggle follows, unless it has left the configuration.
    fn rule_of(&self, id: ToggleId) -> Option<&Rule> {
        Some(&self.rules[self.config.toggles[id].rule?])
    }

    /// That of the answer from which its users follow.
    fn revision_of(&self, id: ToggleId) -> Option<Arc<str>> {
        self.rule_of(id)?.answer.as_ref()?.revision.clone()
    }

    /// The source of that rule.
    fn source_of(&self, id: ToggleId) -> Option<SourceId> {
        Some(self.config.rules[self.config.toggles[id].rule?].source)
    }

    /// Whether a toggle has left the configuration.
    fn is_retired(&self, id: ToggleId) -> bool {
        self.config.toggles[id].rule.is_none()
    }

    /// Whether a toggle can be read at its target.
    fn is_readable(&self, id: ToggleId) -> bool {
        self.targets[self.config.toggles[id].target].terms.readable
    }

    /// The toggles that follow a source's rules.
    fn toggles_of(&self, source: SourceId) -> Vec<ToggleId> {
        let rules = self.sources[source].rules.iter();
        rules
            .flat_map(|rule| self.rules[*rule].toggles.iter().copied())
            .collect()
    }

    /// Notes which rows of the status can have changed.
    fn touch(&mut self, subject: Subject) {
        match subject {
            Subject::Rule(id) => {
                let toggles = self.rules[id].toggles.iter();
                self.touched.extend(toggles.map(|id| Subject::Toggle(*id)));
            }
            Subject::Environment(toggle, _) => {
                self.touched.insert(Subject::Toggle(toggle));
            }
            Subject::Source(_) | Subject::Toggle(_) | Subject::Target(_) => {
                self.touched.insert(subject);
            }
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
                && (0..self.toggles.len())
                    .all(|id| self.toggles[id].exists || self.is_retired(id)));
    }

    /// The end of a single pass.
    fn until(&self) -> Option<Instant> {
        match self.mode {
            Mode::Once { until, .. } => Some(until),
            _ => None,
        }
    }
}
