//! Counters: passes, requests, retries, callbacks.

use super::{Scrape, wait_for};
use crate::support::opa::query_of;
use crate::support::store::patch_of;
use crate::support::{Fault, World};

const COMPLETE: &str = r#"optoggles_passes_total{result="complete",source="main"}"#;
const FAILED: &str = r#"optoggles_passes_total{result="failed",source="main"}"#;
const LATE: &str = r#"optoggles_passes_total{result="late",source="main"}"#;
const DURATIONS: &str = r#"optoggles_pass_duration_seconds_count{source="main"}"#;

fn target(method: &str, status: &str) -> String {
    let peer = r#"peer="target restapi""#;
    format!(r#"optoggles_requests_total{{method="{method}",{peer},status="{status}"}}"#)
}

#[test]
fn a_pass_is_counted_with_its_duration_when_it_ends() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let before = Scrape::of(&daemon);
    assert!(before.count(COMPLETE) >= 1.0, "{}", before.text);
    assert_eq!(before.count(FAILED), 0.0, "{}", before.text);
    world.change("us", &["bob"]);
    wait_for(&world, &daemon, COMPLETE, before.count(COMPLETE) + 1.0);
    let after = Scrape::of(&daemon);
    assert_eq!(after.count(DURATIONS), before.count(DURATIONS) + 1.0);
    let sum = r#"optoggles_pass_duration_seconds_sum{source="main"}"#;
    assert!(after.count(sum) > before.count(sum), "{}", after.text);
    let all = r#"optoggles_pass_duration_seconds_bucket{source="main",le="+Inf"}"#;
    assert_eq!(after.count(all), after.count(DURATIONS));
}

#[test]
fn a_pass_with_a_failed_query_and_one_that_is_overtaken_are_told_apart() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let failed = Fault::status(503);
    world.opa.http.next(1, &query_of("us"), failed);
    world.opal.call_back();
    wait_for(&world, &daemon, FAILED, 1.0);
    daemon.wait_healthy();
    let late = Scrape::of(&daemon).count(LATE);
    let hold = world.opa.http.hold_next(&query_of("us"));
    let asked = world.queries("us");
    world.opal.call_back();
    world.wait_until("the query is held", || world.queries("us") > asked);
    world.opal.call_back();
    wait_for(&world, &daemon, LATE, late + 1.0);
    hold.release();
}

#[test]
fn requests_are_counted_by_peer_method_and_status_and_retries_by_what_failed() {
    let world = World::of(&["us"]).spec("us", "name = \"US\"").build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let scrape = Scrape::of(&daemon);
    assert_eq!(scrape.get(&target("POST", "201")), Some(1.0));
    assert_eq!(scrape.get(&target("PATCH", "200")), Some(1.0));
    let registered = r#"optoggles_requests_total{method="POST",peer="source main",status="200"}"#;
    assert_eq!(scrape.get(registered), Some(1.0));
    let retries = |operation| format!("optoggles_retries_total{{operation=\"{operation}\"}}");
    assert_eq!(scrape.count(&retries("update")), 0.0);
    let update = patch_of("us");
    world.store.http.next(1, &update, Fault::status(503));
    world.store.http.next(1, &update, Fault::Close);
    world.opa.http.next(1, &query_of("us"), Fault::status(500));
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    daemon.wait_healthy();
    let scrape = Scrape::of(&daemon);
    assert_eq!(scrape.get(&target("PATCH", "503")), Some(1.0));
    assert_eq!(scrape.get(&target("PATCH", "lost")), Some(1.0));
    assert_eq!(scrape.get(&target("PATCH", "200")), Some(2.0));
    assert_eq!(scrape.get(&retries("update")), Some(2.0));
    assert_eq!(scrape.get(&retries("query")), Some(1.0));
}

#[test]
fn callbacks_are_counted_by_their_answer() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let results = || {
        let scrape = Scrape::of(&daemon);
        ["accepted", "unauthorized", "unknown_source"]
            .map(|word| scrape.get(&format!("optoggles_callbacks_total{{result=\"{word}\"}}")))
    };
    assert_eq!(results(), [Some(0.0); 3], "a rate needs the zero");
    let authorization = world.opal.authorization();
    let token = [("authorization", authorization.as_str())];
    let wrong = [("authorization", "Bearer of-nobody")];
    daemon.post("/opa_update/main", &token);
    daemon.post("/opa_update/elsewhere", &token);
    daemon.post("/opa_update/main", &wrong);
    daemon.post("/opa_update/elsewhere", &wrong);
    daemon.post("/opa_update/main", &[]);
    daemon.get("/opa_update/main");
    assert_eq!(results(), [Some(1.0), Some(3.0), Some(1.0)]);
}
