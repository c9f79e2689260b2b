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

/// What the report says where so many users would be removed in both environments.
fn held(removed: usize) -> String {
    format!("us held: environments production, test: it would remove {removed} of 4 users")
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
fn a_rule_that_somebody_adds_in_one_environment_lets_nothing_through() {
    let flags = Flags::of(&["us"]).setting("max_removal = \"50%\"").build();
    flags.opa.allow("us", &["ann", "bob", "cid", "dan"]);
    flags.sync(&[]).exits(0);
    flags.opa.allow("us", &["ann"]);
    flags.sync(&[]).exits(1).reports_start(&held(3));
    add_rule(flags.platform().edit("default", "us").environment("test"));
    flags.sync(&[]).exits(1).reports_start(&held(3));
    let everybody = ["ann", "bob", "cid", "dan"];
    let platform = flags.platform();
    assert!(platform.is_on_for("default", "us", "production", &everybody, &["eve"]));
    drop(platform);
    flags.opa.allow("us", &["ann", "bob"]);
    flags.sync(&[]).exits(0);
    assert!(flags.is_on_for("us", &["ann", "bob"], &["cid", "dan", "eve"]));
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
            flags.sync(&[]).exits(1).reports_start(&held(removed));
        }
        flags.opa.allow("us", &["ann", "bob"]);
        flags.sync(&[]).exits(0);
        assert!(flags.is_on_for("us", &["ann", "bob"], &["cid", "dan", "eve"]));
    }
}
