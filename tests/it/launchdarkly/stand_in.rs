//! That the stand-in is as strict as LaunchDarkly: what it takes and answers fits the description of the API.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::*;
use crate::support::launchdarkly::{API_VERSION, SEMANTIC_PATCH};

/// A request with everything that LaunchDarkly requires.
fn request(method: &str, path: &str, body: &Value) -> Request {
    let content_type = match method {
        "PATCH" => SEMANTIC_PATCH,
        _ => "application/json",
    };
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    let headers = [
        ("authorization", "tok"),
        ("ld-api-version", API_VERSION),
        ("content-type", content_type),
        ("content-length", &body.len().to_string()),
    ];
    let owned = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Request {
        method: method.to_owned(),
        path: format!("/api/v2{path}"),
        headers: owned.into(),
        body,
    }
}

/// All that optoggles says of a segment.
fn every_instruction_of_a_segment() -> Value {
    json!([
        { "kind": "removeRule", "ruleId": "r" },
        { "kind": "removeIncludedUsers", "values": ["bob"] },
        { "kind": "removeIncludedTargets", "contextKind": "org", "values": ["acme"] },
        { "kind": "removeExcludedUsers", "values": ["ann"] },
        { "kind": "removeExcludedTargets", "contextKind": "org", "values": ["acme"] },
        { "kind": "addIncludedUsers", "values": ["ann"] },
        { "kind": "addIncludedTargets", "contextKind": "device", "values": ["phone"] },
    ])
}

fn every_instruction(on: &str, off: &str) -> Value {
    let clause = json!({
        "contextKind": "user", "attribute": "segmentMatch", "op": "segmentMatch", "negate": false,
        "values": ["people"],
    });
    let rule = json!({ "variationId": on, "description": "why", "clauses": [clause] });
    json!([
        { "kind": "turnFlagOn" },
        { "kind": "turnFlagOff" },
        { "kind": "updateFallthroughVariationOrRollout", "variationId": off },
        { "kind": "updateOffVariation", "variationId": off },
        { "kind": "addTargets", "variationId": on, "values": ["ann"] },
        { "kind": "removeTargets", "variationId": on, "values": ["ann"], "contextKind": "org" },
        { "kind": "replaceTargets", "targets": [{ "variationId": on, "values": ["ann"] }] },
        { "kind": "replaceRules", "rules": [] },
        { "kind": "replaceRules", "rules": [rule] },
        { "kind": "replacePrerequisites", "prerequisites": [] },
        { "kind": "updateName", "value": "US" },
        { "kind": "updateDescription", "value": "" },
        { "kind": "addTags", "values": ["a"] },
        { "kind": "removeTags", "values": ["a"] },
    ])
}

#[test]
fn what_the_stand_in_takes_and_answers_fits_the_description() {
    let Some(description) = Description::find() else {
        return;
    };
    let mut platform = Platform::new("tok");
    platform.add_project("default", &["production", "test"]);
    let flag = platform.put("default", "us", &[json!(false), json!(true)]);
    let instructions = every_instruction(&flag.variations[1].id, &flag.variations[0].id);
    let patch = json!({ "environmentKey": "test", "comment": "why", "instructions": instructions });
    let both = json!({ "usingEnvironmentId": true, "usingMobileKey": true });
    let new = json!({
        "key": "new", "name": "New", "description": "it is", "tags": ["a"],
        "clientSideAvailability": both, "variations": [{ "value": true }, { "value": false }],
    });
    let segment = platform.segment("default", "test", "people");
    segment.excluded.insert("ann".into());
    segment.list("org", true).insert("acme".into());
    segment.list("org", false).insert("zoo".into());
    segment.rules = vec![json!({ "_id": "r", "clauses": [] })];
    let instructions = every_instruction_of_a_segment();
    let members =
        json!({ "environmentKey": "test", "comment": "why", "instructions": instructions });
    let more = json!({ "key": "more", "name": "More", "description": "why" });
    let list = "/flags/default?env=test&summary=0&limit=1&offset=0&filter=state:live";
    let marked = "/flags/default?limit=100&offset=0&filter=tags:a";
    let none = Value::Null;
    for (method, path, body, status) in [
        ("GET", "/caller-identity", &none, 200),
        ("GET", "/projects/default", &none, 200),
        ("GET", "/projects/other", &none, 404),
        ("GET", "/projects/default/environments/test", &none, 200),
        ("POST", "/flags/default", &new, 201),
        ("POST", "/flags/default", &new, 409),
        ("PATCH", "/flags/default/us", &patch, 200),
        (
            "GET",
            "/flags/default/us?env=test&env=production",
            &none,
            200,
        ),
        ("GET", list, &none, 200),
        ("GET", marked, &none, 200),
        ("POST", "/segments/default/test", &more, 201),
        ("GET", "/segments/default/test/people", &none, 200),
        ("GET", "/segments/default/production/people", &none, 404),
        ("PATCH", "/segments/default/test/people", &members, 200),
    ] {
        let request = request(method, path, body);
        let answer = platform.answer(&request, UNIX_EPOCH);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(description.problems(&request), [""; 0]);
        assert_eq!(description.problems_of_answer(&request, &answer), [""; 0]);
    }
    // And it does judge.
    let unknown = json!({ "environmentKey": "test", "instructions": [{ "kind": "addUsers" }] });
    for path in ["/flags/default/us", "/segments/default/test/people"] {
        let problems = description.problems(&request("PATCH", path, &unknown));
        assert_eq!(problems, ["no kind addUsers"]);
    }
}

