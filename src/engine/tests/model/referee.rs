//! The rules, watched over at each event.
//!
//! Which users may be sent: let a query be the last one of a toggle that was answered when an update
//! is handed out. If it failed, nothing may be sent. If it succeeded, OPA made up its answer at a
//! moment between the query's start and its end, and exactly those users are to be sent that the
//! policy allowed at that moment. As a toggle has one query in flight at most, that moment is later
//! than the end of every query before: what is sent is never older than the last success.
//!
//! Nor is it older than what another instance had written by the last look at the target; and where
//! that cannot be looked at, it was asked for after the last resync began.

use std::collections::BTreeMap;

use super::super::super::{Key, Timer};
use super::remote::Remote;
use super::setup::{Setup, TOGGLES, is_query, source_of, toggles_of, updates_of};
use super::world::Flight;
use super::*;
use crate::engine::task::HANGING;
use crate::job::Operation;
use crate::plan::Step;

const WAITS: [f64; 6] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const WINDOW: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_millis(25);

pub(super) struct Referee {
    setup: Setup,
    /// When OPA made up the last answer about each toggle; none after a failure.
    told: [Option<Instant>; TOGGLES],
    /// When the query in flight was made, and the one that was answered last.
    asking: [Option<Instant>; TOGGLES],
    asked_at: [Option<Instant>; TOGGLES],
    /// Of which moment of the policy what another instance had written was, by the last look at each toggle.
    seen: [Option<Instant>; TOGGLES],
    /// When the last resync began.
    resync: Option<Instant>,
    streaks: BTreeMap<Key, Streak>,
    /// Until when what must not be tried, because the remote asked for a pause.
    asked: BTreeMap<Key, Instant>,
    /// Until when the target wants to be left alone, and until when it takes one request at a time.
    paused_until: Option<Instant>,
    narrow_until: Option<Instant>,
    /// What has just failed, and its streak before.
    failed: Vec<(Key, Failure, Option<Streak>)>,
}

/// How often what failed in a row.
type Streak = (usize, Operation);

/// What became of one task.
struct Verdict {
    key: Key,
    operation: Operation,
    failure: Option<Failure>,
}

impl Referee {
    pub(super) fn new(setup: &Setup) -> Referee {
        Referee {
            setup: setup.clone(),
            told: [None; TOGGLES],
            asking: [None; TOGGLES],
            asked_at: [None; TOGGLES],
            seen: [None; TOGGLES],
            resync: None,
            streaks: BTreeMap::new(),
            asked: BTreeMap::new(),
            paused_until: None,
            narrow_until: None,
            failed: Vec::new(),
        }
    }

    /// A request is about to go out.
    pub(super) fn see_off(&mut self, job: &Job, others: &[Flight], remote: &Remote, now: Instant) {
        if let Job::Query(id, _) = job {
            self.asking[*id] = Some(now);
        }
        for other in others {
            let same_kind = is_query(job) == is_query(&other.job);
            let toggles = toggles_of(&other.job);
            let same_toggle = toggles_of(job).iter().any(|id| toggles.contains(id));
            assert!(
                !(same_kind && same_toggle),
                "two requests of a kind: {}",
                short(job)
            );
            let same = toggles_of(job).is_empty() && short(job) == short(&other.job);
            assert!(!same, "two requests of a kind: {}", short(job));
        }
        for id in toggles_of(job) {
            let key = if is_query(job) {
                Key::Query(id)
            } else {
                Key::Apply(id)
            };
            let asked = self.asked.get(&key).is_some_and(|end| now < *end);
            assert!(!asked, "{}: too early for a Retry-After", short(job));
        }
        for (id, users) in updates_of(job) {
            let told = self.told[id].map(|then| remote.allowed(id, then));
            assert_eq!(
                told.as_ref(),
                Some(users),
                "{}: not the newest users",
                short(job)
            );
            let (told, seen) = (self.told[id], self.seen[id]);
            assert!(
                !self.setup.readable || seen <= told,
                "{}: older than what another instance wrote",
                short(job)
            );
            assert!(
                self.setup.readable || self.resync <= self.asked_at[id],
                "{}: asked for before the resync",
                short(job)
            );
        }
        if source_of(job).is_none() {
            let paused = self.paused_until.is_some_and(|end| now < end);
            assert!(!paused, "{}: the target wants to be left alone", short(job));
        }
        self.count(job, others, now);
    }

