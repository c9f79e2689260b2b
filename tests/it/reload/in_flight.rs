//! Requests that are in flight while the configuration changes.

use super::without_other;
use crate::support::opa::query_of;
use crate::support::program::Daemon;
use crate::support::store::patch_of;
use crate::support::{Fault, World};

#[test]
fn an_update_in_flight_is_waited_for_and_then_the_newest_users_are_sent() {
    for readable in [false, true] {
        let plan = World::of(&["us", "other"]);
        let world = if readable { plan.readable() } else { plan }.build();
        waits_for_an_update_in_flight(&world, |daemon| world.reload(daemon, str::to_owned));
    }
}

#[test]
fn an_update_in_flight_is_waited_for_although_its_toggle_was_away_in_between() {
    let world = World::of(&["other", "us"]).build();
    waits_for_an_update_in_flight(&world, |daemon| {
        world.reload(daemon, |config| {
            let (without, _) = config.split_once("[[toggles]]\nkey = \"us\"").unwrap();
            without.to_owned()
        });
        world.reload(daemon, str::to_owned);
    });
}

#[track_caller]
fn waits_for_an_update_in_flight(world: &World, reload: impl FnOnce(&Daemon)) {
    world.opa.allow("us", &["ann"]);
    world.opa.allow("other", &["ann"]);
    let daemon = world.serve_in_step();
    let hold = world.store.http.hold_next(&patch_of("us"));
    let sent = world.updates("us");
    world.change("us", &["bob"]);
    world.wait_until("the update is out", || world.updates("us") == sent + 1);
    reload(&daemon);
    world.opa.allow("us", &["eve"]);
    world.change("other", &["eve"]);
    world.wait_for_users("other", &["eve"]);
    world.stays("one is out, and no other", || {
        world.updates("us") == sent + 1
    });
    hold.release();
    world.wait_for_users("us", &["eve"]);
    daemon.wait_healthy();
    daemon.terminate().exits(0);
}

#[test]
fn an_update_that_hangs_delays_no_other_toggle_and_several_reloads() {
    let world = World::of(&["stuck", "us"])
        .setting("http_timeout = \"3s\"")
        .build();
    world.opa.allow("stuck", &["ann"]);
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.store.http.next(1, &patch_of("stuck"), Fault::Hang);
    let sent = world.updates("stuck");
    world.change("stuck", &["bob"]);
    world.wait_until("the update is out", || world.updates("stuck") == sent + 1);
    for user in ["bob", "eve", "zoe"] {
        world.reload(&daemon, str::to_owned);
        world.change("us", &[user]);
        world.wait_for_users("us", &[user]);
    }
    assert_eq!(world.updates("stuck"), sent + 1, "one is out, and no other");
    world.wait_for_users("stuck", &["bob"]);
    daemon.wait_healthy();
}

#[test]
fn the_answer_to_a_query_of_the_old_rule_is_never_applied() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("them", &["zoe"]);
    let daemon = world.serve_in_step();
    let hold = world.opa.http.hold_next(&query_of("us"));
    let queries = world.queries("us");
    world.change("us", &["mallory"]);
    world.wait_until("the query is out", || world.queries("us") == queries + 1);
    world.reload(&daemon, |config| {
        config.replace("rule = \"us\"", "rule = \"them\"")
    });
    world.wait_for_users("us", &["zoe"]);
    hold.release();
    world.stays("nobody else gets it", || world.store.has("us", &["zoe"]));
    let sent = world.sent("us");
    assert!(!sent.contains(&vec!["mallory".to_owned()]), "{sent:?}");
}

#[test]
fn a_registration_in_flight_with_a_source_that_goes_is_taken_back() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    world.opa.allow("us", &["ann"]);
    let other = world.other.as_ref().unwrap();
    let register = "POST /callbacks";
    let hold = other.opal.http.hold_next(register);
    let daemon = world.serve();
    world.wait_until("the registration is out", || {
        other.opal.http.count(register) == 1
    });
    world.reload(&daemon, without_other);
    world.wait_for_users("us", &["ann"]);
    hold.release();
    world.wait_until("it is taken back", || {
        other.opal.http.answered("DELETE *") == 1 && other.opal.keys().is_empty()
    });
    daemon.wait_healthy();
}
