//! What other tests rely on and would not miss: LaunchDarkly's description of its API, which judges every
//! request to its stand-in, the search for secrets, and the soak's faults.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::support::launchdarkly::{API_VERSION, Description, Platform, SEMANTIC_PATCH, refusal};
use crate::support::opa::Opa;
use crate::support::wire::Request;
use crate::support::{Answer, Fault, Stage, client};

/// The path of the flag that these tests are about.
const US: &str = "/api/v2/flags/default/us";

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
        path: path.to_owned(),
        headers: owned.into(),
        body,
    }
}

#[test]
fn some_requests_meet_a_fault_and_the_last_ones_are_remembered() {
    let stage = Stage::new();
    let opa = Opa::start(&stage, None);
    opa.allow("us", &["bob", "ann"]);
    assert_eq!(opa.users("us"), ["ann", "bob"]);
    opa.http.sometimes(3, "*", Fault::status(503));
    opa.http.remember(4);
    let path = "/v1/data/app/rbac/us";
    let query = || client::request(opa.http.address(), "GET", path, &[], b"").unwrap();
    let statuses: Vec<u16> = (0..7).map(|_| query().status).collect();
    assert_eq!(statuses, [200, 200, 503, 200, 200, 503, 200]);
    assert_eq!((opa.http.total(), opa.http.count("*")), (7, 4));
}

#[test]
fn a_leak_is_found() {
    let stage = Stage::new();
    stage.add_secret("hunter2");
    let text = "good\nAuthorization: Bearer [redacted]\nBearer ${T}\nBearer x\nit is hunter2!\n";
    assert_eq!(stage.leaks(text), ["Bearer x", "it is hunter2!"]);
}

fn every_instruction(on: &str, off: &str) -> Value {
    json!([
        { "kind": "turnFlagOn" },
        { "kind": "turnFlagOff" },
        { "kind": "updateFallthroughVariationOrRollout", "variationId": off },
        { "kind": "updateOffVariation", "variationId": off },
        { "kind": "addTargets", "variationId": on, "values": ["ann"] },
        { "kind": "removeTargets", "variationId": on, "values": ["ann"], "contextKind": "org" },
        { "kind": "clearTargets", "variationId": on },
        { "kind": "replaceTargets", "targets": [{ "variationId": on, "values": ["ann"] }] },
        { "kind": "replaceRules", "rules": [] },
        { "kind": "replacePrerequisites", "prerequisites": [] },
        { "kind": "updateName", "value": "US" },
        { "kind": "updateDescription", "value": "" },
        { "kind": "addTags", "values": ["a"] },
        { "kind": "removeTags", "values": ["a"] },
        { "kind": "archiveFlag" },
        { "kind": "restoreFlag" },
    ])
}

#[test]
fn what_the_stand_in_takes_and_answers_fits_the_description() {
    let Some(description) = Description::find() else {
        return;
    };
    let mut platform = Platform::new("tok");
    platform.add_project("default", &["production", "test"]);
    platform.put("default", "us", &[json!(false), json!(true)]);
    let flag = platform.edit("default", "us");
    let ids = (flag.id_of(&json!(true)), flag.id_of(&json!(false)));
    let instructions = every_instruction(&ids.0, &ids.1);
    let patch = json!({ "environmentKey": "test", "comment": "why", "instructions": instructions });
    let both = json!({ "usingEnvironmentId": true, "usingMobileKey": true });
    let new = json!({
        "key": "new", "name": "New", "description": "it is", "tags": ["a"],
        "clientSideAvailability": both, "variations": [{ "value": true }, { "value": false }],
        "defaults": { "onVariation": 1, "offVariation": 1 }, "temporary": false,
    });
    for (method, path, body, status) in [
        ("GET", "/api/v2/caller-identity", &Value::Null, 200),
        (
            "GET",
            "/api/v2/projects/default?expand=environments",
            &Value::Null,
            200,
        ),
        ("GET", "/api/v2/projects/other", &Value::Null, 404),
        (
            "GET",
            "/api/v2/projects/default/environments/test",
            &Value::Null,
            200,
        ),
        ("POST", "/api/v2/flags/default", &new, 201),
        ("POST", "/api/v2/flags/default", &new, 409),
        ("PATCH", US, &patch, 200),
        (
            "GET",
            "/api/v2/flags/default/us?env=test&env=production",
            &Value::Null,
            200,
        ),
        (
            "GET",
            "/api/v2/flags/default?env=test&summary=0&limit=1&offset=0&filter=state:live",
            &Value::Null,
            200,
        ),
    ] {
        let request = request(method, path, body);
        let answer = platform.answer(&request, UNIX_EPOCH);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(description.problems(&request), [""; 0]);
        assert_eq!(description.problems_of_answer(&request, &answer), [""; 0]);
    }
}

#[test]
fn what_does_not_fit_the_description_is_found() {
    let Some(description) = Description::find() else {
        return;
    };
    let problems = |method: &str, path: &str, body: Value| {
        description
            .problems(&request(method, path, &body))
            .join("; ")
    };
    let of_patch = |body: Value| problems("PATCH", US, body);
    let with =
        |instruction: Value| json!({ "environmentKey": "test", "instructions": [instruction] });
    assert!(problems("PUT", US, Value::Null).starts_with("there is no PUT"));
    assert_eq!(
        problems("GET", &format!("{US}?envs=a"), Value::Null),
        "no parameter envs"
    );
    let new = json!({ "key": "us", "clientSideAvailability": { "usingMobileKey": 1 } });
    let found = problems("POST", "/api/v2/flags/default", new);
    for words in [
        r#""name" is a required"#,
        r#""usingEnvironmentId" is a required"#,
        "boolean",
    ] {
        assert!(found.contains(words), "{found}");
    }
    let found = of_patch(with(json!({ "kind": "addUsers" })));
    assert_eq!(found, "no kind addUsers");
    let found = of_patch(with(json!({ "kind": "addTags", "value": "a" })));
    assert!(found.starts_with("no parameter value in") && found.contains("; values is missing in"));
    let found = of_patch(json!({ "instructions": [{ "kind": "turnFlagOn" }] }));
    assert_eq!(found, "turnFlagOn requires environmentKey");
    let found = of_patch(json!({ "instructions": [], "env": "test" }));
    assert_eq!(found, "no property env; no instructions");
    let name = json!({ "instructions": [{ "kind": "updateName", "value": "US" }] });
    assert_eq!(of_patch(name), "");
}

#[test]
fn an_answer_that_does_not_fit_the_description_is_found() {
    let Some(description) = Description::find() else {
        return;
    };
    let request = request("GET", US, &Value::Null);
    let never = description.problems_of_answer(&request, &refusal(418, "tea"));
    assert_eq!(never, [format!("GET {US} is never answered 418")]);
    let wrong = description.problems_of_answer(&request, &Answer::json(404, &json!({})));
    assert_eq!(wrong.len(), 2);
}
