//! How long it takes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{in_turn, repeat};
use crate::daemon::{Daemon, executable};
use crate::floor::{AT_ONCE, Bare, time};
use crate::peer::Tally;
use crate::table::{Row, Unit};
use crate::world::{Scene, Target, World};

/// Of each toggle.
const USERS: usize = 3;

/// The callbacks in one run's sample.
const CALLBACKS: usize = 200;

/// Callback → update at the target, and how soon the callback itself is answered.
pub(crate) fn latency(runs: usize) -> Vec<Row> {
    let scene = Scene::new(Target::Rest, 1, USERS);
    let [updated, answered] = callbacks(runs, scene);
    let [unasked, _] = callbacks(
        runs,
        Scene {
            asks_if_ready: false,
            ..scene
        },
    );
    let row = |what, goal, [measured, floor]: [Vec<f64>; 2]| {
        Row::new(what, goal, Unit::Milliseconds, measured, floor)
    };
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

/// Of callback → update, and of callback → answer.
fn callbacks(runs: usize, scene: Scene) -> [[Vec<f64>; 2]; 2] {
    let world = World::of(scene);
    let daemon = world.start_in_step();
    let mut bare = Bare::new(&world);
    let measure = || {
        let updates = world.target.tally("update").requests;
        world.alter();
        let mut answered = 0.0;
        let updated = time(|| {
            answered = time(|| daemon.call_back());
            world.target.wait_for("update", updates + 1);
        });
        [updated, answered]
    };
    let floor = || [time(|| bare.change(1)), time(|| bare.call_back())];
    in_turn(runs, CALLBACKS, measure, floor)
}

/// Where the time of a callback goes, as the peers see it: from an answer of theirs to the next request.
pub(crate) fn trace(runs: usize) -> Vec<Row> {
    let world = World::new(Target::Rest, 1, USERS);
    let daemon = world.start_in_step();
    let mut bare = Bare::new(&world);
    let measure = || hops(&world, || world.change(&daemon, 1));
    let floor = || {
        hops(&world, || {
            bare.change(1);
        })
    };
    let hops = in_turn(runs, CALLBACKS, measure, floor);
    let names = [
        "trace: callback → OPA is asked whether it is ready",
        "trace: OPA is ready → asked for its metrics",
        "trace: metrics answered → asked for the rule",
        "trace: users answered → update",
    ];
    let rows = names.into_iter().zip(hops);
    let row = |(what, [measured, floor]): (_, [Vec<f64>; 2])| {
        Row::new(what, "", Unit::Milliseconds, measured, floor)
    };
    rows.map(row).collect()
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
    let measure = || {
        let updates = world.target.tally("update").requests;
        let daemon = Daemon::spawn(world.folder.path());
        let update = world.target.wait_for("update", updates + 1);
        let answered = update.answered.map(|answered| answered - daemon.started);
        [answered.map_or(f64::NAN, |time| time.as_secs_f64())]
    };
    let floor = || {
        let mut bare = Bare::new(&world);
        [time(|| {
            run(&["--version"], world.folder.path());
            bare.start();
        })]
    };
    let [[measured, floor]] = in_turn(runs, STARTS, measure, floor);
    let what = "start → first update";
    vec![Row::new(
        what,
        "≤ 2.5 ms",
        Unit::Milliseconds,
        measured,
        floor,
    )]
}

/// Many toggles change at once, at a slow target.
pub(crate) fn slow_target(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 200;
    const DELAY: Duration = Duration::from_millis(20);
    let world = World::new(Target::Rest, TOGGLES, USERS);
    let daemon = world.start_in_step();
    world.target.delay("update", DELAY);
    let measured = repeat(runs, |_| time(|| world.change(&daemon, TOGGLES)));
    let floor = DELAY * TOGGLES.div_ceil(AT_ONCE) as u32;
    let what = "200 toggles changed, target takes 20 ms each";
    vec![Row::new(
        what,
        "< 0.65 s",
        Unit::Seconds,
        measured,
        vec![floor.as_secs_f64()],
    )]
}

/// A rule changes that a hundred of a thousand toggles follow, while one of three targets hangs, and another
/// refuses all changes in one of two environments.
pub(crate) fn apart(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 1000;
    /// Those that follow the rule: at the target that works, and in the environment that takes changes.
    const UPDATES: usize = 34 + 33;
    const STUCK: Duration = Duration::from_secs(60);
    let world = World::of(Scene {
        rules: 10,
        ..Scene::new(Target::Several, TOGGLES, USERS)
    });
    let daemon = world.start();
    world.target.wait_for("update", TOGGLES.div_ceil(3));
    world.target.wait_for("stuck", TOGGLES / 3);
    world.target.delay("stuck", STUCK);
    world.change(&daemon, UPDATES);
    let mut bare = Bare::new(&world);
    let measure = || [time(|| world.change(&daemon, UPDATES))];
    let [[measured, floor]] = in_turn(runs, 11, measure, || [time(|| bare.change(UPDATES))]);
    let what = "1,000 toggles, 3 targets, 1 hangs: change of a rule → 67 updates elsewhere";
    vec![Row::new(
        what,
        "< 50 ms",
        Unit::Milliseconds,
        measured,
        floor,
    )]
}

/// A file of flags that does not exist yet. The floor is as many queries, and the same bytes in another file.
pub(crate) fn flagd(runs: usize) -> Vec<Row> {
    let world = World::new(Target::Flagd, 1000, USERS);
    let folder = world.folder.path();
    let flags = folder.join("flags.json");
    let mut bare = Bare::new(&world);
    let runs = repeat(runs, |_| {
        let measured = time(|| run(&["-q", "sync"], folder));
        let bytes = fs::read(&flags).expect("it has written the file");
        fs::remove_file(&flags).expect("the folder can be written to");
        let floor = time(|| {
            run(&["--version"], folder);
            bare.pass();
            let mut file = File::create(folder.join("bare")).expect("a file");
            file.write_all(&bytes).expect("the file can be written to");
            file.sync_all().expect("the file can be written to");
        });
        [measured, floor]
    });
    let column = |index: usize| runs.iter().map(|run| run[index]).collect();
    let what = "sync, 1,000 new toggles in a file for flagd";
    vec![Row::new(what, "", Unit::Seconds, column(0), column(1))]
}

/// Runs the executable until it ends.
fn run(args: &[&str], folder: &Path) {
    let mut command = Command::new(executable());
    command.args(args).current_dir(folder).stdout(Stdio::null());
    // Where cargo has libraries looked for costs half a millisecond.
    command.env_clear();
    let status = command.status().expect("it can be started");
    assert!(status.success(), "it succeeds");
}
