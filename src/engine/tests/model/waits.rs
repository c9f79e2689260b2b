//! Retries, in time.

use std::cell::Cell;

use super::setup::{Fate, Setup};
use super::world::World;
use super::*;

/// What fails takes longer than what goes well: when it has failed, the users are known, and no news of
/// them hurry it.
const LATENCY: Duration = Duration::from_millis(100);

/// How long a program that has just started waits between the tries of this request, in seconds.
fn waits(request: &'static str, readable: bool) -> Vec<f64> {
    let mut world = World::new(Setup::plain(readable));
    world.settle();
    let left = Cell::new(8);
    world.decide(move |job, _| match left.get() {
        tries @ 1.. if short(job).starts_with(request) => {
            left.set(tries - 1);
            Fate::Failed(LATENCY, failure(Kind::Status(500)))
        }
        _ => Fate::Answered(Duration::ZERO),
    });
    world.log.clear();
    world.reboot();
    world.wait(Duration::from_secs(120));
    world.assert_in_sync();
    let tries = world.log.iter().filter(|(_, job)| job.starts_with(request));
    let tries: Vec<Instant> = tries.map(|(at, _)| *at).take(9).collect();
    let waits = tries.windows(2).map(|pair| pair[1] - pair[0] - LATENCY);
    waits.map(|wait| wait.as_secs_f64()).collect()
}

#[test]
fn every_request_is_tried_again_after_the_same_waits() {
    for (request, readable) in [
        ("discover 0", true),
        ("register 0", true),
        ("watch 0", true),
        ("ready 0", true),
        ("query 0", true),
        ("read 2", true),
        ("create 2", false),
        ("describe 2", false),
        ("update 2", false),
    ] {
        let waits = waits(request, readable);
        let full = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0];
        assert_eq!(waits.len(), full.len(), "{request}: {waits:?}");
        for (wait, full) in waits.iter().zip(full) {
            assert!((0.9 * full..=full).contains(wait), "{request}: {waits:?}");
        }
        assert!(
            waits.iter().zip(full).any(|(wait, full)| *wait < full),
            "never shortened"
        );
    }
}
