//! What OPAL and OPA say.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{findings, world_of};
use crate::support::opa::{READY, query_of};
use crate::support::wire::Request;
use crate::support::{Answer, Fault, World};

const ALL_LOADED: &str = "source main OPA ok: answers, everything is loaded";

/// An entry that leads to the address in its key, with another token than ours.
fn entry_of(request: &Request) -> Answer {
    let address = request.path.rsplit_once("main:").unwrap().1;
    let url = format!("http://{address}/opa_update/main");
    let config = json!({"method": "post", "headers": {"Authorization": "of another run"}});
    Answer::json(200, &json!({"url": url, "config": config}))
}

#[test]
fn a_registration_that_leads_here_is_found_whichever_run_made_it() {
    let world = world_of(World::of(&["us"]));
    let entry = "GET /callbacks/*";
    world.opal.http.next(1, entry, Fault::reply(entry_of));
    let lines = findings(&world.check_online().exits(0));
    assert_eq!(lines[1], "source main callbacks ok: registered");
    let elsewhere = json!({"url": "http://127.0.0.1:9/", "config": {}});
    let elsewhere = Fault::Answer(Answer::json(200, &elsewhere));
    world.opal.http.next(1, entry, elsewhere);
    let lines = findings(&world.check_online().exits(0));
    let unregistered = "source main callbacks ok: not registered (serve does that)";
    assert_eq!(lines[1], unregistered);
}

#[test]
fn where_opal_is_down_the_reason_stands_once_and_the_target_is_still_asked() {
    let world = world_of(World::of(&["us", "tax"]));
    world.opal.http.stop();
    let lines = findings(&world.check_online().exits(1));
    let url = world.opal.http.url();
    let reason =
        format!("GET {url}/policy-store/config: connection refused: nothing is listening there");
    let start = format!("source main OPAL failed: {reason}");
    assert!(lines[0].starts_with(&start), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            "source main callbacks failed: not asked: OPAL failed (connection refused)",
            "source main OPA failed: not asked: OPAL failed (connection refused)",
            "toggle us rule data.app.rbac.us failed: not asked: OPAL failed (connection refused)",
            "toggle tax rule data.app.rbac.tax failed: not asked: OPAL failed (connection refused)",
            "target restapi endpoint_url ok: answers",
        ]
    );
}

#[test]
fn an_opal_that_refuses_says_so_to_each_question() {
    let world = world_of(World::of(&["us"]));
    world.opal.http.always("*", Fault::status(401));
    let lines = findings(&world.check_online().exits(1));
    for (line, asked) in [(&lines[0], "OPAL"), (&lines[1], "callbacks")] {
        assert!(line.starts_with(&format!("source main {asked} failed: GET ")));
        assert!(line.contains("stand-in says 401"), "{line}");
        assert!(line.ends_with("(the token is missing or wrong)"), "{line}");
    }
    let not_asked = "not asked: OPAL failed (answered 401)";
    assert_eq!(lines[2], format!("source main OPA failed: {not_asked}"));
    assert_eq!(world.opa.http.count("*"), 0);
}

#[test]
fn a_token_of_a_type_that_opal_refuses_is_answered_with_how_to_get_another() {
    let world = world_of(World::of(&["us"]));
    // As OPAL 0.9.9 in secure mode answers to a client's token.
    let words = "Incorrect 'peer_type' claim for OPAL jwt token: PeerType.client, expected: \
                 PeerType.listener";
    let refusal = Answer::json(401, &json!({ "detail": { "error": words } }));
    world.opal.http.always("*", Fault::Answer(refusal));
    let lines = findings(&world.check_online().exits(1));
    assert!(
        lines[0].contains("opal-client obtain-token MASTER_TOKEN"),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("--type listener"), "{}", lines[0]);
}

#[test]
fn callbacks_that_cannot_be_looked_at_are_a_failure_and_stop_nothing() {
    let world = world_of(World::of(&["us"]));
    world
        .opal
        .http
        .always("GET /callbacks/*", Fault::status(403));
    let lines = findings(&world.check_online().exits(1));
    assert!(lines[1].starts_with("source main callbacks failed: GET "));
    assert!(lines[1].ends_with("(the token does not allow this)"));
    assert_eq!(lines[3], "toggle us rule data.app.rbac.us ok: 2 users");
}

#[test]
fn where_opa_is_down_the_reason_stands_once() {
    let world = world_of(World::of(&["us"]));
    world.opa.http.stop();
    let lines = findings(&world.check_online().exits(1));
    assert!(lines[0].starts_with("source main OPAL ok: "));
    let url = world.opa.http.url();
    let start = format!("source main OPA failed: GET {url}/v1/data/system/opal/ready: connection");
    assert!(lines[2].starts_with(&start), "{lines:?}");
    let not_asked = "not asked: OPA failed (connection refused)";
    let expected = format!("toggle us rule data.app.rbac.us failed: {not_asked}");
    assert_eq!(lines[3], expected);
}

