//! Semantic patches.

use super::*;
use crate::support::launchdarkly::Target;

/// The ids of `true` and `false`.
fn ids(platform: &mut Platform) -> (String, String) {
    let flag = platform.edit("default", "us");
    (flag.id_of(&json!(true)), flag.id_of(&json!(false)))
}

#[test]
fn instructions_do_what_they_are_called() {
    let mut platform = platform();
    let (on, off) = ids(&mut platform);
    let config = platform.edit("default", "us").environment("production");
    config.rules = vec![json!({ "clauses": [], "variation": 1, "trackEvents": false })];
    config.prerequisites = vec![json!({ "key": "other", "variation": 0 })];
    let instructions = json!([
        { "kind": "turnFlagOn" },
        { "kind": "updateFallthroughVariationOrRollout", "variationId": on },
        { "kind": "updateOffVariation", "variationId": off },
        { "kind": "replaceRules", "rules": [] },
        { "kind": "replacePrerequisites", "prerequisites": [] },
        { "kind": "addTargets", "variationId": on, "values": ["ann", "bob"] },
        { "kind": "addTargets", "variationId": on, "values": ["bob", "eve", "eve"] },
        { "kind": "addTargets", "variationId": on, "values": ["acme"], "contextKind": "org" },
        { "kind": "removeTargets", "variationId": on, "values": ["ann", "joe"] },
        { "kind": "updateName", "value": "The US" },
        { "kind": "updateDescription", "value": "all of it" },
        { "kind": "addTags", "values": ["a", "b"] },
        { "kind": "removeTags", "values": ["b", "c"] },
    ]);
    assert_eq!(patch(&mut platform, instructions), 200);
    let flag = platform.edit("default", "us");
    assert_eq!(
        (flag.name.as_str(), flag.description.as_str()),
        ("The US", "all of it")
    );
    assert!(flag.tags.iter().eq(["a"]));
    let config = flag.environment("production");
    assert!(config.on && config.rules.is_empty() && config.prerequisites.is_empty());
    assert_eq!(config.fallthrough, json!({ "variation": 1 }));
    assert_eq!(config.off_variation, Some(0));
    assert_eq!(config.targets, [Target::new("user", 1, &["bob", "eve"])]);
    let others = [
        Target::new("user", 1, &[]),
        Target::new("org", 1, &["acme"]),
    ];
    assert_eq!(config.context_targets, others);
    assert!(!flag.environment("test").on);
    let archive = json!([{ "kind": "turnFlagOff" }, { "kind": "archiveFlag" }]);
    assert_eq!(patch(&mut platform, archive), 200);
    assert!(platform.edit("default", "us").archived);
    assert_eq!(
        patch(&mut platform, json!([{ "kind": "restoreFlag" }])),
        200
    );
    assert!(!platform.edit("default", "us").archived);
}

#[test]
fn targets_of_all_kinds_are_replaced_or_cleared_together() {
    let mut platform = platform();
    let (on, off) = ids(&mut platform);
    let add = json!([
        { "kind": "addTargets", "variationId": on, "values": ["ann"] },
        { "kind": "addTargets", "variationId": off, "values": ["bob"] },
        { "kind": "addTargets", "variationId": on, "values": ["acme"], "contextKind": "org" },
    ]);
    assert_eq!(patch(&mut platform, add.clone()), 200);
    let clear = json!([{ "kind": "clearTargets", "variationId": on }]);
    assert_eq!(patch(&mut platform, clear), 200);
    let config = platform.edit("default", "us").environment("production");
    assert_eq!(config.targets, [Target::new("user", 0, &["bob"])]);
    assert_eq!(config.context_targets, [Target::new("user", 0, &[])]);
    let targets = json!([{ "variationId": on, "values": ["bob"] }]);
    let replace = json!([{ "kind": "replaceTargets", "targets": targets }]);
    assert_eq!(patch(&mut platform, add), 200);
    assert_eq!(patch(&mut platform, replace), 200);
    let config = platform.edit("default", "us").environment("production");
    assert_eq!(config.targets, [Target::new("user", 1, &["bob"])]);
    assert_eq!(config.context_targets, [Target::new("user", 1, &[])]);
}

