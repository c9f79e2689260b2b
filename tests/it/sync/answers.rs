//! OPA's answers, and their effect on the target.

use serde_json::json;

use crate::support::opa::query_of;
use crate::support::{Answer, Fault, World, owned};

/// `sync --once` without waiting for a retry.
const AT_ONCE: [&str; 2] = ["--timeout", "100ms"];

#[test]
fn an_undefined_rule_and_a_wrong_type_are_errors_that_quote_no_value() {
    let answers = [
        (
            "undefined",
            json!({"decision_id": "hidden"}),
            "is undefined",
        ),
        ("string", json!({"result": "hidden"}), "string"),
        ("object", json!({"result": {"hidden": true}}), "object"),
        ("null", json!({"result": null}), "null"),
        (
            "number-2",
            json!({"result": ["hidden", "b", 47]}),
            "element 2 is a number",
        ),
        (
            "array-0",
            json!({"result": [["hidden"]]}),
            "element 0 is an array",
        ),
    ];
    let keys = answers.each_ref().map(|(key, ..)| *key);
    let world = World::of(&keys).readable().build();
    for (key, answer, _) in &answers {
        world.store.put(key, &["ann"]);
        world.opa.answer(key, answer.clone());
    }
    let output = world.sync(&[]).exits(1).sums_up("6 toggles: 6 failed");
    assert!(!output.stderr.contains("hidden"), "{}", output.picture());
    let mut output = output.says_not("hidden");
    for (key, _, words) in &answers {
        output = output.says(words).reports_start(&format!(
            "{key} failed: rule data.app.rbac.{}",
            key.replace('-', "_")
        ));
        assert_eq!(world.queries(key), 1, "what lasts is not tried again");
        assert!(world.store.has(key, &["ann"]));
    }
}

#[test]
fn other_members_are_ignored_and_an_empty_list_is_an_answer() {
    let world = World::of(&["us", "none"]).readable().build();
    world.store.put("none", &["ann"]);
    world.opa.answer(
        "us",
        json!({"decision_id": "4ca6", "metrics": {"a": [1]}, "result": ["bob", "ann"]}),
    );
    world
        .opa
        .answer("none", json!({"result": [], "warning": {"code": "x"}}));
    world.sync(&[]).exits(0);
    assert!(world.store.has("us", &["ann", "bob"]));
    assert!(world.store.has("none", &[]));
}

#[test]
fn a_broken_answer_empties_nothing() {
    let raw = |text: &str| Fault::Raw(text.as_bytes().to_vec());
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"result\":[]}";
    let faults = [
        ("status", Fault::status(500)),
        ("unavailable", Fault::status(503)),
        ("reset", Fault::Reset),
        ("truncated", Fault::Truncate),
        ("closed", Fault::Close),
        ("garbage", raw("hello\r\n\r\n")),
        (
            "no-json",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
        ),
        ("cut", raw(&empty.replace("13", "99"))),
        ("moved", raw(&empty.replace("200 OK", "302 Found"))),
        ("not-found", raw(&empty.replace("200 OK", "404 Not Found"))),
    ];
    let keys = faults.each_ref().map(|(key, _)| *key);
    let world = World::of(&keys).readable().build();
    for (key, fault) in faults {
        world.store.put(key, &["ann"]);
        world.opa.allow(key, &[]);
        world.opa.http.always(&query_of(key), fault);
    }
    let output = world
        .sync(&AT_ONCE)
        .exits(1)
        .sums_up("10 toggles: 10 failed");
    output.says("code_500").says("stand-in says 500");
    for key in keys {
        assert_eq!(world.store.users(key), Some(owned(&["ann"])), "{key}");
    }
    assert_eq!(world.store.http.count("PATCH *"), 0);
}

#[test]
fn an_opa_that_is_not_ready_changes_nothing() {
    let world = World::of(&["us"]).readable().build();
    world.store.put("us", &["ann"]);
    world.opa.allow("us", &[]);
    world.opa.set_ready(Some(false));
    let output = world.sync(&AT_ONCE).exits(1).sums_up("1 toggle: 1 failed");
    output.says("us   failed: ");
    assert!(world.store.has("us", &["ann"]));
    world.opa.set_ready(Some(true));
    world.sync(&[]).exits(0);
    assert!(world.store.has("us", &[]));
}

#[test]
fn a_rule_with_an_input_is_queried_by_post_once_for_all_toggles_with_the_same() {
    const SECRET: &str = "input-of-the-tests-60d2";
    let mut world = World::of(&["us", "uk", "all"]).build();
    world.stage.add_secret(SECRET);
    world.program.set_env("TENANT", SECRET);
    let input = "{ tenant = \"${TENANT}\", at = [1, 2.5, true] }";
    let mut config = world.program.config().to_owned();
    for key in ["us", "uk"] {
        let with_input = format!("rule = \"us\", input = {input} }}");
        config = config.replace(&format!("rule = \"{key}\" }}"), &with_input);
    }
    let config = config.replace("{port}", "9");
    world.program.write("with-input.toml", &config);
    let sync = || {
        let args = ["-c", "with-input.toml", "sync", "--once"];
        world.program.run(&args)
    };
    let sent = json!({ "at": [1, 2.5, true], "tenant": SECRET });
    world
        .opa
        .answer_to("us", &sent, json!({ "result": ["ann"] }));
    world.opa.allow("us", &["eve"]);
    world.opa.allow("all", &["eve"]);
    sync().exits(0);
    assert!(world.store.has("us", &["ann"]) && world.store.has("uk", &["ann"]));
    assert!(world.store.has("all", &["eve"]));
    let query = format!("POST /v1/data/app/rbac/us {}", json!({ "input": sent }));
    assert_eq!(world.opa.http.lines("POST *"), [query]);
    assert_eq!(world.queries("us"), 0);

    let body = json!({ "code": "invalid_parameter", "message": format!("no {SECRET} here") });
    let refusal = Fault::Answer(Answer::json(400, &body));
    world.opa.http.always("POST *", refusal);
    let output = sync().exits(1);
    output.says("invalid_parameter: no [redacted] here");
}
