//! The rules, watched over at each event.
//!
//! Which users may be sent: let a query be the last one of a rule that was answered when an update
//! is handed out. If it failed, nothing may be sent. If it succeeded, OPA made up its answer at a
//! moment between the query's start and its end, and exactly those users are to be sent that the
//! policy allowed at that moment. As a rule has one query in flight at most, that moment is later
//! than the end of every query before: what is sent is never older than the last success.
//!
//! Nor is it older than what another instance had written by the last look at the target; and where
//! that cannot be looked at, it was asked for after the last resync began.
//!
//! Which requests may be out together for a toggle: a read or a creation is alone, and of its other
//! parts one goes out beside what has been out for a second, or hung the last time.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::{Key, Subject, Timer};
use super::ledger::Ledger;
use super::remote::Remote;
use super::setup::{
    ENVIRONMENTS, Peer, Place, RULE_OF, RULES, Setup, TARGETS, parts_of, peer_of, places, told_of,
    updates_of,
};
use super::world::Flight;
use super::*;
use crate::engine::task::{HANGING, PROMPT};
use crate::job::{Operation, TargetId};

const WAITS: [f64; 6] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const WINDOW: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_millis(25);

pub(super) struct Referee {
    setup: Setup,
    pub(super) ledger: Ledger,
    /// By rule, when OPA made up the last answer; none after a failure.
    told: [Option<Instant>; RULES],
    /// When the query in flight was made, and the one that was answered last.
    asking: [Option<Instant>; RULES],
    asked_at: [Option<Instant>; RULES],
    /// Of which moment of the policy what another instance had written was, by the last look.
    seen: BTreeMap<Place, Instant>,
    targets: [Target; TARGETS],
    streaks: BTreeMap<Key, Streak>,
    /// Until when what must not be tried, because the remote asked for a pause.
    asked: BTreeMap<Key, Instant>,
    /// What timed out the last time.
    hung: BTreeSet<(ToggleId, Part)>,
    /// What has just failed, and its streak before.
    failed: Vec<(Key, Failure, Option<Streak>)>,
}

#[derive(Clone, Copy, Default)]
struct Target {
    /// When the last resync began.
    resync: Option<Instant>,
    /// Until when it wants to be left alone, and until when it takes one request at a time.
    paused_until: Option<Instant>,
    narrow_until: Option<Instant>,
}

/// How often what failed in a row, and until when it was to wait the last time.
#[derive(Clone, Copy)]
struct Streak {
    count: usize,
    operation: Operation,
    until: Option<Instant>,
}

/// What became of one task.
struct Verdict {
    key: Key,
    operation: Operation,
    failure: Option<Failure>,
}

impl Referee {
    pub(super) fn new(setup: &Setup, remote: &Remote) -> Referee {
        Referee {
            setup: setup.clone(),
            ledger: Ledger::new(remote),
            told: [None; RULES],
            asking: [None; RULES],
            asked_at: [None; RULES],
            seen: BTreeMap::new(),
            targets: [Target::default(); TARGETS],
            streaks: BTreeMap::new(),
            asked: BTreeMap::new(),
            hung: BTreeSet::new(),
            failed: Vec::new(),
        }
    }

    /// A request is about to go out.
    pub(super) fn see_off(&mut self, job: &Job, others: &[Flight], remote: &Remote, now: Instant) {
        let name = short(job);
        let parts = parts_of(job);
        for other in others {
            let same = parts.is_empty() && name == short(&other.job);
            assert!(!same, "two requests of a kind: {name}");
            let is_late = now >= other.since + PROMPT;
            let may_go = |one: &(ToggleId, Part), other: &(ToggleId, Part)| {
                let apart = one.1 != other.1 && ![one.1, other.1].contains(&Part::Whole);
                one.0 != other.0 || (apart && (is_late || self.hung.contains(other)))
            };
            let theirs = parts_of(&other.job);
            let may_go = |one| theirs.iter().all(|it| may_go(one, it));
            assert!(
                parts.iter().all(may_go),
                "{name} beside {}",
                short(&other.job)
            );
        }
        let keys = parts.iter().map(|(id, part)| Key::Apply(*id, *part));
        let query = match job {
            Job::Query(rule, ..) => {
                self.asking[*rule] = Some(now);
                Some(Key::Query(*rule))
            }
            _ => None,
        };
        for key in keys.chain(query) {
            let asked = self.asked.get(&key).is_some_and(|end| now < *end);
            assert!(!asked, "{name}: too early for a Retry-After");
        }
        if let Peer::Target(target) = peer_of(job) {
            self.see_off_to(target, job, remote, now);
        }
        self.count(job, others, now);
    }

    fn see_off_to(&self, target: TargetId, job: &Job, remote: &Remote, now: Instant) {
        let name = short(job);
        let Target {
            resync,
            paused_until,
            ..
        } = self.targets[target];
        let readable = self.setup.targets[target].readable;
        for (place, users) in updates_of(job) {
            let rule = RULE_OF[place.0];
            let told = self.told[rule].map(|then| remote.allowed(rule, then));
            assert_eq!(told.as_ref(), Some(users), "{name}: not the newest users");
            assert!(
                !readable || self.seen.get(&place).copied() <= self.told[rule],
                "{name}: older than what another instance wrote"
            );
            assert!(
                readable || resync <= self.asked_at[rule],
                "{name}: asked for before the resync"
            );
        }
        let paused = paused_until.is_some_and(|end| now < end);
        assert!(!paused, "{name}: the target wants to be left alone");
    }

