//! Many callbacks, and many updates.

use std::thread;
use std::time::{Duration, Instant};

use super::repeat;
use crate::daemon::Usage;
use crate::table::{Row, Unit};
use crate::world::{Target, World};

/// 10,000 callbacks from 50 clients, with an OPA that takes 50 ms.
pub(crate) fn burst(runs: usize) -> Vec<Row> {
    const CLIENTS: usize = 50;
    const EACH: usize = 200;
    const QUERY: Duration = Duration::from_millis(50);
    let world = World::new(Target::Rest, 1, 3);
    let daemon = world.start_in_step();
    world.opa.delay("query", QUERY);
    let runs: Vec<[f64; 3]> = repeat(runs, |_| {
        let queries = world.opa.tally("query").requests;
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| (0..EACH).for_each(|_| daemon.call_back()));
            }
        });
        let took = start.elapsed().as_secs_f64();
        // The last change arrives although its callback is one of many.
        world.change(&daemon, 1);
        let end = start.elapsed().as_secs_f64();
        let passes = world.opa.tally("query").requests - queries;
        let most = (end / QUERY.as_secs_f64()).floor() + 1.0;
        [passes as f64, most, (CLIENTS * EACH) as f64 / took]
    });
    let column = |index: usize| runs.iter().map(|run| run[index]).collect();
    let what = "10,000 callbacks, 50 clients, OPA takes 50 ms: passes";
    vec![
        Row::new(what, "≤ floor", Unit::Count, column(0)).floor(column(1)),
        Row::new(
            "the same: callbacks a second",
            "",
            Unit::PerSecond,
            column(2),
        ),
    ]
}

/// What 10,000 updates leave behind.
pub(crate) fn updates(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 100;
    const STEPS: [usize; 2] = [1000, 10_000];
    let runs: Vec<[Usage; 2]> = repeat(runs, |_| {
        let world = World::new(Target::Rest, TOGGLES, 20);
        let daemon = world.start_in_step();
        let mut done = TOGGLES;
        STEPS.map(|step| {
            while done < step {
                done += TOGGLES;
                world.change(&daemon, TOGGLES);
            }
            daemon.usage()
        })
    });
    let names = ["1,000", "10,000"];
    let row = |index: usize, name: &str, unit: Unit, of: fn(&Usage) -> f64| {
        let measured = runs.iter().map(|run| of(&run[index])).collect();
        Row::new(
            format!("{name} after {} updates", names[index]),
            "",
            unit,
            measured,
        )
    };
    let rows = (0..STEPS.len()).flat_map(|index| {
        [
            row(index, "memory", Unit::Megabytes, |usage| usage.resident),
            row(index, "threads", Unit::Count, |usage| usage.threads),
            row(index, "descriptors", Unit::Count, |usage| usage.descriptors),
        ]
    });
    rows.collect()
}
