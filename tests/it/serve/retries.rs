//! When failures are tried again. What is sent then is the engine's (`src/engine/tests`).

use std::time::Duration;

use crate::support::opa::query_of;
use crate::support::store::patch_of;
use crate::support::{Fault, World};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The waits are 0.5, 1, 2 s, shortened by up to 10 %, and never as late as the one after it would be:
/// the machine that runs the tests has other things to do as well.
#[track_caller]
fn back_off(gaps: &[Duration]) {
    let expected = [500, 1000, 2000];
    for (gap, wait) in gaps.iter().zip(expected) {
        let (low, high) = (millis(wait * 9 / 10), millis(wait * 9 / 5));
        assert!(
            (low..high).contains(gap),
            "{gaps:?} instead of {expected:?} ms"
        );
    }
    assert_eq!(gaps.len(), expected.len(), "{gaps:?}");
}

#[test]
fn waits_double_for_queries_and_updates() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    let update = patch_of("us");
    let query = query_of("tax");
    world.store.http.next(3, &update, Fault::status(503));
    world.opa.http.next(3, &query, Fault::status(503));
    let daemon = world.serve();
    world.wait_for_users("us", &["ann"]);
    world.wait_for_users("tax", &["ann"]);
    daemon.wait_healthy();
    back_off(&world.store.http.gaps(&update));
    back_off(&world.opa.http.gaps(&query));
}

#[test]
fn too_many_requests_pause_the_whole_target() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    let _daemon = world.serve_in_step();
    let before = world.store.http.count("*");
    world
        .store
        .http
        .next(1, &patch_of("us"), Fault::retry_after(429, "1"));
    world.change("us", &["bob"]);
    let refused = |world: &World| world.store.http.answered("*") == before + 1;
    world.wait_until("the target has refused", || refused(&world));
    world.stays("nothing is sent", || refused(&world));
    world.change("tax", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    world.wait_for_users("tax", &["bob"]);
    let gap = world.store.http.gaps("*")[before];
    assert!((millis(990)..millis(1400)).contains(&gap), "{gap:?}");
}
