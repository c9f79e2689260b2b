//! OPA's answers, and their effect on the target.

use serde_json::json;

use crate::support::wire::Request;
use crate::support::{Answer, Fault, World};

/// `sync` without waiting for a retry.
const AT_ONCE: [&str; 2] = ["--timeout", "100ms"];

#[test]
fn an_undefined_rule_and_a_wrong_type_are_errors_that_quote_no_value() {
    let answers = [
        ("undefined", json!({}), "is undefined: is its policy loaded"),
        ("text", json!("hidden"), "it is a string, not a list"),
        (
            "object",
            json!({ "hidden": 1 }),
            "it is an object, not a list",
        ),
        ("null", json!(null), "it is null, not a list of strings"),
        (
            "boolean",
            json!(true),
            "it is a boolean, not a list of strings",
        ),
        (
            "number",
            json!(-47),
            "it is a number, not a list of strings",
        ),
        (
            "mixed",
            json!(["hidden", "b", 4]),
            "element 2 is a number, not",
        ),
        (
            "nested",
            json!([["hidden"]]),
            "element 0 is an array, not a string",
        ),
    ];
    let keys = answers.each_ref().map(|(key, ..)| *key);
    let world = World::of(&keys).readable().build();
    for (key, result, _) in &answers {
        world.store.put(key, &["ann"]);
        let answer = json!({ "decision_id": "hidden", "result": result });
        world.opa.answer(key, answer);
    }
    world
        .opa
        .answer("undefined", json!({ "decision_id": "hidden" }));
    let output = world.sync(&[]).exits(1).sums_up("8 toggles: 8 failed");
    assert!(!output.stderr.contains("hidden"), "{}", output.picture());
    let mut output = output.says_not("hidden");
    for (key, _, words) in &answers {
        let words = match *key {
            "undefined" => (*words).to_owned(),
            _ => format!("is not a list of users: {words}"),
        };
        let start = format!("{key} failed: rule data.app.rbac.{key} {words}");
        output = output.reports_start(&start);
        assert_eq!(world.queries(key), 1, "what lasts is not tried again");
        assert!(world.store.has(key, &["ann"]));
    }
}

#[test]
fn a_target_that_answers_two_sets_of_users_is_an_error() {
    let world = World::of(&["us"]).readable().build();
    world.opa.allow("us", &["ann"]);
    let twice = |_: &Request| Answer {
        status: 200,
        headers: Vec::new(),
        body: br#"{"key":"us","users":["ann"],"users":["eve"]}"#.to_vec(),
    };
    world.store.http.always("GET *", Fault::reply(twice));
    let output = world.sync(&AT_ONCE).exits(1);
    output.says("has a member twice (line 1 column ");
    assert_eq!(world.updates("us"), 0);
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
fn a_rule_is_queried_once_with_each_input_and_by_post() {
    const SECRET: &str = "input-of-the-tests-60d2";
    let mut world = World::of(&["us", "uk", "all", "odd"]).build();
    world.stage.add_secret(SECRET);
    world.program.set_env("TENANT", SECRET);
    let input = ", input = { tenant = \"${TENANT}\", at = [1, 2.5, true] }";
    let odd = ", input = \"$${x}\"";
    let mut config = world.program.config().replace("{port}", "9");
    for (key, input) in [("us", input), ("uk", input), ("all", ""), ("odd", odd)] {
        let with_input = format!("rule = \"us\"{input} }}");
        config = config.replace(&format!("rule = \"{key}\" }}"), &with_input);
    }
    world.program.write("with-input.toml", &config);
    let sync = || {
        let args = ["-c", "with-input.toml", "sync"];
        world.program.run(&args)
    };
    let inputs = [
        json!("${x}"),
        json!({ "at": [1, 2.5, true], "tenant": SECRET }),
    ];
    for (input, user) in inputs.iter().zip(["zoe", "ann"]) {
        let answer = json!({ "result": [user] });
        world.opa.answer_to("us", input, answer);
    }
    world.opa.allow("us", &["eve"]);
    sync().exits(0);
    for (key, user) in [("us", "ann"), ("uk", "ann"), ("all", "eve"), ("odd", "zoe")] {
        assert!(world.store.has(key, &[user]), "{key}");
    }
    let query = |input| format!("POST /v1/data/app/rbac/us {}", json!({ "input": input }));
    let mut queries = world.opa.http.lines("POST *");
    queries.sort();
    assert_eq!(queries, inputs.each_ref().map(query));
    assert_eq!(world.queries("us"), 1);

    let body = json!({ "code": "invalid_parameter", "message": format!("no {SECRET} here") });
    let refusal = Fault::Answer(Answer::json(400, &body));
    world.opa.http.always("POST *", refusal);
    let output = sync().exits(1);
    output
        .says("answered 400: invalid_parameter")
        .says_not(" here");
}