    fn count(&self, job: &Job, others: &[Flight], now: Instant) {
        let peer = peer_of(job);
        let others = others.iter().filter(|other| peer_of(&other.job) == peer);
        // Beside the queries there is one request of each kind to a source.
        let most = self.setup.concurrency + HANGING + 6;
        let limit = match peer {
            Peer::Source(_) => most,
            Peer::Target(id) => match self.setup.targets[id].at_once {
                Some(_) if self.targets[id].narrow_until.is_some_and(|end| now < end) => 1,
                Some(limit) => limit.min(self.setup.concurrency),
                None => most,
            },
        };
        assert!(others.count() < limit, "{}: too many at once", short(job));
    }

    /// A resync begins.
    pub(super) fn resync(&mut self, target: TargetId, now: Instant) {
        self.targets[target].resync = Some(now);
    }

    /// The target may have been looked at, when it had this.
    pub(super) fn look(&mut self, done: &Done, as_of: &BTreeMap<Place, Instant>) {
        for (id, _) in told_of(done) {
            for place in (0..ENVIRONMENTS[id]).map(|number| (id, number)) {
                self.seen.remove(&place);
                self.seen.extend(as_of.get(&place).map(|at| (place, *at)));
            }
        }
    }

    /// A request has ended; OPA made up its answer at `moment`.
    pub(super) fn hear(
        &mut self,
        job: &Job,
        done: &Done,
        moment: Instant,
        engine: &Engine,
        now: Instant,
    ) {
        if let Done::Query(rule, result) = done {
            self.told[*rule] = result.is_ok().then_some(moment);
            self.asked_at[*rule] = self.asking[*rule].take();
        }
        for Verdict {
            key,
            operation,
            failure,
        } in verdicts(job, done)
        {
            if operation == Operation::Read && engine.timers.get(Timer::Task(key)).is_some() {
                // It waits for its retry already.
                continue;
            }
            self.asked.remove(&key);
            let kind = failure.as_ref().map(|it| it.kind);
            if let (Key::Apply(id, part), true) = (key, kind != Some(Kind::Status(404))) {
                // A 404 says that there is no toggle, and nothing of the part.
                self.hung.remove(&(id, part));
                let hung = kind == Some(Kind::Timeout);
                self.hung.extend(hung.then_some((id, part)));
            }
            let Some(mut failure) = failure else {
                let streak = self.streaks.get(&key);
                if streak.is_some_and(|streak| streak.operation == operation) {
                    self.streaks.remove(&key);
                }
                continue;
            };
            if matches!(key, Key::Apply(..)) && failure.is_status(429) {
                let Peer::Target(target) = peer_of(job) else {
                    panic!("{key:?} at a source");
                };
                let target = &mut self.targets[target];
                let pause = failure.pause.unwrap_or(WINDOW).min(LONGEST_PAUSE);
                let window = pause.max(WINDOW);
                target.narrow_until = target.narrow_until.max(Some(now + window));
                target.paused_until = target.paused_until.max(Some(now + pause));
                failure = failure.pausing(Some(pause));
            }
            let before = self.streaks.get(&key).copied();
            // What is tried before its wait is over does not count.
            let until = before.and_then(|before| before.until);
            let is_early = until.is_some_and(|until| now < until);
            let count = before.map_or(0, |before| before.count) + usize::from(!is_early);
            let streak = Streak {
                count,
                operation,
                until,
            };
            self.streaks.insert(key, streak);
            self.failed.push((key, failure, before));
        }
    }

    /// The engine has taken note of it.
    pub(super) fn judge(&mut self, engine: &mut Engine, remote: &Remote, now: Moment) {
        for (key, failure, before) in std::mem::take(&mut self.failed) {
            if !self.is_counted(engine, key, &failure, now) {
                // It did not count.
                self.streaks.remove(&key);
                self.streaks.extend(before.map(|before| (key, before)));
            }
        }
        self.forget_streaks_of_mended(engine);
        let views: Vec<_> = (0..TOGGLES).map(|id| engine.toggle(id)).collect();
        for (id, number) in places() {
            let state = views[id].environments[number].state;
            if state != State::InSync || remote.is_meddled_with((id, number)) {
                continue;
            }
            let rule = RULE_OF[id];
            let told = self.told[rule].map(|then| remote.allowed(rule, then));
            assert!(
                told.is_some(),
                "in sync with an unknown policy: {id}/{number}"
            );
            assert_eq!(remote.has((id, number)), told, "not in sync: {id}/{number}");
        }
        for notice in engine.take_notices() {
            match (notice.subject, notice.news) {
                (_, News::Pass { late, took, .. }) => {
                    assert!(late == 0 || took >= PATIENCE, "passes overlap");
                }
                (Subject::Environment(id, number), News::Updated(update)) => {
                    self.ledger.add((id, number), &update);
                }
                _ => {}
            }
        }
        for place in places() {
            self.ledger.check(place, engine, place, remote);
        }
        engine.take_touched();
        for target in &engine.targets {
            let parts: BTreeSet<_> = target.changes.iter().collect();
            assert_eq!(parts.len(), target.changes.len(), "in line twice");
        }
    }

