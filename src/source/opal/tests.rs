//! What OPAL can answer.

use std::io;
use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::tests::configured;
use crate::config::{Config, Tls};
use crate::http::LARGEST_ANSWER;
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

fn opal(url: &Address) -> Opal {
    let config = config(url);
    Opal::new(&config.sources[0], &Secret::new(TOKEN), client(&config)).unwrap()
}

fn config(url: &Address) -> Config {
    configured(&format!(
        "http_timeout = \"1m\"\n\
         [[sources]]\nid = \"a\"\nurl = \"{url}\"\nadvertised_address = \"us:8080\"\n\
         instance = \"us\"\n[target]\ntype = \"flagd\"\npath = \"flags.json\"\n"
    ))
}

fn client(config: &Config) -> Client {
    let requests = Metrics::new(UNIX_EPOCH).unwrap().requests("opal");
    Client::new(config, 1, &Tls::default(), requests).unwrap()
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
    let opal = opal(&canned.url());
    assert_eq!(opal.watch(), Ok(true));
}

#[test]
fn of_an_entry_no_more_is_read_than_its_address_and_its_token_wherever_they_stand() {
    let read = |body: &str, end| {
        let mut entry = Entry::default();
        let result = entry.read(&mut body.as_bytes().chain(End(end)));
        let result = result.map_err(|error| error.kind());
        (result, entry.url, entry.authorization)
    };
    let url = Some("u".to_owned());
    let both = (Ok(()), url.clone(), Some("a".to_owned()));
    let report = format!("\"data\":\"{}\"", "[".repeat(1 << 20));
    let headers = r#""headers":{"X":1,"Authorization":"a"}"#;
    let first = format!(r#"{{"url":"u","config":{{{headers},"data":""#);
    assert_eq!(read(&first, None), both);
    let last = format!(r#"{{"config":{{{report},{headers}}},{report},"url":"u","#);
    assert_eq!(read(&last, None), both);
    let late = io::ErrorKind::TimedOut;
    let missing = r#"{"url":"u","config":{"data":"[[["#;
    assert_eq!(read(missing, Some(late)), (Err(late), url, None));
}

/// Where a body does not go on, or must not be read.
struct End(Option<io::ErrorKind>);

impl Read for End {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.expect("it is read on").into())
    }
}

#[test]
fn a_registration_with_a_report_larger_than_any_limit_is_found() {
    let report = "x".repeat(LARGEST_ANSWER as usize + 1);
    let body = entry(&json!("REPORT")).to_string();
    let canned = Canned::answering(200, body.replace("REPORT", &report).as_bytes());
    assert_eq!(opal(&canned.url()).watch(), Ok(true));
}

#[test]
fn no_word_of_an_answer_that_can_hold_a_token_or_users_is_repeated() {
    let secret = json!({ "token": "unknown-secret", "access_token": "unknown-secret" });
    for status in [200, 302, 400, 403, 404, 500] {
        let canned = Canned::answering(status, format!("{secret}<").as_bytes());
        let client = client(&config(&canned.url()));
        let opal = opal(&canned.url());
        let url = Address::parse("http://opa").unwrap();
        let granted = oauth::access(&client, url, &canned.url().to_string(), "id", "secret");
        let results = [
            opal.discover().map(drop),
            opal.watch().map(drop),
            opal.leave(),
            granted.map(drop),
        ];
        for failure in results.into_iter().filter_map(Result::err) {
            assert!(!failure.to_string().contains("unknown"), "{failure}");
        }
    }
}

#[test]
fn registrations_for_the_same_source_that_are_not_ours_are_listed_up_to_a_limit() {
    let others: Vec<String> = (0..9).map(|n| format!("optoggles:a:old-{n}")).collect();
    let foreign = [
        "optoggles:a:us",
        "optoggles:ab:us",
        "default",
        "optoggles:a:x y\n",
    ];
    let keys = others.iter().map(String::as_str).chain(foreign);
    let entries: Vec<Value> = keys
        .map(|key| json!({ "config": {}, "key": key }))
        .collect();
    let canned = Canned::answering(200, json!(entries).to_string().as_bytes());
    let url = canned.url();
    let told: Vec<String> = opal(&url)
        .check_others()
        .into_iter()
        .map(|it| it.words)
        .collect();
    assert_eq!(told.len(), 6);
    for (told, key) in told.iter().zip(&others[..5]) {
        assert!(told.starts_with(&format!("{key} is registered")), "{told}");
        assert!(
            told.ends_with(&format!(" curl -X DELETE {url}/callbacks/{key}")),
            "{told}"
        );
    }
    assert_eq!(told[5], format!("and 4 more: GET {url}/callbacks"));
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
        let words = opal(&canned.url()).find_opa().unwrap_err().to_string();
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

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
        let opal = opal(&canned.url());
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
        let opal = opal(&canned.url());
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
        let opal = opal(&canned.url());
        for result in [opal.register(), opal.leave(), opal.discover().map(drop)] {
            if let Err(failure) = result {
                prop_assert!(!failure.to_string().contains(QUOTE), "{}", failure);
            }
        }
    }
}
