//! Many rules, many callbacks, and many updates.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::repeat;
use crate::daemon::Usage;
use crate::floor::{AT_ONCE, Bare, time};
use crate::table::{Row, Unit, median};
use crate::world::{Scene, Target, World};

/// A thousand toggles of which nothing changes, with as many rules, and with ten.
pub(crate) fn rules(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 1000;
    const SHARED: usize = 10;
    let scene = Scene::new(Target::Rest, TOGGLES, 100);
    let own = passes(runs, scene, 20);
    let busy = beside_others(|| passes(runs, scene, 20));
    let shared = Scene {
        rules: SHARED,
        ..scene
    };
    let shared = passes(runs, shared, 200);
    let row = |what, goal, unit, [measured, floor]: [Vec<f64>; 2]| {
        Row::new(what, goal, unit, measured, floor)
    };
    let ms = Unit::Milliseconds;
    let [busy, _] = busy.wall;
    let quiet = own.wall[0].clone();
    vec![
        row(
            "1,000 toggles, 1,000 rules, 100 users each, nothing changed: wall",
            "≤ 35 ms",
            ms,
            own.wall,
        ),
        row(
            "1,000 toggles, 1,000 rules, 100 users each, nothing changed: CPU",
            "≤ 30 ms",
            ms,
            own.cpu,
        ),
        // Whatever it waits for, others get a turn.
        row(
            "the same while others need every core: wall",
            "",
            ms,
            [busy, quiet],
        ),
        row(
            "1,000 toggles that share 10 rules: queries in a pass",
            "10",
            Unit::Count,
            [shared.queries, vec![SHARED as f64]],
        ),
        row(
            "1,000 toggles that share 10 rules, nothing changed: wall",
            "",
            ms,
            shared.wall,
        ),
        row(
            "1,000 toggles that share 10 rules, nothing changed: CPU",
            "",
            ms,
            shared.cpu,
        ),
    ]
}

/// Meanwhile, more threads than there are cores do nothing but need them.
fn beside_others<T>(work: impl FnOnce() -> T) -> T {
    let goes_on = Arc::new(());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..=cores {
        let goes_on = Arc::downgrade(&goes_on);
        thread::spawn(move || while goes_on.strong_count() > 0 {});
    }
    work()
}

/// The cost of a pass in which nothing changes, and its floor.
struct Passes {
    wall: [Vec<f64>; 2],
    cpu: [Vec<f64>; 2],
    queries: Vec<f64>,
}

/// CPU time is counted in hundredths of a second, so a sample is of many passes.
fn passes(runs: usize, scene: Scene, passes: usize) -> Passes {
    let world = World::of(scene);
    let daemon = world.start_in_step();
    let mut bare = Bare::new(&world);
    let queries = || world.opa.tally("query").requests;
    let runs: Vec<[f64; 5]> = repeat(runs, |_| {
        let before = queries();
        let mut samples = Vec::new();
        let cpu = daemon.cpu_of(|| {
            samples = repeat(passes, |_| {
                let wall = time(|| world.pass(&daemon));
                let mut cpu = 0.0;
                let floor = time(|| cpu = bare.pass());
                [wall, floor, cpu]
            });
        });
        let middle = |index: usize| {
            let column: Vec<f64> = samples.iter().map(|sample| sample[index]).collect();
            median(&column)
        };
        let queries = (queries() - before) as f64 / passes as f64;
        // As many were made without the program.
        let ours = queries - world.scene.rules as f64;
        [middle(0), middle(1), cpu / passes as f64, middle(2), ours]
    });
    let column = |index: usize| runs.iter().map(|run| run[index]).collect();
    Passes {
        wall: [column(0), column(1)],
        cpu: [column(2), column(3)],
        queries: column(4),
    }
}

/// 10,000 callbacks from 50 clients, with an OPA that takes 50 ms.
pub(crate) fn burst(runs: usize) -> Vec<Row> {
    const CLIENTS: usize = 50;
    const EACH: usize = 200;
    const QUERY: Duration = Duration::from_millis(50);
    let world = World::new(Target::Rest, 1, 3);
    let daemon = world.start_in_step();
    let bare = Bare::new(&world);
    world.opa.delay("query", QUERY);
    let of_clients = |work: &(dyn Fn() + Sync)| {
        let seconds = time(|| {
            thread::scope(|scope| {
                for _ in 0..CLIENTS {
                    scope.spawn(|| (0..EACH).for_each(|_| work()));
                }
            });
        });
        (CLIENTS * EACH) as f64 / seconds
    };
    let runs: Vec<[f64; 4]> = repeat(runs, |_| {
        let queries = world.opa.tally("query").requests;
        let start = Instant::now();
        let rate = of_clients(&|| daemon.call_back());
        // The last change arrives although its callback is one of many.
        world.change(&daemon, 1);
        let end = start.elapsed().as_secs_f64();
        let passes = world.opa.tally("query").requests - queries;
        let most = (end / QUERY.as_secs_f64()).floor() + 1.0;
        daemon.settle();
        let bare = of_clients(&|| bare.call_back());
        [passes as f64, most, rate, bare]
    });
    let column = |index: usize| runs.iter().map(|run| run[index]).collect();
    vec![
        Row::new(
            "10,000 callbacks, 50 clients, OPA takes 50 ms: passes",
            "≤ floor",
            Unit::Count,
            column(0),
            column(1),
        ),
        Row::new(
            "the same: callbacks a second",
            "",
            Unit::PerSecond,
            column(2),
            column(3),
        ),
    ]
}

/// What 10,000 updates leave behind.
pub(crate) fn updates(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 100;
    /// A connection for each request, the listener, and those that every process has.
    const DESCRIPTORS: usize = 2 * AT_ONCE + 1 + 3;
    let runs: Vec<[Usage; 2]> = repeat(runs, |_| {
        let world = World::new(Target::Rest, TOGGLES, 20);
        let daemon = world.start_in_step();
        let mut done = TOGGLES;
        [1000, 10_000].map(|step| {
            while done < step {
                done += TOGGLES;
                world.change(&daemon, TOGGLES);
            }
            daemon.settle();
            daemon.usage()
        })
    });
    let column =
        |index: usize, of: fn(&Usage) -> f64| runs.iter().map(|run| of(&run[index])).collect();
    vec![
        // More than after 1,000 would be a leak.
        Row::new(
            "memory after 10,000 updates",
            "",
            Unit::Megabytes,
            column(1, |usage| usage.resident),
            column(0, |usage| usage.resident),
        ),
        // How many were needed at once is chance: a ratio would say nothing.
        Row::plain(
            "threads after 10,000 updates",
            "",
            Unit::Count,
            column(1, |usage| usage.threads),
        ),
        Row::new(
            "descriptors after 10,000 updates",
            "",
            Unit::Count,
            column(1, |usage| usage.descriptors),
            vec![DESCRIPTORS as f64],
        ),
    ]
}
