//! One toggle of a million users.

use super::repeat;
use crate::floor::cpu_of_query;
use crate::table::{Row, Unit};
use crate::world::{Target, World, users};

const MILLION: usize = 1_000_000;

/// CPU time is counted in hundredths of a second, so a sample is this many passes.
const PASSES: usize = 5;

/// Query, compare, nothing changed.
pub(crate) fn unchanged(runs: usize) -> Vec<Row> {
    let world = World::new(Target::Rest, 1, MILLION);
    let daemon = world.start_in_step();
    let measured = repeat(runs, |_| {
        // A query is answered and compared once the next one comes.
        world.pass(&daemon);
        let before = daemon.cpu();
        (0..PASSES).for_each(|_| world.pass(&daemon));
        (daemon.cpu() - before) / PASSES as f64
    });
    let floor = repeat(runs, |_| cpu_of_query(&world));
    let what = "1,000,000 users (27 MB), nothing changed: CPU";
    vec![Row::new(what, "< 0.25 s", Unit::Seconds, measured).floor(floor)]
}

/// The same with one full update sent.
pub(crate) fn full_update(runs: usize) -> Vec<Row> {
    let answer = vec![users(MILLION).len() as f64 / 1e3];
    let peaks: Vec<[f64; 2]> = repeat(runs, |_| {
        let world = World::new(Target::Rest, 1, MILLION);
        let daemon = world.start_in_step();
        let first = daemon.usage().peak;
        world.change(&daemon, 1);
        [first, daemon.usage().peak]
    });
    let column = |index: usize| peaks.iter().map(|run| run[index]).collect();
    let first = "the same, sent once: peak memory";
    let second = "the same, then one user more, sent again: peak memory";
    vec![
        Row::new(first, "< 3 × floor", Unit::Megabytes, column(0)).floor(answer.clone()),
        Row::new(second, "", Unit::Megabytes, column(1)).floor(answer),
    ]
}
