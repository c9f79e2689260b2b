//! The stand-in for LaunchDarkly does what the tests take for granted.

mod described;
mod flags;
mod judged;
mod limits;
mod patches;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::launchdarkly::{
    API_VERSION, LaunchDarkly, Platform, SEMANTIC_PATCH, path_of, refusal,
};
use crate::support::wire::Request;
use crate::support::{Answer, Fault, Stage, client};

/// The path of the flag that most of these tests are about.
const US: &str = "/api/v2/flags/default/us";

/// One project with two environments, and a flag without `true` at its usual place.
fn platform() -> Platform {
    let mut platform = Platform::new("tok");
    platform.add_project("default", &["production", "test"]);
    platform.put("default", "us", &[json!(false), json!(true)]);
    platform
}

/// The time at which nearly everything here happens.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1000)
}

/// A request with everything that LaunchDarkly wants.
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

fn ask(platform: &mut Platform, method: &str, path: &str, body: &Value) -> Answer {
    platform.answer(&request(method, path, body), now())
}

fn get(platform: &mut Platform, path: &str) -> (u16, Value) {
    let answer = ask(platform, "GET", path, &Value::Null);
    (answer.status, json_of(&answer))
}

/// Sends a semantic patch of the flag for production, and gives the status.
fn patch(platform: &mut Platform, instructions: Value) -> u16 {
    let body = json!({ "environmentKey": "production", "instructions": instructions });
    ask(platform, "PATCH", US, &body).status
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn it_listens() {
    let stage = Stage::new();
    let there = LaunchDarkly::start(&stage, "tok");
    there.platform().add_project("default", &["production"]);
    let address = there.http.address();
    let headers = [("authorization", "tok"), ("ld-api-version", API_VERSION)];
    let path = path_of("default", "us");
    let get = || client::request(address, "GET", &path, &headers, b"").unwrap();
    assert_eq!(get().status, 404);
    there
        .platform()
        .put("default", "us", &[json!(true), json!(false)]);
    assert_eq!(get().status, 200);
    let conflict = refusal(409, "Conflict. Optimistic lock error. Try again later.");
    there.http.next(1, "GET *", Fault::Answer(conflict));
    assert_eq!(json_of(&get())["code"], "optimistic_locking_error");
}

#[test]
fn it_wants_the_bare_token_and_the_version_of_the_api() {
    let mut platform = platform();
    let status = |name: &str, value: &str, platform: &mut Platform| {
        let mut request = request("GET", US, &Value::Null);
        request.headers.retain(|(header, _)| header != name);
        request.headers.push((name.to_owned(), value.to_owned()));
        platform.answer(&request, now()).status
    };
    assert_eq!(status("authorization", "tok", &mut platform), 200);
    assert_eq!(status("authorization", "Bearer tok", &mut platform), 401);
    assert_eq!(status("ld-api-version", "20220603", &mut platform), 400);
    assert_eq!(status("ld-api-version", "", &mut platform), 400);
}

#[test]
fn it_says_who_calls_and_which_projects_and_environments_there_are() {
    let mut platform = platform();
    let status = |path: &str, platform: &mut Platform| get(platform, path).0;
    assert_eq!(status("/api/v2/caller-identity", &mut platform), 200);
    assert_eq!(status("/api/v2/projects/default", &mut platform), 200);
    assert_eq!(status("/api/v2/projects/other", &mut platform), 404);
    let environments = "/api/v2/projects/default/environments";
    assert_eq!(status(&format!("{environments}/test"), &mut platform), 200);
    assert_eq!(status(&format!("{environments}/stage"), &mut platform), 404);
    assert_eq!(status("/api/v2/nonsense", &mut platform), 404);
    assert_eq!(status("/nonsense", &mut platform), 404);
    let (_, project) = get(
        &mut platform,
        "/api/v2/projects/default?expand=environments",
    );
    assert_eq!(project["environments"]["totalCount"], 2);
    assert_eq!(project["environments"]["items"][0]["key"], "production");
}

#[test]
fn an_error_has_a_code_a_message_and_an_id() {
    let (status, error) = get(&mut platform(), "/api/v2/flags/default/none");
    assert_eq!(status, 404);
    assert_eq!(error["code"], "not_found");
    assert!(error["message"].is_string() && error["id"].is_string());
}
