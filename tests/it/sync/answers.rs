//! What OPA answers, and what that means for the target.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::opa::query_of;
use crate::support::{Fault, World, owned};

/// `sync --once` without waiting for a retry.
const AT_ONCE: [&str; 2] = ["--timeout", "100ms"];

/// A toggle whose rule answers this fails, says these words, and keeps what it had.
#[track_caller]
fn fails(answer: Value, words: &[&str]) {
    let world = World::of(&["us-feature"]).readable().build();
    world.store.put("us-feature", &["ann"]);
    world.opa.answer("us-feature", answer);
    let mut output = world.sync(&[]).exits(1).sums_up("1 toggle: 1 failed");
    output = output
        .says("us-feature   failed: ")
        .says("data.app.rbac.us_feature");
    for word in words {
        output = output.says(word);
    }
    let output = output.says_not("hidden");
    assert!(!output.stderr.contains("hidden"), "{}", output.picture());
    assert_eq!(
        world.queries("us-feature"),
        1,
        "what lasts is not tried again"
    );
    assert!(world.store.has("us-feature", &["ann"]));
}

#[test]
fn an_undefined_rule_is_an_error() {
    fails(json!({}), &["is undefined"]);
    fails(json!({"decision_id": "hidden"}), &["is undefined"]);
}

#[test]
fn anything_but_an_array_is_an_error_that_names_its_type() {
    fails(json!({"result": "hidden"}), &["string"]);
    fails(json!({"result": {"hidden": true}}), &["object"]);
    fails(json!({"result": true}), &["boolean"]);
    fails(json!({"result": 4711}), &["number"]);
    fails(json!({"result": null}), &["null"]);
}

#[test]
fn an_element_that_is_no_string_is_an_error_that_names_its_index_and_type() {
    fails(
        json!({"result": ["hidden", "hidden2", 4711]}),
        &["element 2 is a number"],
    );
    fails(json!({"result": [["hidden"]]}), &["element 0 is an array"]);
    fails(json!({"result": ["a", null]}), &["element 1 is null"]);
}

#[test]
fn other_members_are_ignored_and_nobody_is_an_answer() {
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
fn a_rule_that_hangs_is_given_up_after_http_timeout_and_keeps_no_other() {
    let world = World::of(&["us", "tax"])
        .setting("http_timeout = \"1s\"")
        .build();
    world.opa.http.always(&query_of("us"), Fault::Hang);
    world.store.put("tax", &[]);
    world.opa.allow("tax", &["ann"]);
    let output = world.sync(&AT_ONCE).exits(1);
    output.sums_up("2 toggles: 1 updated, 1 failed");
    let hung = world.opa.http.seen(&query_of("us"))[0].received;
    let updated = world.store.http.seen("PATCH /api/toggles/tax")[0].received;
    assert!(updated.saturating_duration_since(hung) < Duration::from_millis(500));
}

#[test]
fn answers_of_more_than_ten_megabytes_are_read() {
    let world = World::of(&["us"]).build();
    let users: Vec<String> = (0..250_000)
        .map(|n| format!("user-{n:06}-{:032}", 0))
        .collect();
    world.store.put("us", &[]);
    world.opa.answer("us", json!({ "result": users }));
    let output = world.sync(&[]).exits(0);
    output.reports("us ? 250000 users set");
    assert_eq!(
        world.store.users("us").map(|users| users.len()),
        Some(250_000)
    );
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
