//! `max_removal` where there are several environments.

use serde_json::json;

use super::*;
use crate::support::launchdarkly::flag::Config;

/// Somebody adds a rule, because of which it cannot be told who has the flag.
fn add_rule(config: &mut Config) {
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
    add_rule(flags.platform().edit("default", "us").environment("test"));
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
        for (users, held) in [(&[][..], "4 of 4 users"), (&["ann"], "3 of 4 users")] {
            flags.opa.allow("us", users);
            let held = format!("us held: it would remove {held}");
            flags.sync(&[]).exits(1).reports_start(&held);
        }
        flags.opa.allow("us", &["ann", "bob"]);
        flags.sync(&[]).exits(0);
        assert!(flags.is_on_for("us", &["ann", "bob"], &["cid", "dan", "eve"]));
    }
}
