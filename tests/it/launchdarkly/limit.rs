//! `max_removal` where there are several environments.

use serde_json::json;

use super::*;
use crate::support::launchdarkly::flag::Config;

/// A rule of somebody else's, because of which it cannot be told who has the flag.
fn add_rule(flags: &Flags, environment: &str) {
    let mut platform = flags.platform();
    let config = platform.edit("default", "us").environment(environment);
    config.rules = vec![json!({
        "_id": "r1", "variation": 0, "trackEvents": false,
        "clauses": [{ "attribute": "key", "op": "in", "values": ["eve"], "negate": false }],
    })];
}

#[test]
fn a_rule_that_somebody_adds_in_one_environment_lets_nothing_through_in_another() {
    let flags = Flags::of(&["us"]).setting("max_removal = \"50%\"").build();
    flags.opa.allow("us", &["ann", "bob", "cid", "dan"]);
    flags.sync(&[]).exits(0);
    flags.opa.allow("us", &["ann"]);
    let held = "us held: it would remove 3 of 4 users";
    flags.sync(&[]).exits(1).reports_start(held);
    add_rule(&flags, "test");
    flags.sync(&[]).exits(1).reports_start(held);
    let everybody = ["ann", "bob", "cid", "dan"];
    let platform = flags.platform();
    assert!(platform.is_on_for("default", "us", "production", &everybody, &["eve"]));
    drop(platform);
    flags.opa.allow("us", &["ann", "bob"]);
    flags.sync(&[]).exits(0);
    assert!(flags.is_on_for("us", &["ann", "bob"], &["cid", "dan", "eve"]));
}

#[test]
fn a_removal_is_held_while_serving_too_when_a_resync_finds_a_rule_in_another_environment() {
    let flags = Flags::of(&["us"])
        .setting("max_removal = \"50%\"")
        .setting("resync_interval = \"1s\"")
        .build();
    flags.opa.allow("us", &["ann", "bob", "cid", "dan"]);
    flags.sync(&[]).exits(0);
    let daemon = flags.serve_in_step();
    flags.change("us", &["ann"]);
    daemon.wait_failing();
    add_rule(&flags, "test");
    let reads = flags.count("GET", "us");
    flags.stage.wait_until("two resyncs have passed", || {
        flags.count("GET", "us") >= reads + 3
    });
    assert_eq!(daemon.toggle("us")["state"], "held");
    let everybody = ["ann", "bob", "cid", "dan"];
    let platform = flags.platform();
    assert!(platform.is_on_for("default", "us", "production", &everybody, &["eve"]));
}

/// Somebody changes both environments by hand; what would be taken from those who are named there is
/// held all the same.
#[track_caller]
fn counts_those_who_are_named(change: impl Fn(&mut Config)) {
    let flags = Flags::of(&["us"]).setting("max_removal = \"50%\"").build();
    flags.opa.allow("us", &["ann", "bob", "cid", "dan"]);
    flags.sync(&[]).exits(0);
    let mut platform = flags.platform();
    for environment in ENVIRONMENTS {
        change(platform.edit("default", "us").environment(environment));
    }
    drop(platform);
    for (users, held) in [(&[][..], "4 of 4 users"), (&["ann"], "3 of 4 users")] {
        flags.opa.allow("us", users);
        let held = format!("us held: it would remove {held}");
        flags.sync(&[]).exits(1).reports_start(&held);
    }
    flags.opa.allow("us", &["ann", "bob"]);
    flags.sync(&[]).exits(0);
    assert!(flags.is_on_for("us", &["ann", "bob"], &["cid", "dan", "eve"]));
}

#[test]
fn those_who_are_named_count_although_the_flag_was_switched_off() {
    counts_those_who_are_named(|config| config.on = false);
}

#[test]
fn those_who_are_named_count_beside_a_rule_or_a_prerequisite() {
    counts_those_who_are_named(|config| {
        config.rules = vec![json!({
            "_id": "r1", "variation": 0, "trackEvents": false,
            "clauses": [{ "attribute": "key", "op": "in", "values": ["eve"], "negate": false }],
        })];
    });
    counts_those_who_are_named(|config| {
        config.prerequisites = vec![json!({ "key": "other", "variation": 0 })];
    });
}
