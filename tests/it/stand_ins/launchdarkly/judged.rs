//! LaunchDarkly's own engine says what the flags of the stand-in serve.

use super::*;
use crate::support::launchdarkly::Target;
use crate::support::launchdarkly::flag::Config;

/// What ann and bob get in production once this was done to the flag, which serves `false` to
/// everybody at first.
fn served(change: impl FnOnce(&mut Config)) -> [Option<Value>; 2] {
    let mut platform = platform();
    let config = platform.edit("default", "us").environment("production");
    config.on = true;
    change(config);
    config.mark_order();
    ["ann", "bob"].map(|user| platform.serves("default", "us", "production", user))
}

fn values(ann: bool, bob: bool) -> [Option<Value>; 2] {
    [Some(json!(ann)), Some(json!(bob))]
}

#[test]
fn a_new_flag_serves_its_off_variation() {
    let mut platform = platform();
    assert_eq!(
        platform.serves("default", "us", "test", "ann"),
        Some(json!(true))
    );
    platform
        .edit("default", "us")
        .environment("test")
        .off_variation = None;
    assert_eq!(platform.serves("default", "us", "test", "ann"), None);
}

#[test]
fn exactly_those_who_are_targeted_get_true() {
    let mut platform = platform();
    let on = platform.edit("default", "us").id_of(&json!(true));
    let off = platform.edit("default", "us").id_of(&json!(false));
    let wanted = json!([
        { "kind": "turnFlagOn" },
        { "kind": "updateFallthroughVariationOrRollout", "variationId": off },
        { "kind": "replaceTargets", "targets": [{ "variationId": on, "values": ["ann", "bob"] }] },
    ]);
    assert_eq!(patch(&mut platform, wanted), 200);
    let is = |users: &[&str], others: &[&str]| {
        platform.is_on_for("default", "us", "production", users, others)
    };
    assert!(is(&["ann", "bob"], &["eve", "Ann"]));
    assert!(!is(&["ann", "eve"], &[]));
    assert!(!is(&["ann"], &["bob"]));
    assert!(!platform.is_on_for("default", "us", "test", &[], &["eve"]));
    assert!(!platform.is_on_for("default", "none", "test", &["ann"], &[]));
}

#[test]
fn targets_of_users_count_beside_those_of_other_kinds() {
    let both = served(|config| {
        config.targets = vec![Target::new("user", 1, &["ann"])];
        config.context_targets = vec![Target::new("org", 1, &["bob"])];
    });
    assert_eq!(both, values(true, false));
}

#[test]
fn contexts_of_other_kinds_can_be_targeted() {
    let mut platform = platform();
    let config = platform.edit("default", "us").environment("production");
    config.on = true;
    config.context_targets = vec![Target::new("org", 1, &["acme"])];
    let serves =
        |contexts: &[(&str, &str)]| platform.serves_with("default", "us", "production", contexts);
    assert_eq!(
        serves(&[("user", "ann"), ("org", "acme")]),
        Some(json!(true))
    );
    assert_eq!(
        serves(&[("user", "ann"), ("org", "other")]),
        Some(json!(false))
    );
    assert_eq!(serves(&[("org", "acme")]), Some(json!(true)));
    assert_eq!(serves(&[("user", "acme")]), Some(json!(false)));
}

#[test]
fn rules_rollouts_and_the_fallthrough_decide_for_those_who_are_not_targeted() {
    let clause = json!({ "attribute": "key", "op": "in", "values": ["bob"], "negate": false });
    let rule = json!({ "_id": "r", "clauses": [clause], "variation": 1, "trackEvents": false });
    assert_eq!(
        served(|config| config.rules = vec![rule]),
        values(false, true)
    );
    let fallthrough = json!({ "variation": 1 });
    assert_eq!(
        served(|config| config.fallthrough = fallthrough),
        values(true, true)
    );
    let weighted = json!([{ "variation": 1, "weight": 100_000 }]);
    let rollout = json!({ "rollout": { "variations": weighted, "bucketBy": "key" } });
    assert_eq!(
        served(|config| config.fallthrough = rollout),
        values(true, true)
    );
}

#[test]
fn a_prerequisite_must_serve_its_variation() {
    let mut platform = platform();
    platform.put("default", "other", &[json!(false), json!(true)]);
    let config = platform.edit("default", "us").environment("test");
    config.on = true;
    config.fallthrough = json!({ "variation": 1 });
    config.off_variation = Some(0);
    config.prerequisites = vec![json!({ "key": "other", "variation": 0 })];
    assert_eq!(
        platform.serves("default", "us", "test", "ann"),
        Some(json!(false))
    );
    platform.edit("default", "other").environment("test").on = true;
    assert_eq!(
        platform.serves("default", "us", "test", "ann"),
        Some(json!(true))
    );
}

#[test]
fn a_flag_need_not_be_boolean_and_an_archived_one_serves_nothing() {
    let mut platform = platform();
    platform.put("default", "sizes", &[json!("small"), json!({ "px": 9 })]);
    let serves = |platform: &Platform| platform.serves("default", "sizes", "test", "ann");
    assert_eq!(serves(&platform), Some(json!({ "px": 9 })));
    platform.edit("default", "sizes").archived = true;
    assert_eq!(serves(&platform), None);
}
