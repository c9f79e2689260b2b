//! A target that is too slow for its resyncs, and changes that do not arrive.

use std::time::Duration;

use crate::support::store::patch_of;
use crate::support::world::Plan;
use crate::support::{Fault, World};

const EVERY_SECOND: &str = "resync_interval = \"1s\"";
const OVERDUE: &str = "target restapi: the resync takes longer than resync_interval";

/// The line of the metrics.
fn gauge(value: u8) -> String {
    format!("\noptoggles_resync_overdue{{target=\"restapi\"}} {value}\n")
}

/// Each request to the target takes so long.
fn slow(world: &World, millis: u64) {
    let delay = Fault::Delay(Duration::from_millis(millis));
    world.store.http.always("*", delay);
}

/// With toggles that are in step, a target becomes so slow that a resync takes longer than from one to
/// the next.
#[track_caller]
fn changes_arrive(keys: &[&str], plan: Plan, millis: u64) {
    let world = plan
        .setting(EVERY_SECOND)
        .setting("concurrency = 1")
        .build();
    for key in keys {
        world.opa.allow(key, &["ann"]);
    }
    let daemon = world.serve_in_step();
    slow(&world, millis);
    let health = || daemon.get("/health");
    world.wait_until("/health tells of it", || {
        let health = health();
        health.status == 500 && health.text().contains(OVERDUE)
    });
    world.wait_until("/status and the metrics tell of it", || {
        let target = daemon.target();
        let metrics = daemon.get("/metrics").text();
        target["resync_overdue"] == true
            && target["last_error"] == "the resync takes longer than resync_interval"
            && metrics.contains(&gauge(1))
    });
    let last = keys.last().unwrap();
    for users in [&["ann", "bob"][..], &["bob"]] {
        world.change(last, users);
        world.wait_for_users(last, users);
    }
    world.store.http.heal();
    daemon.wait_healthy();
    let metrics = daemon.get("/metrics").text();
    assert!(metrics.contains(&gauge(0)));
    let log = daemon.terminate().exits(0);
    log.complains("a resync takes longer than resync_interval target=restapi took=");
}

#[test]
fn changes_arrive_although_many_toggles_make_a_resync_longer_than_its_interval() {
    let keys: Vec<String> = (0..20).map(|number| format!("toggle-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    changes_arrive(&keys, World::of(&keys).readable(), 100);
    changes_arrive(&keys, World::of(&keys), 100);
}

#[test]
fn changes_arrive_although_one_request_takes_longer_than_from_one_resync_to_the_next() {
    let keys = ["us"];
    changes_arrive(&keys, World::of(&keys).readable(), 1500);
    changes_arrive(&keys, World::of(&keys), 1500);
}

#[test]
fn a_change_that_waits_too_long_for_its_turn_is_a_failure() {
    let keys: Vec<String> = (0..12).map(|number| format!("toggle-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let world = World::of(&keys)
        .readable()
        .setting("http_timeout = \"1s\"")
        .setting("concurrency = 1")
        .build();
    keys.iter().for_each(|key| world.opa.allow(key, &["ann"]));
    let daemon = world.serve_in_step();
    slow(&world, 900);
    keys.iter().for_each(|key| world.opa.allow(key, &["bob"]));
    world.opal.call_back();
    world.stage.wait_within(
        Duration::from_secs(8),
        "/health tells that a change is late",
        || {
            let health = daemon.get("/health");
            health.status == 500
                && health
                    .text()
                    .contains("update: the change has not arrived in time")
        },
    );
    world.store.http.heal();
    for key in keys {
        world.wait_for_users(key, &["bob"]);
    }
    daemon.wait_healthy();
}

#[test]
fn a_pause_that_keeps_a_change_waiting_is_a_failure_until_it_has_passed() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    let daemon = world.serve_in_step();
    let later = Fault::retry_after(429, "2");
    world.store.http.next(1, &patch_of("us"), later);
    world.change("us", &["bob"]);
    world.wait_until("the target is paused", || {
        daemon.target()["state"] == "paused"
    });
    let target = daemon.target();
    assert!(target["last_error"].is_null(), "nothing waits: {target}");
    world.change("tax", &["bob"]);
    world.wait_until("the pause is a reason", || {
        daemon.target()["last_error"] == "paused: answered 429"
    });
    assert!(daemon.get("/").text().contains("(paused: answered 429)"));
    world.wait_for_users("us", &["bob"]);
    world.wait_for_users("tax", &["bob"]);
    daemon.wait_healthy();
    assert!(daemon.target()["last_error"].is_null());
}
