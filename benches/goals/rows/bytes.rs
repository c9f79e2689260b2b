//! What is sent.

use super::repeat;
use crate::daemon::Daemon;
use crate::table::{Row, Unit};
use crate::world::{Target, World, users};

const TOGGLES: usize = 100;
const MANY: usize = 10_000;

/// A callback after which nothing has changed.
pub(crate) fn unchanged(runs: usize) -> Vec<Row> {
    let world = World::new(Target::Rest, TOGGLES, 3);
    let daemon = world.start_in_step();
    let before = world.target.tally("update").requests;
    let measured = repeat(runs, |_| {
        let seen = world.target.tally("update").requests;
        world.pass(&daemon);
        // Queries of the previous pass have been answered.
        world.pass(&daemon);
        (world.target.tally("update").requests - seen) as f64
    });
    assert_eq!(before, TOGGLES, "each toggle was updated once");
    let what = "callback with nothing changed: requests to the target";
    vec![Row::new(what, "0", Unit::Count, measured)]
}

/// One more user among many.
pub(crate) fn one_of_many(runs: usize) -> Vec<Row> {
    let world = World::new(Target::LaunchDarkly, 1, MANY);
    let daemon = world.start();
    world.opa.wait_for("query", 1);
    let what = "one user more among 10,000: LaunchDarkly, 2 environments";
    let launchdarkly = Row::new(what, "< 2 kB", Unit::Bytes, sent(runs, &world, &daemon, 2));

    let world = World::new(Target::Rest, 1, MANY);
    let daemon = world.start_in_step();
    let measured = sent(runs, &world, &daemon, 1);
    let whole = b"{\"users\":}".len() + users(MANY + 1).len();
    let what = "the same: REST, which takes the whole set";
    let rest = Row::new(what, "", Unit::Bytes, measured).floor(vec![whole as f64]);
    vec![launchdarkly, rest]
}

/// The bytes that one user costs, in bodies.
fn sent(runs: usize, world: &World, daemon: &Daemon, requests: usize) -> Vec<f64> {
    repeat(runs, |_| {
        let before = world.target.tally("update").bytes;
        world.change(daemon, requests);
        let bytes = world.target.tally("update").bytes - before;
        world.change(daemon, requests);
        bytes as f64
    })
}