    /// A part that is as it should be fails no longer, whatever it was that made it so.
    fn forget_streaks_of_mended(&mut self, engine: &Engine) {
        let is_mended = |key: &Key| match key {
            Key::Apply(id, part) => {
                let mut works = engine.toggles[*id].works();
                works.any(|(it, work)| it == *part && work.task.trouble.is_none())
            }
            _ => false,
        };
        self.streaks.retain(|key, _| !is_mended(key));
    }

    /// What has failed is counted, and tried again after the wait that is its turn, or the pause that was asked
    /// for where that is longer; unless a callback came in the meantime, or a toggle is not there any
    /// more and is created at once.
    fn is_counted(&mut self, engine: &Engine, key: Key, failure: &Failure, now: Moment) -> bool {
        let is_gone = matches!(key, Key::Apply(..)) && failure.is_status(404);
        let is_called = matches!(key, Key::Query(_)) && failure.pause.is_none();
        let timer = engine.timers.get(Timer::Task(key));
        if timer.is_none() && is_gone {
            return false;
        }
        assert!(
            timer.is_some() || is_called,
            "{key:?} is not tried again after {failure:?}"
        );
        let Some(streak) = self.streaks.get_mut(&key) else {
            panic!("{key:?} has not failed");
        };
        let full = Duration::from_secs_f64(WAITS[(streak.count - 1).min(WAITS.len() - 1)]);
        let pause = failure.pause.unwrap_or_default().min(LONGEST_PAUSE);
        let until = now.at + full.mul_f64(1.0 - 0.1 * now.chance).max(pause);
        let count = streak.count;
        assert_eq!(
            timer.unwrap_or(until),
            until,
            "{key:?} after {count} failures"
        );
        streak.until = Some(until);
        if failure.pause.is_some() {
            self.asked.insert(key, until);
        }
        true
    }
}

/// Readiness is left out: an OPA that is not ready is asked in its own rhythm.
fn verdicts(job: &Job, done: &Done) -> Vec<Verdict> {
    fn of<T>(key: Key, operation: Operation, result: &Result<T, Failure>) -> Verdict {
        let failure = result.as_ref().err().cloned();
        Verdict {
            key,
            operation,
            failure,
        }
    }
    let mut verdicts = match done {
        Done::Discover(id, result) => vec![of(Key::Discover(*id), Operation::Discover, result)],
        Done::Register(id, result) => vec![of(Key::Register(*id), Operation::Register, result)],
        Done::Watch(id, result) => vec![of(Key::Watch(*id), Operation::Watch, result)],
        Done::Query(id, result) => vec![of(Key::Query(*id), Operation::Query, result)],
        Done::Find(id, result) => vec![of(Key::Find(*id), Operation::Find, result)],
        Done::Apply(_, results) => {
            let Job::Apply(_, edits) = job else {
                panic!("{done:?} came of {job:?}");
            };
            let verdict = |(edit, (id, part, result)): (&Edit, &(_, _, Result<_, _>))| {
                let operation = match edit.what {
                    What::Create => Operation::Create,
                    What::Describe => Operation::Describe,
                    What::Update(..) => Operation::Update,
                };
                let mut verdict = of(Key::Apply(*id, *part), operation, result);
                if let Ok(Applied::Found(Observed::Unknown)) = result {
                    verdict.failure = Some(failure(Kind::Status(409)));
                }
                verdict
            };
            edits.iter().zip(results).map(verdict).collect()
        }
        Done::Read(_, results) => {
            // What was not told is neither a success nor a failure.
            let told = |(_, result): &&(_, _)| !matches!(result, Ok(Observed::Unknown));
            let reads = results.iter().filter(told);
            let key = |id: &ToggleId| Key::Apply(*id, Part::Whole);
            let verdicts = reads.map(|(id, result)| of(key(id), Operation::Read, result));
            verdicts.collect()
        }
        Done::Count(id, result) => vec![of(Key::Count(*id), Operation::Count, result)],
        Done::Load(id, result) => vec![of(Key::Load(*id), Operation::Load, result)],
        Done::Leave(..) | Done::Ready(..) => Vec::new(),
    };
    for (id, present) in told_of(done) {
        verdicts.extend(present.into_iter().flat_map(|it| not_there(id, it)));
    }
    verdicts
}

/// The environments that the target does not have.
fn not_there(id: ToggleId, present: &Present) -> impl Iterator<Item = Verdict> {
    let environments = present.environments.iter().enumerate();
    environments.filter_map(move |(number, environment)| {
        Some(Verdict {
            key: Key::Apply(id, Part::Environment(number)),
            operation: Operation::Read,
            failure: Some(environment.as_ref().err()?.clone()),
        })
    })
}
