//! What OPA can answer.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;
use crate::tests::anything::{QUOTE, any_changes, any_edits, any_json, any_text, changed, edited};

const READ: &str =
    "http_request_duration_seconds_count{code=\"200\",handler=\"v1/data\",method=\"get\"} 7";
const WRITTEN: &str =
    "http_request_duration_seconds_count{code=\"204\",handler=\"v1/data\",method=\"put\"} 1";
const REFUSED: &str =
    "http_request_duration_seconds_count{code=\"400\",handler=\"v1/data\",method=\"patch\"} 1";
const POLICY: &str =
    "http_request_duration_seconds_count{code=\"200\",handler=\"v1/policies\",method=\"put\"} 3";

const LISTED: &str =
    "http_request_duration_seconds_count{code=\"200\",handler=\"v1/policies\",method=\"get\"} 1";

#[test]
fn metrics_tell_what_was_written_to_an_opa() {
    let writes = |data, policies, lists| {
        Some(Writes {
            data,
            policies,
            lists,
        })
    };
    let count = |lines: &[&str]| count_writes(&lines.join("\n"));
    assert_eq!(count(&[READ, POLICY, REFUSED]), writes(0, 3, 0));
    assert_eq!(count(&[READ, WRITTEN, POLICY, LISTED]), writes(1, 3, 1));
    // These do not count requests.
    for metrics in ["", "<html>not found</html>", POLICY] {
        assert_eq!(count(&[metrics]), None);
    }
}

#[test]
fn an_empty_key_is_an_error_that_names_its_index() {
    for (body, index) in [
        (r#"{"result":["eve",""]}"#, 1),
        (r#"{"result":["","\u0065ve"]}"#, 0),
        (r#"{"result":["\u0065ve","ann",""]}"#, 2),
    ] {
        let failure = users_in(Answer::of(200, body.as_bytes()), &rule()).unwrap_err();
        assert_eq!(failure.kind, Kind::WrongType);
        let words = format!(
            "rule data.app.rbac.us is not a list of users: element {index} is an empty string, which \
             platforms take for users who are not signed in"
        );
        assert_eq!(failure.to_string(), words);
    }
}

#[test]
fn an_answer_with_two_results_is_an_error() {
    for body in [
        r#"{"result":["ann"],"result":["bob"]}"#,
        r#"{"result":["ann"],"result":["\u0062ob"]}"#,
    ] {
        let failure = users_in(Answer::of(200, body.as_bytes()), &rule()).unwrap_err();
        assert_eq!(failure.kind, Kind::Answer);
        assert!(
            failure
                .to_string()
                .contains("has the member `result` twice (line 1 ")
        );
    }
}

#[test]
fn a_list_is_no_answer_whatever_is_in_it() {
    for body in ["[[\"eve\"]]", "[]", "[{\"result\":[\"eve\"]}]"] {
        let failure = users_in(Answer::of(200, body.as_bytes()), &rule()).unwrap_err();
        let words =
            "the answer to GET http://remote/ does not hold what it should (line 1 column 0)";
        assert_eq!(failure.to_string(), words);
    }
}

fn rule() -> Rule {
    Rule {
        source: 0,
        package: "app.rbac".into(),
        rule: "us".into(),
        input: None,
    }
}

/// Asserts that users are taken from right answers only, and that nothing is quoted of others.
///
/// The answer is read in another way too, as far as that understands it: what stands beside the users
/// is not looked at by the program, and may be a text that is none.
fn examine(body: &[u8]) {
    let read: Option<Value> = serde_json::from_slice(body).ok();
    let result = read
        .as_ref()
        .map(|read| read.as_object().and_then(|it| it.get("result")));
    match users_in(Answer::of(200, body), &rule()) {
        Ok(users) => {
            let keys = |list: &Value| list.as_array()?.iter().map(Value::as_str).collect();
            let expected = result.map(|result| result.and_then(keys));
            assert!(expected.is_none_or(|expected| expected == Some(users)));
        }
        Err(failure) => {
            let words = failure.to_string();
            assert!(!words.contains(QUOTE), "{words}");
            let known = [Kind::Undefined, Kind::WrongType, Kind::Answer];
            assert!(known.contains(&failure.kind), "{failure:?}");
            let is_defined = result.flatten().is_some();
            assert!(failure.kind != Kind::Undefined || !is_defined, "{words}");
        }
    }
}

proptest! {
    #[test]
    fn the_last_answer_does_not_change_how_the_next_one_is_read(
        answers in prop::collection::vec(prop::collection::vec("[ab]{1,2}", 0..3), 2),
    ) {
        let body = |keys: &Vec<String>| serde_json::to_vec(&json!({ "result": keys })).unwrap();
        let answer = |keys| Answer::of(200, &body(keys));
        let last = read(answer(&answers[0]), &rule(), None, None).unwrap();
        let next = read(answer(&answers[1]), &rule(), Some(&last), None).unwrap();
        prop_assert_eq!(&*next.users, &users_in(answer(&answers[1]), &rule()).unwrap());
        prop_assert_eq!(Arc::ptr_eq(&next.users, &last.users), answers[0] == answers[1]);
    }

    #[test]
    fn a_right_answer_holds_its_users_whatever_stands_beside_them(
        keys in prop::collection::vec(any_text(), 0..20),
        beside in any_json(),
        pretty: bool,
    ) {
        let answer = json!({ "decision_id": beside, "result": keys, "metrics": beside });
        let body = match pretty {
            true => serde_json::to_vec_pretty(&answer).unwrap(),
            false => serde_json::to_vec(&answer).unwrap(),
        };
        let users = users_in(Answer::of(200, &body), &rule()).unwrap();
        prop_assert_eq!(users, keys.iter().map(String::as_str).collect::<Users>());
    }

    #[test]
    fn an_answer_that_is_nearly_right_is_an_error_that_quotes_nothing(
        keys in prop::collection::vec(any_text(), 0..6),
        changes in any_changes(),
        edits in any_edits(),
    ) {
        let answer = changed(json!({ "decision_id": "1", "result": keys }), &changes);
        examine(&edited(&serde_json::to_vec(&answer).unwrap(), &edits));
    }

    #[test]
    fn an_answer_of_any_json_or_any_bytes_is_an_error_that_quotes_nothing(
        json in any_json(),
        bytes: Vec<u8>,
    ) {
        examine(&serde_json::to_vec(&json).unwrap());
        examine(&bytes);
        examine(&[b"{\"result\":", bytes.as_slice(), b"}"].concat());
    }

    #[test]
    fn any_bytes_are_metrics_that_tell_something_or_nothing(bytes: Vec<u8>, edits in any_edits()) {
        count_writes(&String::from_utf8_lossy(&bytes));
        let metrics = [READ, WRITTEN, REFUSED].join("\n");
        count_writes(&String::from_utf8_lossy(&edited(metrics.as_bytes(), &edits)));
    }
}
