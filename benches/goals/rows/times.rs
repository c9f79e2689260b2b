//! How long it takes.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::repeat;
use crate::daemon::{Daemon, executable};
use crate::floor::{Bare, time};
use crate::peer::Tally;
use crate::table::{Row, Unit, median};
use crate::world::{Target, World};

/// Of each toggle.
const USERS: usize = 3;

/// The callbacks in one run's sample.
const CALLBACKS: usize = 200;

/// Callback → update at the target, and how soon the callback itself is answered.
pub(crate) fn latency(runs: usize) -> Vec<Row> {
    let asks = World::new(Target::Rest, 1, USERS);
    let asks_not = World::always_ready(Target::Rest, 1, USERS);
    let row = |what, goal, [measured, floor]: [Vec<f64>; 2]| {
        Row::new(what, goal, Unit::Milliseconds, measured).floor(floor)
    };
    let [updated, answered] = callbacks(runs, &asks);
    let [unasked, _] = callbacks(runs, &asks_not);
    vec![
        row(
            "callback → update, readiness asked: p50",
            "≤ 0.65 ms",
            updated,
        ),
        row(
            "the same, wait_until_ready = false: p50",
            "≤ 0.45 ms",
            unasked,
        ),
        row(
            "callback answered, on a new connection: p50",
            "≤ 0.25 ms",
            answered,
        ),
    ]
}

/// The medians of callback → update and of callback → answer, each measured and as the floor.
fn callbacks(runs: usize, world: &World) -> [[Vec<f64>; 2]; 2] {
    let daemon = world.start_in_step();
    let mut bare = Bare::new(world, 1);
    let [mut updated, mut answered] = <[[Vec<f64>; 2]; 2]>::default();
    for _ in 0..runs {
        let samples = repeat(CALLBACKS, |_| time(|| world.change(&daemon, 1)));
        updated[0].push(median(&samples));
        let samples = repeat(CALLBACKS, |_| time(|| bare.change()));
        updated[1].push(median(&samples));
        let samples = repeat(CALLBACKS, |_| {
            let updates = world.target.tally("update").requests;
            world.alter();
            let took = time(|| daemon.call_back());
            world.target.wait_for("update", updates + 1);
            took
        });
        answered[0].push(median(&samples));
        let samples = repeat(CALLBACKS, |_| time(|| bare.call_back()));
        answered[1].push(median(&samples));
    }
    [updated, answered]
}

/// Where the time of a callback goes, as its peers see it: from an answer of theirs to the next request.
pub(crate) fn trace(runs: usize) -> Vec<Row> {
    const HOPS: [&str; 4] = [
        "trace: callback → OPA is asked whether it is ready",
        "trace: OPA is ready → asked for its metrics",
        "trace: metrics answered → asked for the rule",
        "trace: users answered → update",
    ];
    let world = World::new(Target::Rest, 1, USERS);
    let daemon = world.start_in_step();
    let mut bare = Bare::new(&world, 1);
    let runs = repeat(runs, |_| {
        [
            repeat(CALLBACKS, |_| hops(&world, || world.change(&daemon, 1))),
            repeat(CALLBACKS, |_| hops(&world, || bare.change())),
        ]
    });
    // Of each run, a median.
    let medians = |side: usize, hop: usize| {
        let run = |run: &[Vec<[f64; 4]>; 2]| {
            let samples: Vec<f64> = run[side].iter().map(|hops| hops[hop]).collect();
            median(&samples)
        };
        runs.iter().map(run).collect()
    };
    let rows = HOPS.iter().enumerate().map(|(hop, what)| {
        let row = Row::new(what, "", Unit::Milliseconds, medians(0, hop));
        row.floor(medians(1, hop))
    });
    rows.collect()
}

/// How long each hop of a change takes.
fn hops(world: &World, change: impl FnOnce()) -> [f64; 4] {
    let start = Some(Instant::now());
    change();
    let [ready, metrics, query] = ["ready", "metrics", "query"].map(|kind| world.opa.tally(kind));
    let update = world.target.tally("update");
    let hops = [
        (start, ready),
        (ready.answered, metrics),
        (metrics.answered, query),
        (query.answered, update),
    ];
    hops.map(|(from, Tally { received, .. })| {
        let hop = from.zip(received);
        hop.map_or(f64::NAN, |(from, to)| (to - from).as_secs_f64())
    })
}

