//! What it takes to run.

use std::fs;
use std::time::Duration;

use crossbeam_channel::after;

use super::repeat;
use crate::daemon::executable;
use crate::table::{Row, Unit};
use crate::world::{Target, World};

/// How long it is observed while nothing happens.
const IDLE: Duration = Duration::from_secs(3);

/// Idle, after the start and after 200 updates.
pub(crate) fn idle(runs: usize) -> Vec<Row> {
    let runs: Vec<[f64; 3]> = repeat(runs, |_| {
        let world = World::new(Target::Rest, 1, 3);
        let daemon = world.start_in_step();
        daemon.settle();
        let started = daemon.usage().resident;
        (0..200).for_each(|_| world.change(&daemon, 1));
        let before = daemon.settle();
        let updated = daemon.usage().resident;
        let _ = after(IDLE).recv();
        [started, updated, daemon.cpu() - before]
    });
    let column = |index: usize| runs.iter().map(|run| run[index]).collect::<Vec<f64>>();
    vec![
        // As if all of the executable were in memory, and nothing else.
        Row::new(
            "resident after the start",
            "< 6 MB",
            Unit::Megabytes,
            column(0),
            vec![length()],
        ),
        Row::new(
            "resident after 200 updates",
            "< 8 MB",
            Unit::Megabytes,
            column(1),
            column(0),
        ),
        Row::new(
            "CPU in 3 idle seconds",
            "0",
            Unit::Milliseconds,
            column(2),
            vec![0.0],
        ),
    ]
}

/// The executable, stripped; there is no least size to compare it with.
pub(crate) fn binary(_: usize) -> Vec<Row> {
    let what = "executable";
    vec![Row::plain(what, "< 6 MB", Unit::Megabytes, vec![length()])]
}

/// Of the executable, in kB.
fn length() -> f64 {
    let file = fs::metadata(executable()).expect("it was built");
    file.len() as f64 / 1e3
}
