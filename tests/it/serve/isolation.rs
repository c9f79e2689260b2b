//! Nothing waits for anything else.

use std::time::Duration;

use crate::support::opa::{Opa, query_of};
use crate::support::opal::Opal;
use crate::support::store::patch_of;
use crate::support::{Fault, World};

/// The most by which a request that hangs may delay another: less than any retry or timeout would. To the millisecond,
/// the engine is tested without a clock (`engine/tests/model/apart.rs`).
const DELAY: Duration = Duration::from_millis(200);

/// Changes a toggle some times; the quickest way from the callback to the target must be quick.
///
/// The quickest, because the machine that runs the tests has other things to do as well.
#[track_caller]
pub(super) fn is_updated_promptly(world: &World, opa: &Opa, opal: &Opal, key: &str) {
    let times = (0..5).map(|round| {
        let user = format!("user-{round}");
        opa.allow(key, &[&user]);
        let start = std::time::Instant::now();
        assert_eq!(opal.call_back()[0].status, 202);
        world.wait_for_users(key, &[&user]);
        let seen = world.store.http.seen(&patch_of(key));
        seen.last()
            .unwrap()
            .received
            .saturating_duration_since(start)
    });
    let quickest = times.min().unwrap();
    assert!(quickest < DELAY, "{key} took {quickest:?} at best");
}

#[test]
fn a_toggle_that_hangs_at_the_target_or_at_opa_delays_no_other() {
    for at_target in [true, false] {
        let world = World::of(&["stuck", "us"]).build();
        world.opa.allow("stuck", &["ann"]);
        world.opa.allow("us", &["ann"]);
        let _daemon = world.serve_in_step();
        match at_target {
            true => world.store.http.always(&patch_of("stuck"), Fault::Hang),
            false => world.opa.http.always(&query_of("stuck"), Fault::Hang),
        }
        world.opa.allow("stuck", &["bob"]);
        is_updated_promptly(&world, &world.opa, &world.opal, "us");
        assert!(world.updates("stuck") <= 2, "at most one is in flight");
    }
}

#[test]
fn a_source_that_hangs_or_fails_delays_no_other() {
    for fault in [Fault::Hang, Fault::status(503)] {
        let world = World::of(&["us"]).and_other(&["beta"]).build();
        let other = world.other.as_ref().unwrap();
        world.opa.allow("us", &["ann"]);
        other.opa.allow("beta", &["ann"]);
        let _daemon = world.serve_in_step();
        for server in [&world.opa.http, &world.opal.http] {
            server.always("*", fault.clone());
        }
        let queries = world.queries("us");
        world.opal.call_back();
        world.wait_until("the source is asked", || {
            world.opa.http.count("*") > 0 && world.queries("us") >= queries
        });
        is_updated_promptly(&world, &other.opa, &other.opal, "beta");
    }
}

#[test]
fn refused_metadata_are_told_by_themselves_and_the_users_are_sent_all_the_same() {
    for readable in [true, false] {
        let plan = World::of(&["us"]).spec("us", "name = \"US\"");
        let world = if readable { plan.readable() } else { plan }.build();
        let there = serde_json::json!({ "name": "by hand", "users": ["ann", "bob"] });
        world.store.put_members("us", there);
        let metadata = format!("{} \"name\"", patch_of("us"));
        world.store.http.always(&metadata, Fault::status(422));
        world.opa.allow("us", &["ann"]);
        let output = world.sync(&[]).exits(1);
        output.reports_start("us users updated, failed: metadata: PATCH ");
        assert!(world.store.has("us", &["ann"]));
        let daemon = world.serve();
        daemon.wait_failing();
        world.wait_until("it registers", || !world.opal.keys().is_empty());
        world.change("us", &["bob"]);
        world.wait_for_users("us", &["bob"]);
        let health = daemon.get("/health").text();
        let told = "\"toggle us: metadata update: answered 422\"";
        assert!(health.contains(told), "{health}");
        world.store.http.heal();
        daemon.wait_healthy();
        assert_eq!(world.store.toggle("us").unwrap()["name"], "US");
        daemon
            .terminate()
            .complains("metadata update failed toggle=us count=1 ");
    }
}
