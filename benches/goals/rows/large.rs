//! One toggle of a million users.

use super::repeat;
use crate::daemon::Usage;
use crate::floor::Bare;
use crate::table::{Row, Unit};
use crate::world::{Scene, Target, World, users};

const MILLION: usize = 1_000_000;

/// CPU time is counted in hundredths of a second, so a sample is of this many passes.
const PASSES: usize = 5;

/// A million users instead of one, the same ones again, and one more.
pub(crate) fn million(runs: usize) -> Vec<Row> {
    let answer = vec![users(MILLION).len() as f64 / 1e3];
    let world = World::of(Scene {
        users: [1, MILLION],
        ..Scene::new(Target::Rest, 1, 1)
    });
    let mut bare = Bare::new(&world);
    let runs: Vec<[f64; 7]> = repeat(runs, |_| {
        let daemon = world.start_in_step();
        let change = || world.change(&daemon, 1);
        daemon.settle();
        daemon.reset_peak();
        change();
        let peak = daemon.usage().peak;
        // A query is counted before its answer has been read, so the next pass would overlap with this one.
        let pass = || {
            world.pass(&daemon);
            daemon.settle();
        };
        let again = daemon.cpu_of(|| (0..PASSES).for_each(|_| pass()));
        let Usage {
            resident,
            peak: later,
            ..
        } = daemon.usage();
        // Both with a million users.
        let (queried, changed) = (bare.pass(), bare.change(1));
        change();
        // What it costs to have one again is nothing.
        let sent = daemon.cpu_of(|| (0..2 * PASSES).for_each(|_| change()));
        let each = |time| time / PASSES as f64;
        [
            each(sent),
            changed,
            peak,
            each(again),
            queried,
            later,
            resident,
        ]
    });
    let column = |index: usize| runs.iter().map(|run| run[index]).collect::<Vec<f64>>();
    let more = one_more(runs.len());
    vec![
        Row::new(
            "1,000,000 users instead of 1, sent: CPU",
            "≤ 0.12 s",
            Unit::Seconds,
            column(0),
            column(1),
        ),
        Row::new(
            "1,000,000 users instead of 1, sent: peak memory",
            "≤ 60 MB",
            Unit::Megabytes,
            column(2),
            answer.clone(),
        ),
        Row::new(
            "the same again, nothing changed: CPU",
            "≤ 0.06 s",
            Unit::Seconds,
            column(3),
            column(4),
        ),
        Row::new(
            "the same again, nothing changed: peak memory",
            "",
            Unit::Megabytes,
            column(5),
            answer.clone(),
        ),
        Row::new(
            "the same again, nothing changed: resident",
            "≤ 45 MB",
            Unit::Megabytes,
            column(6),
            answer.clone(),
        ),
        Row::new(
            "one user more than 1,000,000, sent: peak memory",
            "",
            Unit::Megabytes,
            more,
            answer,
        ),
    ]
}

fn one_more(runs: usize) -> Vec<f64> {
    let world = World::new(Target::Rest, 1, MILLION);
    repeat(runs, |_| {
        let daemon = world.start_in_step();
        world.change(&daemon, 1);
        let peak = daemon.usage().peak;
        // For the next run.
        world.alter();
        peak
    })
}