    fn count(&self, job: &Job, others: &[Flight], now: Instant) {
        let peer = source_of(job);
        let others = others
            .iter()
            .filter(|other| source_of(&other.job) == peer)
            .count();
        let narrow = self.narrow_until.is_some_and(|end| now < end);
        let limit = match self.setup.at_once {
            Some(_) if peer.is_none() && narrow => 1,
            Some(limit) if peer.is_none() => limit.min(self.setup.concurrency),
            // Beside the queries there is one request of each kind to a source.
            _ => self.setup.concurrency + HANGING + 6,
        };
        assert!(others < limit, "{}: too many at once", short(job));
    }

    /// A resync begins.
    pub(super) fn resync(&mut self, now: Instant) {
        self.resync = Some(now);
    }

    /// The target may have been looked at, when it had this.
    pub(super) fn look(&mut self, done: &Done, as_of: [Option<Instant>; TOGGLES]) {
        let seen: Vec<ToggleId> = match done {
            Done::Read(results) => {
                let seen =
                    |(_, result): &&(_, _)| !matches!(result, Ok(Observed::Unknown) | Err(_));
                results.iter().filter(seen).map(|(id, _)| *id).collect()
            }
            Done::Apply(results) => {
                let seen = |(_, result): &&(_, _)| matches!(result, Ok(Applied::Found(found)) if *found != Observed::Unknown);
                results.iter().filter(seen).map(|(id, _)| *id).collect()
            }
            _ => Vec::new(),
        };
        seen.into_iter().for_each(|id| self.seen[id] = as_of[id]);
    }

    /// A request has ended; OPA made up its answer at `moment`.
    pub(super) fn hear(&mut self, job: &Job, done: &Done, moment: Instant, now: Instant) {
        if let Done::Query(id, result) = done {
            self.told[*id] = result.is_ok().then_some(moment);
            self.asked_at[*id] = self.asking[*id].take();
        }
        for Verdict {
            key,
            operation,
            failure,
        } in verdicts(job, done)
        {
            self.asked.remove(&key);
            let Some(failure) = failure else {
                if self
                    .streaks
                    .get(&key)
                    .is_some_and(|(_, failed)| *failed == operation)
                {
                    self.streaks.remove(&key);
                }
                continue;
            };
            if matches!(key, Key::Apply(_)) && failure.is_status(429) {
                let pause = failure.pause.map(|pause| pause.min(LONGEST_PAUSE));
                let window = pause.unwrap_or_default().max(WINDOW);
                self.narrow_until = self.narrow_until.max(Some(now + window));
                let end = pause.map(|pause| now + pause);
                self.paused_until = self.paused_until.max(end);
            }
            let before = self.streaks.get(&key).copied();
            let count = before.map_or(0, |(count, _)| count);
            self.streaks.insert(key, (count + 1, operation));
            self.failed.push((key, failure, before));
        }
    }

    /// The engine has taken note of it.
    pub(super) fn judge(&mut self, engine: &mut Engine, remote: &Remote, now: Instant) {
        for (key, failure, before) in std::mem::take(&mut self.failed) {
            if !self.is_counted(engine, key, &failure, now) {
                // It did not count.
                self.streaks.remove(&key);
                self.streaks.extend(before.map(|before| (key, before)));
            }
        }
        for id in 0..TOGGLES {
            let toggle = engine.toggle(id);
            // It can be in sync with what was heard last, while the next answer is late.
            let is_late = toggle
                .troubles
                .iter()
                .any(|it| it.failure.kind == Kind::Late);
            let known = &engine.toggles[id];
            let desired = known.desired.as_deref().filter(|_| known.apply.is_idle());
            let steps = known.observed.steps(desired, true);
            if is_late && desired.is_some() && !steps.contains(&Step::Update) {
                self.streaks.remove(&Key::Apply(id));
            }
            if toggle.state != State::InSync {
                continue;
            }
            self.streaks.remove(&Key::Apply(id));
            let told = self.told[id].map(|then| remote.allowed(id, then));
            assert!(
                told.is_some(),
                "toggle {id} is in sync with an unknown policy"
            );
            if !remote.is_meddled_with(id) {
                assert_eq!(remote.has(id), told, "toggle {id} is not in sync");
            }
        }
        for notice in engine.take_notices() {
            if let News::Pass { late, took, .. } = notice.news {
                assert!(late == 0 || took >= PATIENCE, "passes overlap");
            }
        }
        engine.take_touched();
    }

