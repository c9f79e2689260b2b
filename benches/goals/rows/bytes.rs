//! What is sent.

use super::repeat;
use crate::peer::Tally;
use crate::platform::listed_with;
use crate::table::{Row, Unit};
use crate::world::{Target, World, users};

const MANY: usize = 10_000;

/// A callback after which nothing has changed.
pub(crate) fn unchanged(runs: usize) -> Vec<Row> {
    const TOGGLES: usize = 100;
    let world = World::new(Target::Rest, TOGGLES, 3);
    let daemon = world.start_in_step();
    let updates = || world.target.tally("update").requests;
    assert_eq!(updates(), TOGGLES, "each toggle was updated once");
    let measured = repeat(runs, |_| {
        let seen = updates();
        world.pass(&daemon);
        daemon.settle();
        (updates() - seen) as f64
    });
    let what = "callback with nothing changed: requests to the target";
    vec![Row::new(what, "0", Unit::Count, measured, vec![0.0])]
}

/// One more user among many. The floor is the least that says so in the words of the target.
pub(crate) fn one_of_many(runs: usize) -> Vec<Row> {
    let added = users(MANY + 1).split_off(users(MANY).len());
    let user = String::from_utf8_lossy(&added[..added.len() - 1]);
    let patch = |place: &str, instruction: &str| {
        let patch = format!(
            "{{\"environmentKey\":\"{place}\",\"instructions\":[{{{instruction},\"values\":[{user}]}}]}}"
        );
        patch.len()
    };
    let patches = |instruction| patch("production", instruction) + patch("test", instruction);
    let whole = |count| format!("{{\"users\":{}}}", String::from_utf8_lossy(&users(count))).len();
    let flag = patches("\"kind\":\"addTargets\",\"variationId\":\"5f2d1c9e-on\"");
    let segment = patches("\"kind\":\"addIncludedUsers\"");

    let row = |what, goal, unit, measured, floor: usize| {
        Row::new(what, goal, unit, measured, vec![floor as f64])
    };
    let launchdarkly = sent(runs, Target::LaunchDarkly, 2);
    let of_segment = sent(runs, Target::Segment, 2);
    let rest = sent(runs, Target::Rest, 1);
    let unleash = sent(runs, Target::Unleash, 1);
    vec![
        row(
            "one user more among 10,000: LaunchDarkly, 2 environments",
            "< 2 kB",
            Unit::Bytes,
            launchdarkly.bytes,
            flag,
        ),
        row(
            "the same: LaunchDarkly, a segment in 2 environments",
            "< 2 kB",
            Unit::Bytes,
            of_segment.bytes,
            segment,
        ),
        row(
            "the same: REST, which takes the whole set",
            "",
            Unit::Bytes,
            rest.bytes,
            whole(MANY + 1),
        ),
        row(
            "the same: Unleash, which takes a whole strategy",
            "",
            Unit::Bytes,
            unleash.bytes,
            whole(listed_with(MANY + 1)),
        ),
        row(
            "the same: requests to Unleash",
            "1",
            Unit::Count,
            unleash.requests,
            1,
        ),
    ]
}

/// What one user costs.
struct Sent {
    /// Of the bodies.
    bytes: Vec<f64>,
    requests: Vec<f64>,
}

fn sent(runs: usize, target: Target, updates: usize) -> Sent {
    let world = World::new(target, 1, MANY);
    let daemon = world.start();
    world.opa.wait_for("query", 1);
    let change = || {
        daemon.settle();
        world.change(&daemon, updates);
        daemon.settle();
    };
    // The first time, it may have to look around.
    change();
    change();
    let tallies = || ["read", "update"].map(|kind| world.target.tally(kind));
    let costs = repeat(runs, |_| {
        let before = tallies();
        change();
        let after = tallies();
        change();
        let rise = |of: fn(&Tally) -> usize| {
            let sum = |tallies: [Tally; 2]| tallies.iter().map(of).sum::<usize>();
            (sum(after) - sum(before)) as f64
        };
        [rise(|it| it.bytes), rise(|it| it.requests)]
    });
    Sent {
        bytes: costs.iter().map(|run| run[0]).collect(),
        requests: costs.iter().map(|run| run[1]).collect(),
    }
}
