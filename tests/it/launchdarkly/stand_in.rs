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

fn every_instruction(on: &str, off: &str) -> Value {
    json!([
        { "kind": "turnFlagOn" },
        { "kind": "updateFallthroughVariationOrRollout", "variationId": off },
        { "kind": "updateOffVariation", "variationId": off },
        { "kind": "addTargets", "variationId": on, "values": ["ann"] },
        { "kind": "removeTargets", "variationId": on, "values": ["ann"], "contextKind": "org" },
        { "kind": "replaceTargets", "targets": [{ "variationId": on, "values": ["ann"] }] },
        { "kind": "replaceRules", "rules": [] },
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
    let list = "/flags/default?env=test&summary=0&limit=1&offset=0&filter=state:live";
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
    ] {
        let request = request(method, path, body);
        let answer = platform.answer(&request, UNIX_EPOCH);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(description.problems(&request), [""; 0]);
        assert_eq!(description.problems_of_answer(&request, &answer), [""; 0]);
    }
    // And it does judge.
    let unknown = json!({ "environmentKey": "test", "instructions": [{ "kind": "addUsers" }] });
    let problems = description.problems(&request("PATCH", "/flags/default/us", &unknown));
    assert_eq!(problems, ["no kind addUsers"]);
}
