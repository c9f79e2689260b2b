//! How the cost grows with the input: 1 is linear.

use super::repeat;
use crate::table::{Row, Unit, median};
use crate::world::{Target, World};

/// The exponents of CPU time over toggles, and over users.
pub(crate) fn exponents(runs: usize) -> Vec<Row> {
    let of_toggles = |toggles| {
        let world = World::new(Target::Rest, toggles, 20);
        cost(runs, &world, 10_000 / toggles)
    };
    let of_users = |users| {
        let world = World::new(Target::Rest, 1, users);
        cost(runs, &world, 4_000_000 / users)
    };
    let toggles = exponent([100, 1000], of_toggles);
    let users = exponent([10_000, 1_000_000], of_users);
    let row = |what, measured| Row::new(what, "≤ 1", Unit::Plain, measured, vec![1.0]);
    vec![
        row("CPU of a change, 100 → 1,000 toggles: exponent", toggles),
        row("CPU of a change, 10,000 → 1,000,000 users: exponent", users),
    ]
}

/// How the cost grows between the two sizes, in each run at the larger one.
fn exponent(sizes: [usize; 2], cost: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
    let growth = (sizes[1] as f64 / sizes[0] as f64).ln();
    let small = median(&cost(sizes[0]));
    let large = cost(sizes[1]).into_iter();
    large.map(|large| (large / small).ln() / growth).collect()
}

/// The CPU time of a change, in seconds, over so many changes.
fn cost(runs: usize, world: &World, changes: usize) -> Vec<f64> {
    let daemon = world.start_in_step();
    let change = || world.change(&daemon, world.scene.toggles);
    repeat(runs, |_| {
        daemon.cpu_of(|| (0..changes).for_each(|_| change())) / changes as f64
    })
}
