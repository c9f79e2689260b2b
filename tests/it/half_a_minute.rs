//! What is seen only after half a minute; all of it waits at the same time.
//!
//! The name of this file is the first of all tests: it starts first, and the others do not wait for it.

use std::time::Duration;

use serde_json::json;

use crate::faults::Wrong;
use crate::support::opa::Opa;
use crate::support::store::patch_of;
use crate::support::{Fault, World};

/// A watch comes every 30 s.
const WATCHED: Duration = Duration::from_secs(36);

/// Without resyncs, which would come after half a minute too.
fn serving() -> World {
    let plan = World::of(&["us"]).setting("http_timeout = \"1s\"");
    let world = plan.setting("resync_interval = \"1h\"").build();
    world.opa.allow("us", &["ann"]);
    world
}

/// OPAL's client was restarted: it forgot us, and what changed meanwhile nobody told us.
fn an_opal_that_was_restarted_is_registered_with_again() {
    let world = serving();
    let daemon = world.serve_in_step();
    let keys = world.opal.keys();
    world.opal.restart();
    world.opa.allow("us", &["bob"]);
    world
        .stage
        .wait_within(WATCHED, "it is registered again", || {
            world.opal.keys() == keys
        });
    world.wait_for_users("us", &["bob"]);
    world.change("us", &["cid"]);
    world.wait_for_users("us", &["cid"]);
    daemon.wait_healthy();
}

/// OPAL's client was restarted with another OPA, and the old one is still there.
fn an_opal_that_was_restarted_with_another_opa_is_believed() {
    let world = serving();
    let daemon = world.serve_in_step();
    let other = Opa::start(&world.stage, None);
    other.allow("us", &["bob"]);
    let config = json!({"type": "OPA", "url": other.http.url(), "auth_type": "none"});
    world.opal.set_config(config);
    world.opal.restart();
    let has_bob = || world.store.has("us", &["bob"]);
    world
        .stage
        .wait_within(WATCHED, "the new OPA is asked", has_bob);
    daemon.wait_healthy();
    // Until then, the toggle may have been sent once more.
    let asked = || world.opa.http.count("GET /v1/data/app/rbac/us");
    let before = asked();
    other.allow("us", &["cid"]);
    world.opal.call_back();
    world.wait_for_users("us", &["cid"]);
    assert_eq!(asked(), before, "and the old one no more");
}

/// The registration leads to somebody else.
fn a_registration_that_is_not_ours_any_more_is_replaced() {
    let world = serving();
    let _daemon = world.serve_in_step();
    let key = world.opal.keys().concat();
    let url = world.opal.url_of(&key);
    world.opal.take_over(&key);
    world.stage.wait_within(WATCHED, "it is ours again", || {
        world.opal.url_of(&key) == url
    });
}

/// OPAL cannot say whether we are registered, and what changed meanwhile it may not have told us.
fn a_watch_that_goes_wrong_is_told_and_followed_by_a_pass(wrong: Wrong) {
    let world = serving();
    let daemon = world.serve_in_step();
    wrong.begin(&world.opal.http, "GET /callbacks/*");
    world.opa.allow("us", &["bob"]);
    let failing = || daemon.health() == 500;
    world.stage.wait_within(WATCHED, "the watch fails", failing);
    let health = daemon.get("/health").text();
    assert!(health.contains("source main: watch: "), "{health}");
    wrong.end(&world.opal.http);
    world.wait_for_users("us", &["bob"]);
    daemon.wait_healthy();
    assert_eq!(world.opal.http.count("POST /callbacks"), 1);
}

/// The lost update is applied late, over the newer one.
fn what_a_lost_update_did_late_is_put_right() {
    let world = serving();
    let daemon = world.serve_in_step();
    world.store.http.next(1, &patch_of("us"), Fault::Reset);
    world.change("us", &["bob"]);
    daemon.wait_failing();
    daemon.wait_healthy();
    world.store.put("us", &["late"]);
    world.stage.wait_within(WATCHED, "bob is put back", || {
        world.store.has("us", &["bob"])
    });
    assert_eq!(world.updates("us"), 4);
}

#[test]
fn opal_is_watched_and_lost_updates_are_sent_once_more() {
    std::thread::scope(|scope| {
        scope.spawn(an_opal_that_was_restarted_is_registered_with_again);
        scope.spawn(an_opal_that_was_restarted_with_another_opa_is_believed);
        scope.spawn(a_registration_that_is_not_ours_any_more_is_replaced);
        // What is cut off has told of address and token before.
        let is_cut = |wrong: &Wrong| matches!(wrong, Wrong::Reset | Wrong::CutOff);
        for wrong in Wrong::WRITING.into_iter().filter(|it| !is_cut(it)) {
            scope.spawn(move || a_watch_that_goes_wrong_is_told_and_followed_by_a_pass(wrong));
        }
        scope.spawn(what_a_lost_update_did_late_is_put_right);
    });
}
