//! The three shapes of a document, and what can be mistaken for what.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::tests::anything::{QUOTE, any_changes, any_edits, any_json, any_text, changed, edited};

fn rule(name: &str) -> Rule {
    let (package, rule) = name.rsplit_once('.').unwrap();
    Rule {
        source: 0,
        package: package.to_owned(),
        rule: rule.to_owned(),
        input: None,
    }
}

fn parse(text: &str, rules: &[&str]) -> Result<Document, Failure> {
    let rules: Vec<Rule> = rules.iter().map(|name| rule(name)).collect();
    Document::parse("file users.json", text.as_bytes(), &rules)
}

/// What the document says of a rule: its users, or what is wrong.
fn look_up(text: &str, name: &str) -> String {
    match parse(text, &[name]).and_then(|document| document.users(&rule(name))) {
        Ok(users) => users.iter().collect::<Vec<_>>().join(" "),
        Err(failure) => failure.to_string(),
    }
}

/// What `opa eval --format json` prints for expressions, given as text and value.
fn eval(expressions: &[(&str, &str)]) -> String {
    let expression = |(text, value): &(&str, &str)| {
        let text = serde_json::to_string(text).unwrap();
        let location = r#""location":{"row":1,"col":1}"#;
        format!(r#"{{"value":{value},"text":{text},{location}}}"#)
    };
    let expressions: Vec<String> = expressions.iter().map(expression).collect();
    format!(
        r#"{{"result":[{{"expressions":[{}]}}]}}"#,
        expressions.join(",")
    )
}

const UNDEFINED: &str =
    "rule data.app.rbac.us is undefined: is its policy loaded, and its name spelled correctly?";

#[test]
fn all_three_shapes_hold_the_same() {
    let package = r#"{"us":["bob","ann","bob"]}"#;
    for text in [
        format!(r#"{{"app":{{"rbac":{package}}},"other":{{}}}}"#),
        format!(r#"{{"result":{{"app":{{"rbac":{package}}}}}}}"#),
        format!(r#"{{"decision_id":"1","result":{{"app":{{"rbac":{package}}}}}}}"#),
        eval(&[("data.app.rbac", package)]),
        eval(&[("data", &format!(r#"{{"app":{{"rbac":{package}}}}}"#))]),
        eval(&[("data.app.rbac.us", r#"["ann","bob"]"#)]),
        eval(&[("data.app.rbac with input as {\"a\": 1}", package)]),
    ] {
        assert_eq!(look_up(&text, "app.rbac.us"), "ann bob", "{text}");
    }
}

#[test]
fn each_expression_has_its_own_root_however_its_reference_is_written() {
    let text = eval(&[
        ("data.app.rbac", r#"{"us":["ann"]}"#),
        (r#"data["app"]["my-team"]"#, r#"{"us":["bob"]}"#),
        ("data.app[`your-team`].x", r#"{"us":["eve"]}"#),
    ]);
    assert_eq!(look_up(&text, "app.rbac.us"), "ann");
    assert_eq!(look_up(&text, "app.my-team.us"), "bob");
    assert_eq!(look_up(&text, "app.your-team.x.us"), "eve");
}

#[test]
fn an_expression_that_is_no_reference_holds_no_rule() {
    let package = r#"{"us":["ann"],"app":{"rbac":{"us":["ann"]}}}"#;
    for text in [
        "x := data.app.rbac",
        "data.app.rbac == 1",
        "data.app[x]",
        "data.app.rba",
        "datax.app.rbac",
        "input.app.rbac",
        "data.app[\"rbac\"",
        "data.app.rbac.us.more",
    ] {
        let text = eval(&[(text, package)]);
        assert_eq!(look_up(&text, "app.rbac.us"), UNDEFINED, "{text}");
    }
}

#[test]
fn what_is_not_there_is_undefined_and_never_nobody() {
    for text in [
        "{}",
        r#"{"result":[]}"#,
        r#"{"result":null}"#,
        r#"{"result":{}}"#,
        r#"{"app":{}}"#,
        r#"{"app":null}"#,
        r#"{"app":{"rbac":[["us"]]}}"#,
        r#"{"app.rbac":{"us":[]}}"#,
        r#"{"app":{"rbac":{"uss":["ann"]}}}"#,
        r#"{"result":{"us":["ann"]}}"#,
    ] {
        assert_eq!(look_up(text, "app.rbac.us"), UNDEFINED, "{text}");
    }
    assert_eq!(look_up(r#"{"app":{"rbac":{"us":[]}}}"#, "app.rbac.us"), "");
}

#[test]
fn a_package_called_result_is_told_from_an_answer_by_what_stands_beside_it() {
    let plain = r#"{"result":{"us":["ann"]},"app":{"rbac":{"us":["bob"]}}}"#;
    assert_eq!(look_up(plain, "result.us"), "ann");
    assert_eq!(look_up(plain, "app.rbac.us"), "bob");
    // Alone, it looks like an answer, in which there is no package of that name.
    let alone = r#"{"result":{"us":["ann"]}}"#;
    assert_eq!(
        look_up(alone, "result.us"),
        "rule data.result.us is undefined: is its policy loaded, and its name spelled correctly?"
    );
    let answer = r#"{"result":{"result":{"us":["ann"]}}}"#;
    assert_eq!(look_up(answer, "result.us"), "ann");
    // Data of that name are no solutions.
    let list = r#"{"result":["passed"],"app":{"rbac":{"us":["bob"]}}}"#;
    assert_eq!(look_up(list, "app.rbac.us"), "bob");
}

#[test]
fn a_member_on_the_way_to_a_rule_that_is_there_twice_is_an_error_that_names_it() {
    let us = r#"{"us":["ann"],"us":["bob"]}"#;
    let packages = r#"{"app":{"rbac":{"us":["ann"]}},"app":{"rbac":{"us":["bob"]}}}"#;
    for (text, name) in [
        (format!(r#"{{"app":{{"rbac":{us}}}}}"#), "us"),
        (eval(&[("data.app.rbac", us)]), "us"),
        (packages.to_owned(), "app"),
        (format!(r#"{{"result":{packages}}}"#), "app"),
        (
            format!(r#"{{"result":{{}},"result":{packages}}}"#),
            "result",
        ),
    ] {
        let words = format!(
            "file users.json has the member `{name}` twice: it is not known which of the two counts"
        );
        let failure = parse(&text, &["app.rbac.us"]).unwrap_err();
        assert_eq!(failure.to_string(), words, "{text}");
        assert!(failure.is_lasting());
    }
    let beside = r#"{"app":{"rbac":{"us":["ann"]},"other":{"a":1,"a":2}}}"#;
    assert_eq!(look_up(beside, "app.rbac.us"), "ann");
}

#[test]
fn a_document_that_is_cut_off_anywhere_is_an_error_that_may_pass() {
    let text = eval(&[("data.app.rbac", r#"{"us":["ann","bob"]}"#)]);
    for end in 0..text.len() {
        let failure = parse(&text[..end], &["app.rbac.us"]).unwrap_err();
        assert_eq!(failure.kind, Kind::Answer);
        let words = match end {
            0 => " is empty: did the command that writes it fail?",
            _ => " is cut off (line ",
        };
        assert!(failure.to_string().contains(words), "{failure}");
    }
}

#[test]
fn what_is_no_document_is_described_without_quoting_it() {
    for (text, wrong) in [
        (&b"ann"[..], "is not JSON"),
        (b"\"ann\"", "does not hold what it should"),
        (b"[[\"ann\"]]", "does not hold what it should"),
        (b"{} {}", "is not JSON"),
        (b"{\"a\":\"\0\"}", "is not JSON"),
        (b"{\"a\":\"\xff\"}", "is not JSON"),
    ] {
        let failure = Document::parse("file users.json", text, &[]).unwrap_err();
        let words = failure.to_string();
        let start = format!("file users.json {wrong} (line 1 column ");
        assert!(
            words.starts_with(&start) && !words.contains("ann"),
            "{words}"
        );
    }
}

#[test]
fn many_rules_are_found_in_one_document() {
    let rules = r#"{"a":["ann"],"b":[],"c":7}"#;
    let text = format!(r#"{{"p":{rules},"q":{{"p":{rules}}}}}"#);
    let names = ["p.a", "p.b", "p.c", "p.d", "q.p.a", "q.a", "p.a"];
    let document = parse(&text, &names).unwrap();
    let counts = names.map(|name| match document.users(&rule(name)) {
        Ok(users) => users.len().to_string(),
        Err(failure) => failure.kind.word().to_owned(),
    });
    let expected = ["1", "0", "wrong_type", "undefined", "1", "undefined", "1"];
    assert_eq!(counts, expected);
    assert_eq!(document.size, text.len());
}

/// The lists of strings in a document, read in another way.
fn lists(json: &Value) -> Vec<Users> {
    let own = json
        .as_array()
        .and_then(|list| list.iter().map(Value::as_str).collect());
    let below: Vec<&Value> = match json {
        Value::Array(elements) => elements.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    let below = below.into_iter().flat_map(lists);
    own.into_iter().chain(below).collect()
}

/// Asserts that users come from a list in the document, and that nothing is quoted of another.
fn examine(text: &[u8]) {
    let said = match Document::parse("file users.json", text, &[rule("app.rbac.us")]) {
        Ok(document) => document.users(&rule("app.rbac.us")),
        Err(failure) => Err(failure),
    };
    match said {
        Ok(users) => {
            // What stands beside them may be a text that is none, which nobody looks at.
            let json = serde_json::from_slice(text);
            assert!(json.is_err() || json.is_ok_and(|json| lists(&json).contains(&users)));
        }
        Err(failure) => {
            let words = failure.to_string();
            let complains = words.contains("errors of opa eval");
            assert!(complains || !words.contains(QUOTE), "{words}");
        }
    }
}

proptest! {
    #[test]
    fn a_document_that_is_nearly_right_is_never_a_panic_and_makes_up_no_users(
        keys in prop::collection::vec(any_text(), 0..4),
        shape in 0..4,
        changes in any_changes(),
        edits in any_edits(),
    ) {
        let data = json!({ "app": { "rbac": { "us": keys, "other": [] } } });
        let solutions = json!([{ "expressions": [{ "value": data, "text": "data" }] }]);
        let right = match shape {
            0 => data,
            1 => json!({ "result": data, "metrics": {} }),
            2 => json!({ "result": solutions }),
            _ => json!({ "errors": [{ "message": "mallory" }] }),
        };
        let text = serde_json::to_vec(&changed(right, &changes)).unwrap();
        examine(&edited(&text, &edits));
    }

    #[test]
    fn a_document_of_any_json_or_any_bytes_is_never_a_panic(json in any_json(), bytes: Vec<u8>) {
        examine(&serde_json::to_vec(&json).unwrap());
        examine(&bytes);
        let nested = json!({ "app": { "rbac": { "us": json } } });
        examine(&serde_json::to_vec(&nested).unwrap());
    }
}
