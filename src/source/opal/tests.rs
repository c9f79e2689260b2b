//! What OPAL can answer.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Tls;
use crate::config::tests::configured;
use crate::job::Load;
use crate::metrics::Metrics;
use crate::tests::anything::{QUOTE, any_changes, any_edits, any_text, changed, edited};
use crate::tests::canned::Canned;

#[test]
fn the_registrations_key_has_only_characters_that_opal_finds_again() {
    let key = registration_key("example-opal", "https://ö.example.com:8080/a");
    assert_eq!(key, "optoggles:example-opal:https:---.example.com:8080-a");
}

const TOKEN: &str = "q1w2e3";

fn opal(url: Address) -> Opal {
    let text = format!(
        "[[sources]]\nid = \"a\"\nurl = \"{url}\"\nadvertised_address = \"us:8080\"\n\
         instance = \"us\"\n[target]\ntype = \"flagd\"\npath = \"flags.json\"\n"
    );
    let config = configured(&text);
    let requests = Metrics::new(UNIX_EPOCH).unwrap().requests("opal");
    let client = Client::new(&config, 1, &Tls::default(), requests).unwrap();
    Opal::new(&config.sources[0], &Secret::new(TOKEN), client).unwrap()
}

/// Our entry, as OPAL gives it back, with the last report in it.
fn entry(report: &Value) -> Value {
    json!({
        "key": "optoggles:a:us",
        "url": "http://us:8080/opa_update/a",
        "config": {
            "method": "post",
            "headers": { "Authorization": format!("Bearer {TOKEN}") },
            "data": report,
        },
    })
}

#[test]
fn nothing_but_address_and_token_of_a_registration_is_looked_at() {
    let mut entry = entry(&json!(["mallory"]));
    entry["key"] = json!(7);
    entry["config"]["method"] = json!(null);
    let canned = Canned::answering(200, entry.to_string().as_bytes());
    let opal = opal(canned.url());
    assert_eq!(opal.watch(), Ok(true));
}

#[test]
fn an_error_of_opal_that_shows_our_registration_does_not_show_our_token() {
    let canned = Canned::answering(500, entry(&json!(null)).to_string().as_bytes());
    let opal = opal(canned.url());
    for failure in [opal.watch().unwrap_err(), opal.leave().unwrap_err()] {
        let words = failure.to_string();
        assert!(
            words.contains("[redacted]") && !words.contains(TOKEN),
            "{words}"
        );
    }
}

#[test]
fn a_token_that_no_header_can_carry_is_named_with_where_it_comes_from() {
    let grant = json!({ "access_token": "q1w2\n" }).to_string();
    let server = Canned::answering(200, grant.as_bytes());
    for (auth, called) in [
        ("token", "OPAL's token"),
        ("oauth", "the access token of the OAuth"),
    ] {
        let store = json!({
            "url": "http://opa", "auth_type": auth, "token": "\u{feff}q1w2",
            "oauth_server": server.url().to_string(), "oauth_client_id": "us",
            "oauth_client_secret": "s",
        });
        let canned = Canned::answering(200, store.to_string().as_bytes());
        let words = opal(canned.url()).find_opa().unwrap_err().to_string();
        assert!(
            words.starts_with(called) && !words.contains("q1w2"),
            "{words}"
        );
        assert!(
            words.ends_with("which an HTTP header cannot carry"),
            "{words}"
        );
    }
}

#[test]
fn whole_loads_are_told_from_changes_and_from_loads_that_failed() {
    let data = |items: Value| json!({ "update_id": "39c8", "reports": items, "policy_hash": null });
    let item = |entry: &Value, saved| json!({ "entry": entry, "saved": saved, "hash": "eb16" });
    let base = json!({ "url": "u", "periodic_update_interval": null });
    let periodic = json!({ "url": "u", "periodic_update_interval": 30.0 });
    let change = json!({ "url": "", "data": { "periodic_update_interval": null } });
    for (body, load) in [
        (
            json!({ "update_id": null, "reports": [], "policy_hash": "db31" }),
            Some(Load::Policy),
        ),
        (data(json!([])), Some(Load::Nothing)),
        (
            data(json!([item(&base, true), item(&base, true)])),
            Some(Load::Data),
        ),
        (data(json!([item(&base, true), item(&base, false)])), None),
        (data(json!([item(&base, true), item(&change, true)])), None),
        (data(json!([item(&change, true)])), None),
        (data(json!([item(&periodic, true)])), Some(Load::Periodic)),
        (
            json!({ "update_id": null, "reports": [], "policy_hash": null }),
            None,
        ),
        (data(json!({})), None),
        (json!([]), None),
    ] {
        assert_eq!(report::scan(body.to_string().as_bytes()), load, "{body}");
    }
    assert_eq!(
        report::scan(&b"{\"update_id\":\"1\",\"reports\":["[..]),
        None
    );
}

fn few() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: config.cases / 4,
        ..config
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn whatever_opal_says_of_its_opa_is_an_address_or_an_error_that_quotes_no_secret(
        kind in prop::sample::select(vec!["none", "token", "oauth", "tls", "other"]),
        secret in any_text(),
        changes in any_changes(),
        edits in any_edits(),
    ) {
        let store = json!({
            "type": "OPA", "url": "http://localhost:8181", "auth_type": kind, "token": secret,
            "oauth_client_id": secret, "oauth_client_secret": secret, "oauth_server": "http://localhost:1",
        });
        let body = serde_json::to_vec(&changed(store, &changes)).unwrap();
        let canned = Canned::answering(200, &edited(&body, &edits));
        let opal = opal(canned.url());
        match opal.discover() {
            Ok(access) => {
                let words = format!("{access:?}");
                prop_assert!(!words.contains(&secret), "{}", words);
            }
            Err(failure) => {
                let words = format!("{failure} {failure:?}");
                prop_assert!(!words.contains(&secret), "{}", words);
            }
        }
    }

    #[test]
    fn a_registration_is_ours_only_with_our_address_and_our_token(
        report in prop::option::of(any_text()),
        changes in any_changes(),
        edits in any_edits(),
        status in prop::sample::select(vec![200_u16, 200, 200, 404, 500]),
    ) {
        let answer = changed(entry(&json!(report)), &changes);
        let body = edited(&serde_json::to_vec(&answer).unwrap(), &edits);
        let canned = Canned::answering(status, &body);
        let opal = opal(canned.url());
        let read: Value = serde_json::from_slice(&body).unwrap_or_default();
        let leads_here = read["url"] == json!("http://us:8080/opa_update/a");
        let authorization = &read["config"]["headers"]["Authorization"];
        let is_ours = leads_here && *authorization == json!(format!("Bearer {TOKEN}"));
        match opal.watch() {
            Ok(found) => {
                // What stands beside it may be a text that is none, which nobody looks at.
                prop_assert!(found == (status == 200 && is_ours) || read.is_null(), "{}", read);
            }
            Err(failure) => {
                prop_assert!(status == 500, "{}", failure);
                prop_assert!(!failure.to_string().contains(TOKEN), "{}", failure);
            }
        }
    }

    #[test]
    fn no_answer_of_opal_makes_an_error_quote_what_it_reported(report in any_text(), edits in any_edits()) {
        let body = edited(&serde_json::to_vec(&entry(&json!(report))).unwrap(), &edits);
        let canned = Canned::answering(200, &body);
        let opal = opal(canned.url());
        for result in [opal.register(), opal.leave(), opal.discover().map(drop)] {
            if let Err(failure) = result {
                prop_assert!(!failure.to_string().contains(QUOTE), "{}", failure);
            }
        }
    }
}