#[test]
fn the_stand_in_refuses_what_launchdarkly_refuses_beyond_its_description() {
    let mut platform = Platform::new("tok");
    platform.add_project("default", &["a", "b", "c", "d"]);
    platform.put("default", "us", &[json!(false), json!(true)]);
    platform.segment("default", "a", "people");
    let none = Value::Null;
    let values = json!([{ "value": true }, { "value": false }]);
    let flag = |key: &str, tag: &str| json!({ "key": key, "name": "X", "tags": [tag], "variations": values });
    let segment = |key: &str| json!({ "key": key, "name": "X" });
    let mut full = segment("new");
    full["included"] = json!(["ann"]);
    let members = |count: usize| {
        let keys = |from: usize| {
            (from..from + count / 2)
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
        };
        json!({ "environmentKey": "a", "instructions": [
            { "kind": "removeIncludedUsers", "values": keys(0) },
            { "kind": "addIncludedUsers", "values": keys(1_000_000) },
        ] })
    };
    let people = "/segments/default/a/people";
    for (method, path, body, status, code) in [
        ("GET", "/flags/default?env=a&env=b&env=c", &none, 200, ""),
        (
            "GET",
            "/flags/default?env=a&env=b&env=c&env=d",
            &none,
            400,
            "invalid_request",
        ),
        (
            "GET",
            "/flags/default/us?env=a&env=b&env=c&env=d",
            &none,
            200,
            "",
        ),
        ("GET", "/flags/default?limit=100", &none, 200, ""),
        (
            "GET",
            "/flags/default?limit=101",
            &none,
            400,
            "invalid_request",
        ),
        (
            "GET",
            "/flags/default?filter=tag:a",
            &none,
            400,
            "invalid_request",
        ),
        (
            "POST",
            "/flags/default",
            &flag("x", &"t".repeat(64)),
            201,
            "",
        ),
        (
            "POST",
            "/flags/default",
            &flag("y", &"t".repeat(65)),
            400,
            "invalid_request",
        ),
        ("POST", "/flags/default", &flag("us", "t"), 409, "conflict"),
        (
            "POST",
            "/segments/default/a",
            &segment("people"),
            409,
            "key_exists",
        ),
        ("POST", "/segments/default/b", &segment("people"), 201, ""),
        // It is filled by patches only.
        ("POST", "/segments/default/a", &full, 400, "invalid_request"),
        ("PATCH", people, &members(1_500), 200, ""),
        ("PATCH", people, &members(1_502), 400, "invalid_request"),
    ] {
        let answer = platform.answer(&request(method, path, body), UNIX_EPOCH);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        if !code.is_empty() {
            let said: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(said["code"], code);
        }
    }
}

#[test]
fn a_list_of_the_stand_in_shows_the_flags_with_the_tag_that_are_not_archived_and_no_environments() {
    let mut platform = Platform::new("tok");
    platform.add_project("default", &["a"]);
    for (key, tags, archived) in [
        ("both", &["x", "y"][..], false),
        ("one", &["x"], false),
        ("none", &[], false),
        ("old", &["x", "y"], true),
    ] {
        let flag = platform.put("default", key, &[json!(false), json!(true)]);
        flag.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        flag.archived = archived;
    }
    let mut keys = |filter: &str| {
        let path = format!("/flags/default?filter={filter}");
        let answer = platform.answer(&request("GET", &path, &Value::Null), UNIX_EPOCH);
        let page: Value = serde_json::from_slice(&answer.body).unwrap();
        let items = page["items"].as_array().unwrap().iter();
        let items = items.inspect(|flag| assert_eq!(flag["environments"], json!({})));
        items
            .map(|flag| flag["key"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys("tags:x"), ["both", "one"]);
    assert_eq!(keys("tags:x%2By"), ["both"]);
    assert_eq!(keys("tags:x,state:archived"), ["old"]);
}
