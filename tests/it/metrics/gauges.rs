//! Gauges: how things are now.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Scrape, wait_for};
use crate::reload::without_other;
use crate::support::opal::Opal;
use crate::support::{Fault, World};

/// A gauge of a toggle of the source `main`.
fn of(what: &str, key: &str) -> String {
    format!(r#"optoggles_toggle_{what}{{source="main",target="restapi",toggle="{key}"}}"#)
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

#[test]
fn a_toggle_says_its_users_and_when_it_was_in_sync() {
    let begin = now();
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann", "bob", "cid"]);
    world.opa.allow("tax", &[]);
    let daemon = world.serve_in_step();
    let scrape = Scrape::of(&daemon);
    assert_eq!(scrape.get(&of("users", "us")), Some(3.0));
    assert_eq!(scrape.get(&of("users", "tax")), Some(0.0));
    assert_eq!(scrape.get(&of("in_sync", "us")), Some(1.0));
    assert_eq!(scrape.get(&of("held", "us")), Some(0.0));
    let start = scrape.get("process_start_time_seconds").unwrap();
    let success = scrape.get(&of("last_success_timestamp_seconds", "us"));
    let times = [begin, start, success.unwrap(), now()];
    // Times are in milliseconds.
    assert!(
        times.is_sorted_by(|one, next| *one <= next + 0.002),
        "{times:?}"
    );
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("optoggles_build_info{{version=\"{version}\"}}");
    assert_eq!(scrape.get(&build), Some(1.0));
}

#[test]
fn a_toggle_that_fails_is_not_in_sync_and_keeps_what_was_known() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    let daemon = world.serve_in_step();
    let when = of("last_success_timestamp_seconds", "us");
    let known = Scrape::of(&daemon).get(&when);
    world.opa.undefine("us");
    world.opal.call_back();
    wait_for(&world, &daemon, &of("in_sync", "us"), 0.0);
    let scrape = Scrape::of(&daemon);
    assert_eq!(scrape.get(&of("in_sync", "tax")), Some(1.0));
    assert_eq!(scrape.get(&of("users", "us")), Some(1.0));
    assert_eq!(scrape.get(&when), known);
    world.change("us", &["ann", "bob"]);
    wait_for(&world, &daemon, &of("in_sync", "us"), 1.0);
    let scrape = Scrape::of(&daemon);
    assert!(scrape.get(&when) > known, "{}", scrape.text);
    assert_eq!(scrape.get(&of("users", "us")), Some(2.0));
}

#[test]
fn what_is_not_known_has_no_series() {
    let world = World::of(&["us"]).build();
    let daemon = world.serve();
    daemon.wait_failing();
    let scrape = Scrape::of(&daemon);
    assert_eq!(scrape.get(&of("in_sync", "us")), Some(0.0));
    assert_eq!(scrape.get(&of("users", "us")), None);
    let when = of("last_success_timestamp_seconds", "us");
    assert_eq!(scrape.get(&when), None);
}

#[test]
fn a_source_that_fails_is_down_and_the_other_is_up() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    world.opa.allow("us", &["ann"]);
    let other = world.other.as_ref().unwrap();
    other.opa.allow("beta", &["ann"]);
    other
        .opal
        .http
        .always("POST /callbacks", Fault::status(500));
    let daemon = world.serve();
    let up = |id: &str| format!("optoggles_source_up{{source=\"{id}\"}}");
    wait_for(&world, &daemon, &up("main"), 1.0);
    wait_for(&world, &daemon, &up("other"), 0.0);
    other.opal.http.heal();
    wait_for(&world, &daemon, &up("other"), 1.0);
}

/// Whether nothing of the source `other` and its toggle is told.
fn is_silent_of_other(scrape: &Scrape) -> bool {
    !scrape.text.contains("other") && !scrape.text.contains("beta")
}

#[test]
fn what_a_reload_takes_out_leaves_the_metrics_and_the_rest_goes_on() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    world.opa.allow("us", &["ann"]);
    let other = world.other.as_ref().unwrap();
    other.opa.allow("beta", &["ann"]);
    let daemon = world.serve_in_step();
    let passes = r#"optoggles_passes_total{result="complete",source="main"}"#;
    let before = Scrape::of(&daemon);
    for name in ["passes_total", "source_up", "toggle_in_sync"] {
        assert_eq!(before.series(&format!("optoggles_{name}")), 2, "{name}");
    }
    let config = without_other(world.program.config());
    world.program.reload(&daemon, &config);
    world.wait_until("nothing is told of the source", || {
        is_silent_of_other(&Scrape::of(&daemon))
    });
    // Its registration is taken back after that, by requests which count for nobody.
    let left = |opal: &Opal| opal.keys().is_empty();
    world.wait_until("it is left", || left(&other.opal));
    world.wait_until("nothing is told of that", || {
        is_silent_of_other(&Scrape::of(&daemon))
    });
    let after = Scrape::of(&daemon);
    assert!(after.get(passes) >= before.get(passes), "{}", after.text);
    wait_for(&world, &daemon, &of("in_sync", "us"), 1.0);
}
