//! What OpenFeature's SDKs and flagd are answered; how requests get here is in `server/gate/tests.rs`.

mod description;

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::config::tests::configured;
use crate::tests::anything::{any_changes, any_edits, changed, edited};
use description::Description;

const ALICE: &str = r#"{"context":{"targetingKey":"alice"}}"#;

/// What serves the toggles of a configuration.
struct Fixture {
    evaluations: Evaluations,
    description: Option<Description>,
}

/// With these toggles, and something more for the target.
fn config(keys: &[&str], more: &str) -> Config {
    let toggles = keys.iter().map(|key| {
        format!(
            "[[toggles]]\nkey = {key:?}\n\
             users_policy = {{ source = \"opa\", package = \"app\", rule = \"us\" }}\n"
        )
    });
    let toggles: String = toggles.collect();
    configured(&format!(
        "bind = \"localhost:8080\"\n[[sources]]\nid = \"opa\"\ntype = \"opa\"\nurl = \"https://opa\"\n\
         [target]\ntype = \"openfeature\"\n{more}\n{toggles}"
    ))
}

impl Fixture {
    fn new(config: &Config) -> Fixture {
        let evaluations = Evaluations::new(&Metrics::new(UNIX_EPOCH).unwrap());
        evaluations.show(config);
        let description = Description::find();
        Fixture {
            evaluations,
            description,
        }
    }

    /// Each toggle is on for these users.
    fn of(toggles: &[(&str, &[&str])]) -> Fixture {
        let keys: Vec<&str> = toggles.iter().map(|(key, _)| *key).collect();
        let fixture = Fixture::new(&config(&keys, ""));
        toggles
            .iter()
            .for_each(|(key, users)| fixture.allow(key, users));
        fixture
    }

    fn allow(&self, key: &str, users: &[&str]) {
        let users = users.iter().copied().collect();
        self.evaluations.set(key, &Arc::new(users));
    }

    #[track_caller]
    fn reply(&self, asked: &Asked, body: &[u8]) -> Reply {
        let reply = self.evaluations.answer_head(asked);
        let reply = reply.unwrap_or_else(|served| self.evaluations.answer(&served, asked, body));
        if let Some(description) = &self.description
            && let Some(rest) = asked.path.strip_prefix(EVALUATE)
            && (rest.is_empty() || rest.starts_with('/'))
            && reply.status != 304
        {
            let problems = description.problems(rest.is_empty(), reply.status, &reply.body);
            // The description does not have these.
            let known = problems.unwrap_or_else(|| {
                assert!([405, 503].contains(&reply.status), "{}", reply.status);
                Vec::new()
            });
            assert!(known.is_empty(), "{known:?}");
        }
        reply
    }

    /// `POST`, without a token.
    #[track_caller]
    fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.reply(&asked("POST", path), body.as_ref())
    }

    #[track_caller]
    fn value(&self, key: &str, user: &str) -> Value {
        let body = json!({ "context": { "targetingKey": user } });
        let reply = self.post(&format!("{EVALUATE}/{key}"), body.to_string());
        reply.read()["value"].clone()
    }

    /// With this in the header `If-None-Match`.
    #[track_caller]
    fn all(&self, user: &str, tag: Option<&str>) -> Reply {
        let body = json!({ "context": { "targetingKey": user } }).to_string();
        let asked = Asked {
            tag,
            ..asked("POST", EVALUATE)
        };
        self.reply(&asked, body.as_bytes())
    }

    #[track_caller]
    fn definition(&self, tag: Option<&str>) -> Reply {
        let asked = Asked {
            tag,
            ..asked("GET", DEFINITION)
        };
        self.reply(&asked, b"")
    }
}

fn asked<'a>(method: &'a str, path: &'a str) -> Asked<'a> {
    Asked {
        method,
        path,
        authorization: None,
        host: None,
        tag: None,
    }
}

impl Reply {
    fn read(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    fn tag(&self) -> String {
        self.header("etag").unwrap().to_owned()
    }
}

#[test]
fn without_a_token_a_name_that_a_web_page_has_for_this_machine_is_refused() {
    let fixture = Fixture::of(&[("us", &["alice"])]);
    let status = |host| {
        let host = Some(host);
        let asked = Asked {
            host,
            ..asked("GET", DEFINITION)
        };
        fixture.reply(&asked, b"").status
    };
    for here in ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"] {
        assert_eq!(status(here), 200, "{here}");
    }
    for elsewhere in [
        "flags.example.com:8080",
        "10.0.0.1",
        "localhost.example.com",
        "",
    ] {
        assert_eq!(status(elsewhere), 403, "{elsewhere}");
    }
}