#[test]
fn a_rule_that_is_undefined_or_no_list_of_users_fails_alone() {
    let world = world_of(World::of(&["us", "beta", "list"]));
    world.opa.answer("list", json!({"result": ["ann", 7]}));
    let lines = findings(&world.check_online().exits(1));
    assert_eq!(
        lines[2..6],
        [
            ALL_LOADED,
            "toggle us rule data.app.rbac.us ok: 2 users",
            "toggle beta rule data.app.rbac.beta failed: rule data.app.rbac.beta is undefined: is its policy loaded, and its name spelled correctly?",
            "toggle list rule data.app.rbac.list failed: rule data.app.rbac.list is not a list of \
             users: element 1 is a number, not a string",
        ]
    );
}

#[test]
fn an_opa_that_has_not_loaded_everything_is_not_asked_for_users() {
    let world = world_of(World::of(&["us"]));
    world.opa.set_ready(Some(false));
    let lines = findings(&world.check_online().exits(1));
    let start = "source main OPA failed: OPA has not loaded its policy and data yet";
    assert!(lines[2].starts_with(start), "{lines:?}");
    assert!(lines[2].contains("nothing is applied"), "{lines:?}");
    let not_asked = "not asked: OPA failed (OPA is not ready)";
    let expected = format!("toggle us rule data.app.rbac.us failed: {not_asked}");
    assert_eq!(lines[3], expected);
    assert_eq!(world.queries("us"), 0);
}

#[test]
fn an_opa_that_does_not_tell_whether_it_is_ready_is_warned_of_and_asked_for_users() {
    let world = world_of(World::of(&["us"]));
    world.opa.set_ready(None);
    let lines = findings(&world.check_online().exits(0));
    let start =
        "source main OPA warning: answers, but it does not report whether it has loaded everything";
    assert!(lines[2].starts_with(start), "{lines:?}");
    assert_eq!(lines[3], "toggle us rule data.app.rbac.us ok: 2 users");
}

#[test]
fn where_nobody_waits_for_readiness_it_does_not_matter() {
    let never = "wait_until_ready = false";
    let world = world_of(World::of(&["us"]).source_setting(never));
    world.opa.set_ready(Some(false));
    let lines = findings(&world.check_online().exits(0));
    assert_eq!(lines[2], "source main OPA ok: answers");
}

#[test]
fn with_opa_url_opal_is_asked_for_callbacks_alone() {
    let settings = "opa_url = \"{opa}\"\nopa_token = \"${OPA_TOKEN}\"";
    let world = world_of(World::of(&["us"]).source_setting(settings));
    let lines = findings(&world.check_online().exits(0));
    let url = world.opa.http.url();
    let opal = format!("source main OPAL ok: opa_url says that OPA is at {url}");
    assert_eq!(lines[0], opal);
    assert_eq!(lines[2], ALL_LOADED);
    assert_eq!(world.opal.http.count("*"), 1);
}

#[test]
fn an_opa_without_opal_is_asked_whether_it_answers() {
    let world = world_of(World::of(&["us"]).plain_opa());
    let expected = [
        "source main OPA ok: answers",
        "toggle us rule data.app.rbac.us ok: 2 users",
        "target restapi endpoint_url ok: answers",
    ];
    assert_eq!(findings(&world.check_online().exits(0)), expected);
    // A policy may well show it the rules alone.
    world.opa.http.always(READY, Fault::status(401));
    assert_eq!(findings(&world.check_online().exits(0)), expected);

    let world = world_of(World::of(&[]).plain_opa());
    world.opa.http.always(READY, Fault::status(401));
    let lines = findings(&world.check_online().exits(1));
    assert!(lines[0].contains("stand-in says 401"), "{lines:?}");
}

#[test]
fn a_rule_that_hangs_does_not_keep_the_others() {
    let keys: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let settings = "http_timeout = \"2s\"\nconcurrency = 4";
    let world = world_of(World::of(&keys).setting(settings));
    keys.iter().for_each(|key| world.opa.allow(key, &["ann"]));
    for key in &keys[..3] {
        world.opa.http.always(&query_of(key), Fault::Hang);
    }
    world.store.http.always("*", Fault::Hang);
    let start = Instant::now();
    let lines = findings(&world.check_online().exits(1));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    let hung = |line: &&String| line.contains("no answer within 2s (http_timeout)");
    assert_eq!(lines.iter().filter(hung).count(), 4, "{lines:?}");
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.ends_with("ok: 1 user"))
            .count(),
        37
    );
    assert!(world.opa.http.max_in_flight() <= 4);
}