/// Start → first update.
pub(crate) fn start(runs: usize) -> Vec<Row> {
    /// The starts in one run's sample.
    const STARTS: usize = 11;
    let world = World::new(Target::Rest, 1, USERS);
    let once = || {
        let mut version = Command::new(executable());
        version.arg("--version").stdout(Stdio::null());
        let mut bare = Bare::new(&world, 1);
        time(|| {
            version.status().expect("it can be started");
            bare.start();
            bare.update();
        })
    };
    let sample = |_| {
        let samples = repeat(STARTS, |_| {
            let updates = world.target.tally("update").requests;
            let daemon = Daemon::spawn(world.folder.path());
            let last = world.target.wait_for("update", updates + 1).answered;
            last.map_or(f64::NAN, |last| (last - daemon.started).as_secs_f64())
        });
        median(&samples)
    };
    let measured = repeat(runs, sample);
    let floor = repeat(runs, |_| median(&repeat(STARTS, |_| once())));
    let what = "start → first update";
    vec![Row::new(what, "< 6 ms", Unit::Milliseconds, measured).floor(floor)]
}

/// Many toggles change at once, at a slow target.
pub(crate) fn slow_target(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 200;
    /// The default of `concurrency`.
    const AT_ONCE: f64 = 8.0;
    let delay = std::time::Duration::from_millis(20);
    let world = World::new(Target::Rest, TOGGLES, USERS);
    let daemon = world.start_in_step();
    world.target.delay("update", delay);
    let measured = repeat(runs, |_| time(|| world.change(&daemon, TOGGLES)));
    let floor = TOGGLES as f64 / AT_ONCE * delay.as_secs_f64();
    let what = "200 toggles changed, target takes 20 ms each";
    vec![Row::new(what, "< 0.65 s", Unit::Seconds, measured).floor(vec![floor])]
}

/// A rule changes that a hundred of a thousand toggles follow, while one of three targets hangs, and another
/// refuses all changes in one of two environments.
pub(crate) fn apart(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 1000;
    /// Those that follow the rule: at the target that works, and in the environment that takes changes.
    const UPDATES: usize = 34 + 33;
    const STUCK: std::time::Duration = std::time::Duration::from_secs(60);
    let world = World::new(Target::Several, TOGGLES, USERS);
    let daemon = world.start();
    world.target.wait_for("update", TOGGLES.div_ceil(3));
    world.target.wait_for("stuck", TOGGLES / 3);
    world.target.delay("stuck", STUCK);
    world.change(&daemon, UPDATES);
    let measured = repeat(runs, |_| {
        let samples = repeat(11, |_| time(|| world.change(&daemon, UPDATES)));
        median(&samples)
    });
    let what = "1,000 toggles, 3 targets, 1 hangs: change of a rule → 67 updates elsewhere";
    vec![Row::new(what, "< 50 ms", Unit::Milliseconds, measured)]
}

/// Passes per second in which nothing changes.
pub(crate) fn passes(runs: usize) -> Vec<Row> {
    let counts = [
        (1, "1 toggle"),
        (100, "100 toggles"),
        (1000, "1,000 toggles"),
    ];
    let row = |(toggles, name)| passes_of(toggles, name, runs);
    counts.map(row).into()
}

fn passes_of(toggles: usize, name: &str, runs: usize) -> Row {
    let world = World::new(Target::Rest, toggles, USERS);
    let daemon = world.start_in_step();
    let mut bare = Bare::new(&world, toggles.min(8));
    let passes = (1000 / toggles).clamp(5, CALLBACKS);
    let rate = |work: &mut dyn FnMut()| {
        let seconds = time(|| (0..passes).for_each(|_| work()));
        passes as f64 / seconds
    };
    world.pass(&daemon);
    let measured = repeat(runs, |_| rate(&mut || world.pass(&daemon)));
    let floor = repeat(runs, |_| rate(&mut || bare.pass()));
    let what = format!("passes a second, {name}");
    Row::new(what, "", Unit::PerSecond, measured).floor(floor)
}

/// A file of flags that does not exist yet.
pub(crate) fn flagd(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 1000;
    let measured = repeat(runs, |_| {
        let world = World::new(Target::Flagd, TOGGLES, USERS);
        let mut sync = Command::new(executable());
        sync.args(["-q", "sync"]).current_dir(world.folder.path());
        sync.stdout(Stdio::null());
        time(|| assert!(sync.status().expect("it can be started").success()))
    });
    let what = "sync, 1,000 new toggles in a file for flagd";
    vec![Row::new(what, "", Unit::Seconds, measured)]
}