    /// What has failed is counted, and tried again after the wait that is its turn, or the pause that was asked
    /// for where that is longer; unless a callback came in the meantime, or a toggle is not there any
    /// more and is created at once.
    fn is_counted(&mut self, engine: &Engine, key: Key, failure: &Failure, now: Instant) -> bool {
        let Some(at) = engine.timers.get(Timer::Task(key)) else {
            let is_gone = matches!(key, Key::Apply(_)) && failure.is_status(404);
            let is_called = matches!(key, Key::Query(_)) && failure.pause.is_none();
            assert!(
                is_gone || is_called,
                "{key:?} is not tried again after {failure:?}"
            );
            return is_called;
        };
        let (count, _) = self.streaks[&key];
        let full = Duration::from_secs_f64(WAITS[(count - 1).min(WAITS.len() - 1)]);
        let pause = failure.pause.unwrap_or_default().min(LONGEST_PAUSE);
        let wait = at - now;
        assert!(
            wait <= full.max(pause),
            "{key:?} waits {wait:?} after {count} failures"
        );
        assert!(
            wait >= full.mul_f64(0.9).max(pause),
            "{key:?} waits {wait:?} after {count} failures"
        );
        if failure.pause.is_some() {
            self.asked.insert(key, at);
        }
        true
    }
}

/// Readiness is left out: an OPA that is not ready is asked in its own rhythm.
fn verdicts(job: &Job, done: &Done) -> Vec<Verdict> {
    fn of<T>(key: Key, operation: Operation, result: &Result<T, Failure>) -> Vec<Verdict> {
        let failure = result.as_ref().err().cloned();
        vec![Verdict {
            key,
            operation,
            failure,
        }]
    }
    match done {
        Done::Discover(id, result) => of(Key::Discover(*id), Operation::Discover, result),
        Done::Register(id, result) => of(Key::Register(*id), Operation::Register, result),
        Done::Watch(id, result) => of(Key::Watch(*id), Operation::Watch, result),
        Done::Query(id, result) => of(Key::Query(*id), Operation::Query, result),
        Done::Apply(results) => {
            let Job::Apply(edits) = job else {
                panic!("{done:?} came of {job:?}");
            };
            let verdict = |(edit, (id, result)): (&Edit, &(ToggleId, Result<Applied, Failure>))| {
                let key = Key::Apply(*id);
                let operation = match edit.what {
                    What::Create => Operation::Create,
                    What::Describe => Operation::Describe,
                    What::Update(_) => Operation::Update,
                };
                match result {
                    Ok(Applied::Found(Observed::Unknown)) => {
                        let unread: Result<(), _> = Err(failure(Kind::Status(409)));
                        of(key, operation, &unread)
                    }
                    Ok(Applied::Found(_)) if operation != Operation::Create => {
                        of(key, Operation::Read, result)
                    }
                    _ => of(key, operation, result),
                }
            };
            edits.iter().zip(results).flat_map(verdict).collect()
        }
        Done::Read(results) => {
            // What was not told is neither a success nor a failure.
            let told = |(_, result): &&(_, _)| !matches!(result, Ok(Observed::Unknown));
            let reads = results.iter().filter(told);
            reads
                .flat_map(|(id, result)| of(Key::Apply(*id), Operation::Read, result))
                .collect()
        }
        Done::Count(id, result) => of(Key::Count(*id), Operation::Count, result),
        Done::Load(id, result) => of(Key::Load(*id), Operation::Load, result),
        Done::Leave(..) | Done::Ready(..) => Vec::new(),
    }
}