#[test]
fn a_patch_is_applied_as_a_whole_or_not_at_all() {
    let mut platform = platform();
    let (on, off) = ids(&mut platform);
    platform.put("default", "other", &[json!(true), json!(false)]);
    let foreign = platform.edit("default", "other").id_of(&json!(true));
    let before = platform.flag("default", "us").cloned();
    for wrong in [
        json!({ "kind": "addTargets", "variationId": off, "values": ["ann"] }),
        json!({ "kind": "addTargets", "variationId": on, "values": [] }),
        json!({ "kind": "addTargets", "variationId": foreign, "values": ["bob"] }),
        json!({ "kind": "addTargets", "variation": 1, "values": ["bob"] }),
        json!({ "kind": "updateOffVariation", "variationId": foreign }),
        json!({ "kind": "replaceTargets", "targets": [{ "values": ["bob"] }] }),
        json!({ "kind": "replaceRules", "rules": [{ "clauses": [] }] }),
        json!({ "kind": "replaceRules" }),
        json!({ "kind": "turnFlagOn", "comment": "on" }),
        json!({ "kind": "updateName", "value": "" }),
        json!({ "kind": "addTags", "values": ["a b"] }),
        json!({ "kind": "removeTags", "values": [] }),
        json!({ "kind": "addUsers", "values": ["bob"] }),
        json!("turnFlagOn"),
    ] {
        let right = json!({ "kind": "addTargets", "variationId": on, "values": ["ann"] });
        let status = patch(
            &mut platform,
            json!([{ "kind": "turnFlagOn" }, right, wrong]),
        );
        assert_eq!((status, &wrong), (400, &wrong));
    }
    assert_eq!(platform.flag("default", "us").cloned(), before);
}

#[test]
fn a_patch_that_is_none_is_refused() {
    let mut platform = platform();
    let on = json!([{ "kind": "turnFlagOn" }]);
    for (wrong, status) in [
        (json!({ "instructions": on }), 400),
        (
            json!({ "environmentKey": "stage", "instructions": on }),
            404,
        ),
        (json!({ "environmentKey": "test", "instructions": [] }), 400),
        (json!({ "environmentKey": "test" }), 400),
        (json!({ "environment": "test", "instructions": on }), 400),
        (
            json!([{ "op": "replace", "path": "/name", "value": "US" }]),
            400,
        ),
    ] {
        let answer = ask(&mut platform, "PATCH", US, &wrong);
        assert_eq!((answer.status, &wrong), (status, &wrong));
    }
    let right = json!({ "environmentKey": "test", "comment": "why", "instructions": on });
    for content_type in ["application/json", "application/json;domain-model=semantic"] {
        let mut request = request("PATCH", US, &right);
        request.headers[2].1 = content_type.to_owned();
        assert_eq!(platform.answer(&request, now()).status, 400);
    }
    assert_eq!(
        ask(&mut platform, "PATCH", &format!("{US}?dryRun=true"), &right).status,
        400
    );
    assert_eq!(ask(&mut platform, "PATCH", US, &right).status, 200);
}

#[test]
fn versions_count_changes_only() {
    let mut platform = platform();
    let versions = |platform: &mut Platform| {
        let flag = platform.edit("default", "us");
        let of = |key: &str| flag.environments[key].version;
        (flag.version, of("production"), of("test"))
    };
    assert_eq!(versions(&mut platform), (1, 1, 1));
    patch(&mut platform, json!([{ "kind": "turnFlagOn" }]));
    assert_eq!(versions(&mut platform), (2, 2, 1));
    patch(&mut platform, json!([{ "kind": "turnFlagOn" }]));
    assert_eq!(versions(&mut platform), (2, 2, 1));
    patch(
        &mut platform,
        json!([{ "kind": "updateName", "value": "US" }]),
    );
    assert_eq!(versions(&mut platform), (3, 2, 1));
}

#[test]
fn keys_move_between_variations_in_the_order_of_the_instructions() {
    let mut platform = platform();
    let (on, off) = ids(&mut platform);
    let add = |id: &str| json!({ "kind": "addTargets", "variationId": id, "values": ["ann"] });
    let remove =
        |id: &str| json!({ "kind": "removeTargets", "variationId": id, "values": ["ann"] });
    assert_eq!(patch(&mut platform, json!([add(&off)])), 200);
    assert_eq!(patch(&mut platform, json!([add(&on), remove(&off)])), 400);
    assert_eq!(patch(&mut platform, json!([remove(&off), add(&on)])), 200);
    let config = platform.edit("default", "us").environment("production");
    let empty = Target::new("user", 0, &[]);
    assert_eq!(config.targets, [empty, Target::new("user", 1, &["ann"])]);
}
