//! What is tried again, when, and with what.

use std::time::Duration;

use crate::support::opa::query_of;
use crate::support::store::patch_of;
use crate::support::{Fault, World, owned};

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
fn a_retry_sends_the_newest_users_and_never_older_ones() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["v0"]);
    let _daemon = world.serve_in_step();
    world
        .store
        .http
        .next(2, &patch_of("us"), Fault::status(503));
    world.change("us", &["v1"]);
    world.wait_until("v1 fails", || world.updates("us") == 2);
    world.change("us", &["v2"]);
    world.wait_until("v2 fails", || world.updates("us") == 3);
    world.change("us", &["v3"]);
    world.wait_for_users("us", &["v3"]);
    let sent = world.sent("us");
    let expected = ["v0", "v1", "v2", "v3"].map(|user| owned(&[user]));
    assert_eq!(sent, expected);
}

#[test]
fn what_changes_while_an_update_is_in_flight_follows_it_once() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["v0"]);
    let _daemon = world.serve_in_step();
    let hold = world.store.http.hold_next(&patch_of("us"));
    world.change("us", &["v1"]);
    world.wait_until("v1 is in flight", || world.updates("us") == 2);
    for user in ["v2", "v3"] {
        let queries = world.opa.http.answered(&query_of("us"));
        world.change("us", &[user]);
        world.wait_until("it was asked for", || {
            world.opa.http.answered(&query_of("us")) > queries
        });
    }
    world.stays("one is in flight", || world.updates("us") == 2);
    hold.release();
    world.wait_for_users("us", &["v3"]);
    let expected = ["v0", "v1", "v3"].map(|user| owned(&[user]));
    assert_eq!(world.sent("us"), expected);
}

#[test]
fn an_answer_that_belongs_to_an_older_state_is_not_taken_for_the_last_word() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["v0"]);
    let _daemon = world.serve_in_step();
    let hold = world.opa.http.hold_next(&query_of("us"));
    let queries = world.queries("us");
    world.change("us", &["v1"]);
    world.wait_until("v1 is held", || world.queries("us") == queries + 1);
    world.change("us", &["v2"]);
    hold.release();
    world.wait_for_users("us", &["v2"]);
    assert_eq!(world.sent("us").last(), Some(&owned(&["v2"])));
}

#[test]
fn a_callback_starts_its_pass_at_once_while_a_retry_waits() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let query = query_of("us");
    world.opa.http.next(3, &query, Fault::status(503));
    let before = world.queries("us");
    world.opal.call_back();
    // After the third failure the retry is 2 s away.
    world.wait_until("it failed thrice", || {
        world.opa.http.answered(&query) == before + 3
    });
    daemon.wait_failing();
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    let last = *world.opa.http.gaps(&query).last().unwrap();
    assert!(
        last < millis(1800),
        "the callback's query came {last:?} after the failure"
    );
}

#[test]
fn a_success_starts_the_waits_over() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let _daemon = world.serve_in_step();
    for user in ["bob", "cid"] {
        world
            .store
            .http
            .next(2, &patch_of("us"), Fault::status(503));
        world.change("us", &[user]);
        world.wait_for_users("us", &[user]);
    }
    let gaps = world.store.http.gaps(&patch_of("us"));
    assert_eq!(gaps.len(), 6);
    // The third wait of the first time was longer than this.
    assert!((millis(450)..millis(1800)).contains(&gaps[4]), "{gaps:?}");
}

#[test]
fn retry_after_holds_one_toggle_and_no_other() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    let _daemon = world.serve_in_step();
    let later = Fault::retry_after(503, "2");
    world.store.http.next(1, &patch_of("us"), later);
    world.opa.allow("tax", &["bob"]);
    world.change("us", &["bob"]);
    world.wait_for_users("tax", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    let gap = world.store.http.gaps(&patch_of("us"))[1];
    assert!(gap >= millis(1990), "{gap:?}");
    let seen = world.store.http.seen("PATCH *");
    assert_eq!(seen.last().unwrap().request.path, "/api/toggles/us");
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
