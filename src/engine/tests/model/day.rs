//! A day of simulated time: as much is asked as the intervals imply, and nothing grows.

use std::collections::BTreeMap;

use super::setup::{Dice, Fate, RULES, SOURCES, Setup, TARGETS, TOGGLES, Ways, places};
use super::world::World;
use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);
const RESYNC: Duration = Duration::from_secs(300);

/// Passes because of a resync, in a day and with the one at the start; one more where a resync falls
/// into the last moment.
const RESYNCS: u64 = 24 * 12 + 2;

/// Looks at the registration, or polls.
const WATCHES: u64 = 24 * 120 + 2;
/// Each OPA that OPAL feeds is asked for its counts.
const COUNTS: u64 = 24 * 720 + 2;
const POLLS: u64 = 24 * 60 + 2;

/// One target that can be read, and one that cannot.
fn setup() -> Setup {
    let mut setup = Setup::plain(false);
    setup.targets[0] = Ways {
        readable: true,
        differences: true,
        batched: true,
        at_once: Some(4),
        ..setup.targets[0]
    };
    Setup {
        resync: Some(RESYNC),
        ..setup
    }
}

/// How often what was asked: `watch 0`, and `update 0` whoever the users were.
fn counts(world: &World) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (_, job) in &world.log {
        let mut words = job.split(' ');
        let (kind, id) = (words.next().unwrap(), words.next().unwrap());
        *counts.entry(format!("{kind} {id}")).or_default() += 1;
    }
    counts
}

/// What the engine keeps: timers, lines, requests in flight, news that nobody has taken.
fn sizes(engine: &Engine) -> [usize; 6] {
    [
        engine.timers.len(),
        engine
            .targets
            .iter()
            .map(|target| target.changes.len() + target.looks.len())
            .sum(),
        engine.urgent.len(),
        engine.notices.len(),
        engine.in_flight,
        engine
            .sources
            .iter()
            .map(|source| source.passes.queries.len())
            .sum(),
    ]
}

/// What it keeps at rest: for each OPAL a watch, for the OPA alone a poll, the resyncs, and a look at
/// each toggle after a lost update.
fn assert_small(world: &World) {
    let [timers, rest @ ..] = sizes(&world.engine);
    assert!(timers <= SOURCES + TARGETS + TOGGLES, "{timers} timers");
    assert_eq!(rest, [0; 5]);
}

#[test]
fn a_quiet_day_asks_for_what_the_intervals_imply_and_nothing_grows() {
    let prompt = |_: &Job, _: &mut Dice| Fate::Answered(Duration::from_millis(3));
    let mut world = World::with_fate(setup(), prompt);
    // The last resync has its time.
    world.wait(DAY + Duration::from_secs(1));
    world.assert_in_sync();
    assert_small(&world);
    for (job, count) in counts(&world) {
        let (kind, id) = job.split_once(' ').unwrap();
        let is_readable = id.starts_with(['0', '2']);
        let most = match (kind, id) {
            ("discover" | "register", _) => 1,
            ("watch", _) => WATCHES,
            ("count", _) => COUNTS,
            ("query", "3") => RESYNCS + POLLS,
            // Toggles of both targets follow the rules of the first source.
            ("query", "0" | "1") | ("ready", "0") => 2 * RESYNCS,
            ("query" | "ready", _) => RESYNCS + 1,
            // Toggles that are to be read are read in one job; the first users are sent once.
            ("read", "0") => RESYNCS,
            // Once after the start: it was not in sync at the same moment.
            ("read", "2") => 1,
            ("update", _) if is_readable => 1,
            // What cannot be read is described and sent again.
            ("describe" | "update", _) if !is_readable => RESYNCS,
            ("create", _) => 1,
            _ => 0,
        };
        assert!(count <= most, "{job}: {count} times, not {most}");
        assert!(
            // What is asked again after an answer is put off by as long as that takes.
            most == 1 || count + 12 >= most,
            "{job}: {count} times, not {most}"
        );
    }
    // One turn for each interval that is over, and to begin a pass after another; the end of a request is
    // no turn.
    let intervals = 2 * (WATCHES + COUNTS) + POLLS + 3 * RESYNCS;
    assert!(world.turns <= intervals, "{} turns", world.turns);
}

/// As many requests as a day takes in which all goes well: at a resync, at most everything that can
/// be asked about each toggle, each rule twice for each target, and whether each OPA is ready; at a change,
/// its OPA's readiness, two queries, and what is asked about two toggles.
fn well(changes: u64) -> u64 {
    let parts = 2 * TOGGLES + places().count();
    let resync = parts + TARGETS * (2 * RULES + SOURCES);
    2 * (WATCHES + COUNTS) + POLLS + RESYNCS * resync as u64 + 9 * changes
}

#[test]
fn a_day_of_changes_and_faults_costs_a_bounded_number_of_requests_and_nothing_grows() {
    let faulty = |_: &Job, dice: &mut Dice| {
        let after = Duration::from_secs_f64(0.2 * dice.roll());
        match dice.roll() {
            0.0..0.8 => Fate::Answered(after),
            0.8..0.82 => {
                let busy = failure(Kind::Status(429));
                Fate::Failed(
                    after,
                    busy.pausing(Some(Duration::from_secs_f64(5.0 * dice.roll()))),
                )
            }
            0.82..0.84 => Fate::Failed(Duration::from_secs(10), failure(Kind::Timeout)),
            _ => Fate::Failed(after, failure(Kind::Lost)),
        }
    };
    let mut world = World::with_fate(setup(), faulty);
    let mut dice = Dice::new(2);
    let end = world.now + DAY;
    let mut changes = 0;
    let mut most = [0; 6];
    while world.now < end {
        let rule = (dice.roll() * RULES as f64) as usize;
        world.allow(rule, 1 + (dice.roll() * 15.0) as u8);
        changes += 1;
        world.wait(Duration::from_secs_f64(360.0 * dice.roll()));
        for (most, size) in most.iter_mut().zip(sizes(&world.engine)) {
            *most = size.max(*most);
        }
    }
    let asked: u64 = counts(&world).values().sum();
    // Every fifth is tried again, and after a lost update the target is looked at once more.
    let bound = 3 * well(changes) / 2;
    assert!(asked < bound, "{asked} requests for {changes} changes");
    assert!(
        world.turns < bound,
        "{} turns for {changes} changes",
        world.turns
    );
    let [timers, steps, urgent, notices, in_flight, queries] = most;
    assert!(timers <= SOURCES + TARGETS + 6 * TOGGLES, "{timers} timers");
    assert!(
        steps <= 2 * TOGGLES + places().count() && queries <= RULES && urgent <= 4 * SOURCES,
        "{most:?}"
    );
    assert!(
        in_flight <= 2 * TOGGLES + places().count() + 4 * SOURCES && notices == 0,
        "{most:?}"
    );
    world.settle();
    world.assert_in_sync();
    assert_small(&world);
}