#[test]
fn a_toggle_is_on_for_its_users_and_off_for_all_others() {
    let mut config = config(&["us"], "");
    config.toggles[0].spec = Map::from_iter([("metadata".into(), json!({ "team": "growth" }))]);
    let fixture = Fixture::new(&config);
    fixture.allow("us", &["alice", "bob"]);
    for (user, value, variant, reason) in [
        ("alice", true, "on", "TARGETING_MATCH"),
        ("alic", false, "off", "DEFAULT"),
    ] {
        let expected = json!({ "key": "us", "value": value, "variant": variant, "reason": reason,
                               "metadata": { "team": "growth" } });
        let body = json!({ "context": { "targetingKey": user, "plan": "free" } }).to_string();
        let reply = fixture.post(&format!("{EVALUATE}/us"), &body);
        assert_eq!((reply.status, reply.read()), (200, expected.clone()));
        let reply = fixture.post(EVALUATE, body);
        assert_eq!(
            (reply.status, reply.read()),
            (200, json!({ "flags": [expected] }))
        );
    }
}

#[test]
fn a_context_that_cannot_be_evaluated_is_an_error_that_says_why() {
    let fixture = Fixture::of(&[("us", &["alice", "1", "null"])]);
    let (parse, context, missing) = ("PARSE_ERROR", "INVALID_CONTEXT", "TARGETING_KEY_MISSING");
    for (code, body) in [
        (parse, ""),
        (parse, "[]"),
        (parse, "\u{feff}{}"),
        (parse, r#"{"context":{"targetingKey":"alice"}"#),
        (parse, r#"{"context":{"targetingKey":"alice"}} {}"#),
        (
            parse,
            r#"{"context":{"targetingKey":"bob"},"context":{"targetingKey":"alice"}}"#,
        ),
        (
            parse,
            r#"{"context":{"targetingKey":"bob"},"conte\u0078t":{"targetingKey":"alice"}}"#,
        ),
        (context, "{}"),
        (context, r#"{"context":null}"#),
        (context, r#"{"context":["alice"]}"#),
        (context, r#"{"context":{"targetingKey":1}}"#),
        (context, r#"{"context":{"targetingKey":["alice"]}}"#),
        (context, r#"{"context":{"targetingKey":"\ud800"}}"#),
        (
            context,
            r#"{"context":{"targetingKey":"bob","targetingKey":"alice"}}"#,
        ),
        (missing, r#"{"context":{}}"#),
        (missing, r#"{"context":{"targetingkey":"alice"}}"#),
        (missing, r#"{"context":{"targetingKey":null}}"#),
        (missing, r#"{"context":{"targetingKey":""}}"#),
    ] {
        for (path, key) in [
            (EVALUATE.to_owned(), Value::Null),
            (format!("{EVALUATE}/us"), json!("us")),
        ] {
            let reply = fixture.post(&path, body);
            let json = reply.read();
            assert_eq!(
                (reply.status, &json["errorCode"]),
                (400, &json!(code)),
                "{body}"
            );
            assert_eq!(json["key"], key, "{body}");
        }
    }
}

#[test]
fn a_toggle_is_found_by_its_key_however_that_is_encoded() {
    let fixture = Fixture::of(&[("a/b", &["alice"]), ("ü %", &["alice"])]);
    for path in ["a/b", "a%2Fb", "%61%2fb", "%C3%BC%20%25", "ü%20%"] {
        assert_eq!(fixture.value(path, "alice"), json!(true), "{path}");
    }
    for (path, key) in [
        ("", ""),
        ("a%252Fb", "a%2Fb"),
        ("A/b", "A/b"),
        ("a/b/", "a/b/"),
        ("%FF", "\u{fffd}"),
    ] {
        // Whatever the body is.
        let reply = fixture.post(&format!("{EVALUATE}/{path}"), "");
        let json = reply.read();
        assert_eq!((reply.status, &json["key"]), (404, &json!(key)), "{path}");
        assert_eq!(json["errorCode"], "FLAG_NOT_FOUND");
    }
}

#[test]
fn who_does_not_present_the_token_is_told_nothing() {
    let fixture = Fixture::new(&config(&["us"], "token = \"s3cret\""));
    fixture.allow("us", &["alice"]);
    let ask = |method, path, authorization| {
        let asked = Asked {
            authorization,
            ..asked(method, path)
        };
        fixture.reply(&asked, ALICE.as_bytes())
    };
    for (method, path, status) in [
        ("POST", "/ofrep/v1/evaluate/flags/us", 200),
        ("POST", EVALUATE, 200),
        ("GET", DEFINITION, 200),
        ("POST", "/ofrep/v1/evaluate/flags/other", 404),
        ("PUT", EVALUATE, 405),
        ("GET", "/ofrep/", 404),
    ] {
        for wrong in [
            None,
            Some(""),
            Some("s3cret"),
            Some("Bearer"),
            Some("Bearer s3cre"),
            Some("Basic s3cret"),
            Some("Bearer s3cret x"),
        ] {
            let reply = ask(method, path, wrong);
            assert_eq!(reply.status, 401, "{wrong:?}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            assert_eq!(
                reply.read(),
                json!({ "errorDetails": "the token is missing or wrong" })
            );
        }
        assert_eq!(
            ask(method, path, Some("bearer s3cret")).status,
            status,
            "{path}"
        );
    }
}

#[test]
fn other_methods_and_paths_are_refused() {
    let fixture = Fixture::of(&[("us", &["alice"])]);
    for (method, path, status, allow) in [
        ("GET", EVALUATE, 405, Some("POST")),
        ("HEAD", "/ofrep/v1/evaluate/flags/us", 405, Some("POST")),
        ("OPTIONS", EVALUATE, 405, Some("POST")),
        ("post", EVALUATE, 405, Some("POST")),
        ("POST", DEFINITION, 405, Some("GET, HEAD")),
        ("POST", "/ofrep/v1/evaluate/flagsus", 404, None),
        ("POST", "/ofrep/v1/evaluate", 404, None),
        ("POST", "/ofrep/", 404, None),
    ] {
        let reply = fixture.reply(&asked(method, path), ALICE.as_bytes());
        assert_eq!(
            (reply.status, reply.header("allow")),
            (status, allow),
            "{method} {path}"
        );
    }
    for path in [
        "/ofrep",
        "/flagd/flags.json/",
        "/flagd",
        "/",
        "//ofrep/v1/evaluate/flags",
    ] {
        assert!(!fixture.evaluations.has(path), "{path}");
    }
}

#[test]
fn until_the_users_of_a_toggle_are_known_it_has_no_value() {
    let fixture = Fixture::new(&config(&["tax", "us"], ""));
    fixture.allow("tax", &[]);
    let reply = fixture.post("/ofrep/v1/evaluate/flags/us", ALICE);
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1"))
    );
    let flags = fixture.post(EVALUATE, ALICE).read()["flags"].clone();
    assert_eq!(
        (&flags[0]["key"], &flags[0]["value"]),
        (&json!("tax"), &json!(false))
    );
    let unknown = json!({ "key": "us", "errorCode": "GENERAL", "errorDetails": NOT_READY });
    assert_eq!(flags[1], unknown);
    assert_eq!(fixture.definition(None).status, 503);
    fixture.allow("us", &["alice"]);
    assert_eq!(fixture.value("us", "alice"), json!(true));
    assert_eq!(fixture.definition(None).status, 200);
}

#[test]
fn all_toggles_have_another_tag_for_a_user_as_soon_as_one_has_another_value() {
    let fixture = Fixture::of(&[("tax", &[]), ("us", &["alice"])]);
    let tag = fixture.all("alice", None).tag();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".into(),
    ] {
        let reply = fixture.all("alice", Some(&known));
        assert_eq!(
            (reply.status, reply.tag(), reply.body.len()),
            (304, tag.clone(), 0),
            "{known}"
        );
    }
    assert_eq!(
        fixture.all("bob", Some(&tag)).status,
        200,
        "he has other values"
    );
    // Others may come and go.
    fixture.allow("us", &["alice", "bob"]);
    assert_eq!(fixture.all("alice", Some(&tag)).status, 304);
    fixture.allow("us", &["bob"]);
    let reply = fixture.all("alice", Some(&tag));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.read()["flags"][1]["value"], json!(false));
    fixture.allow("us", &["alice"]);
    assert_eq!(
        fixture.all("alice", Some(&tag)).status,
        304,
        "all is as it was"
    );
    fixture.evaluations.show(&config(&["us"], ""));
    assert_eq!(
        fixture.all("alice", Some(&tag)).status,
        200,
        "there is one toggle less"
    );
}

#[test]
fn flagd_gets_a_definition_of_all_toggles() {
    let fixture = Fixture::of(&[("tax", &[]), ("us", &["alice", "bob"])]);
    let flag = |users: &[&str]| {
        json!({
            "state": "ENABLED",
            "variants": { "on": true, "off": false },
            "defaultVariant": "off",
            "targeting": { "if": [{ "in": [{ "var": "targetingKey" }, users] }, "on", "off"] },
        })
    };
    let expected = json!({
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "flags": { "tax": flag(&[]), "us": flag(&["alice", "bob"]) },
    });
    assert_eq!(fixture.definition(None).read(), expected);
}

#[test]
fn the_definition_has_another_tag_after_each_change_and_in_each_process() {
    let fixture = Fixture::of(&[("us", &["alice"])]);
    let tag = fixture.definition(None).tag();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\",{tag}"),
        "*".into(),
    ] {
        let reply = fixture.definition(Some(&known));
        assert_eq!(
            (reply.status, reply.tag(), reply.body.len()),
            (304, tag.clone(), 0),
            "{known}"
        );
    }
    let other = Fixture::of(&[("us", &["alice"])]);
    assert_eq!(other.definition(Some(&tag)).status, 200);
    fixture.allow("us", &["bob"]);
    let changed = fixture.definition(Some(&tag));
    assert_eq!(changed.status, 200);
    fixture.evaluations.show(&config(&["us", "tax"], ""));
    let without = fixture.definition(Some(&changed.tag()));
    assert_eq!(without.status, 200);
    assert!(
        without.read()["flags"]["tax"].is_null(),
        "its users are not known yet"
    );
    fixture.allow("tax", &[]);
    let whole = fixture.definition(Some(&without.tag()));
    assert!(whole.read()["flags"]["tax"].is_object());
}

#[test]
fn a_toggle_keeps_its_users_across_a_reload_and_loses_them_when_it_leaves() {
    let fixture = Fixture::of(&[("us", &["alice"]), ("tax", &["alice"])]);
    fixture.evaluations.show(&config(&["us"], "token = \"a\""));
    fixture.evaluations.show(&config(&["tax", "us"], ""));
    assert_eq!(fixture.value("us", "alice"), json!(true));
    assert_eq!(
        fixture.post("/ofrep/v1/evaluate/flags/tax", ALICE).status,
        503
    );
    // No target of the type is left.
    let mut none = config(&["us"], "");
    none.targets.clear();
    fixture.evaluations.show(&none);
    assert!(!fixture.evaluations.has(EVALUATE) && !fixture.evaluations.has(DEFINITION));
    fixture.allow("us", &["alice"]);
    fixture.evaluations.show(&config(&["us"], ""));
    assert_eq!(
        fixture.post("/ofrep/v1/evaluate/flags/us", ALICE).status,
        503
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn whatever_is_sent_only_the_user_that_it_names_has_the_toggle(
        changes in any_changes(),
        edits in any_edits(),
        bytes in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
    ) {
        let fixture = Fixture::of(&[("us", &["alice"])]);
        let body = json!({ "context": { "targetingKey": "alice", "plan": { "targetingKey": "x" } } });
        let body = edited(changed(body, &changes).to_string().as_bytes(), &edits);
        let body = bytes.unwrap_or(body);
        // Half of a pair of surrogates: JSON to some parsers, but not to the one that judges here.
        prop_assume!(!body.windows(6).any(|part| part == br"\ud800"));
        let reply = fixture.post("/ofrep/v1/evaluate/flags/us", &body);
        if reply.status == 200 && reply.read()["value"] == true {
            let read: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&read["context"]["targetingKey"], &json!("alice"));
        } else {
            prop_assert!([200, 400].contains(&reply.status));
        }
    }
}
