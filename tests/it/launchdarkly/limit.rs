//! `max_removal` where there are several environments.

use serde_json::json;

use super::*;
use crate::support::launchdarkly::Target;
use crate::support::launchdarkly::flag::Config;

/// Somebody adds a rule, because of which it cannot be told who has the flag.
fn add_rule(config: &mut Config) {
    config.rules = vec![json!({
        "_id": "r1", "variation": 0, "trackEvents": false,
        "clauses": [{ "attribute": "key", "op": "in", "values": ["eve"], "negate": false }],
    })];
}

#[test]
fn what_is_held_in_one_environment_holds_nothing_back_in_another() {
    let flags = Flags::of(&["us"]).setting("max_removal = \"50%\"").build();
    flags.opa.allow("us", &["ann", "bob", "cid", "dan"]);
    flags.sync(&[]).exits(0);
    let is_on_for = |environment, users: &[&str], others: &[&str]| {
        let platform = flags.platform();
        platform.is_on_for("default", "us", environment, users, others)
    };
    let mut platform = flags.platform();
    let config = platform.edit("default", "us").environment("test");
    config.targets = vec![Target::new("user", 0, &["ann", "bob"])];
    drop(platform);
    flags.opa.allow("us", &["ann"]);
    let output = flags.sync(&[]).exits(1);
    let output =
        output.reports_start("us held: environment production: it would remove 3 of 4 users");
    output.says("  production: -3 held\n  test: -1 updated\n");
    let everybody = ["ann", "bob", "cid", "dan"];
    assert!(is_on_for("production", &everybody, &[]));
    assert!(is_on_for("test", &["ann"], &["bob", "cid", "dan"]));
}

#[test]
fn a_toggle_that_is_held_in_one_environment_and_fails_in_another_is_failing() {
    let flags = Flags::of(&["us"]).setting("max_removal = \"50%\"").build();
    flags.opa.allow("us", &["ann", "bob", "cid", "dan"]);
    flags.sync(&[]).exits(0);
    let mut platform = flags.platform();
    let config = platform.edit("default", "us").environment("test");
    config.targets = vec![Target::new("user", 0, &["ann", "bob"])];
    platform.require_approval("default", "test");
    drop(platform);
    flags.opa.allow("us", &["ann"]);
    let daemon = flags.program.serve(&[]);
    flags.stage.wait_until("/status tells both", || {
        let rows = daemon.toggle("us")["environments"].clone();
        [&rows[0]["state"], &rows[1]["state"]] == ["held", "failing"]
    });
    assert_eq!(daemon.toggle("us")["state"], "failing");
    let metrics = daemon.get("/metrics").text();
    let labels = r#"source="main",target="launchdarkly",toggle="us""#;
    for line in [
        format!(r#"optoggles_toggle_held{{environment="production",{labels}}} 1"#),
        format!(r#"optoggles_toggle_held{{environment="test",{labels}}} 0"#),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[test]
fn those_who_are_named_count_also_where_it_cannot_be_told_who_has_the_flag() {
    let prerequisite = |config: &mut Config| {
        config.prerequisites = vec![json!({ "key": "other", "variation": 0 })];
    };
    let switched_off = |config: &mut Config| config.on = false;
    for change in [switched_off, add_rule, prerequisite] {
        let flags = Flags::of(&["us"]).setting("max_removal = \"50%\"").build();
        flags.opa.allow("us", &["ann", "bob", "cid", "dan"]);
        flags.sync(&[]).exits(0);
        let mut platform = flags.platform();
        for environment in ENVIRONMENTS {
            change(platform.edit("default", "us").environment(environment));
        }
        drop(platform);
        for (users, removed) in [(&[][..], 4), (&["ann"], 3)] {
            flags.opa.allow("us", users);
            let held = "us held: environments production, test: it would remove";
            let held = format!("{held} {removed} of 4 users");
            flags.sync(&[]).exits(1).reports_start(&held);
        }
        flags.opa.allow("us", &["ann", "bob"]);
        flags.sync(&[]).exits(0);
        assert!(flags.is_on_for("us", &["ann", "bob"], &["cid", "dan", "eve"]));
    }
}
