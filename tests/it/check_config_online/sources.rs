//! What OPAL and OPA answer.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{findings, world_of};
use crate::support::opa::{READY, query_of};
use crate::support::wire::Request;
use crate::support::{Answer, Fault, World};

const OPAL: &str = "source main OPAL";
const CALLBACKS: &str = "source main callbacks";
const OPA: &str = "source main OPA";
const RULE: &str = "toggle us rule data.app.rbac.us";

/// An entry that leads to the address in its key, with another token than ours.
fn entry_of(request: &Request) -> Answer {
    let address = request.path.rsplit_once("main:").unwrap().1;
    let url = format!("http://{address}/opa_update/main");
    let config = json!({"method": "post", "headers": {"Authorization": "of another run"}});
    Answer::json(200, &json!({"url": url, "config": config}))
}

/// Fails unless the findings are about these, in this order, and have these words.
#[track_caller]
fn says(world: &World, status: i32, expected: &[(&str, &[&str])]) {
    let lines = findings(&world.check_online().exits(status));
    assert!(lines.len() >= expected.len(), "{lines:?}");
    for ((about, words), line) in expected.iter().zip(&lines) {
        let answer = line.strip_prefix(about).expect(line);
        for words in *words {
            assert!(answer.contains(words), "{words}: {lines:?}");
        }
    }
}

#[test]
fn a_registration_that_leads_here_is_found_whichever_run_made_it() {
    let world = world_of(World::of(&["us"]));
    let elsewhere = json!({"url": "http://127.0.0.1:9/", "config": {}});
    let elsewhere = Fault::Answer(Answer::json(200, &elsewhere));
    for (fault, words) in [
        (Fault::reply(entry_of), "ok: registered"),
        (elsewhere, "ok: not registered (serve does that)"),
    ] {
        world.opal.http.next(1, "GET /callbacks/*", fault);
        says(&world, 0, &[(OPAL, &["ok: "]), (CALLBACKS, &[words])]);
    }
}

#[test]
fn where_opal_cannot_be_asked_the_reason_is_given_once_and_the_target_is_still_asked() {
    let world = world_of(World::of(&["us"]));
    let target = ("target restapi endpoint_url", &["ok: answers"][..]);
    world.opal.http.always("*", Fault::status(401));
    let refused = [
        "failed: GET ",
        "stand-in says 401",
        "(the token is missing or wrong)",
    ];
    let not_asked = &["failed: not asked: OPAL failed (answered 401)"];
    let expected = [
        (OPAL, &refused[..]),
        (CALLBACKS, &refused),
        (OPA, not_asked),
        (RULE, not_asked),
        target,
    ];
    says(&world, 1, &expected);
    assert_eq!(world.opa.http.count("*"), 0);
    world.opal.http.stop();
    let url = world.opal.http.url();
    let reason = format!("failed: GET {url}/policy-store/config: connection refused");
    let not_asked = &["failed: not asked: OPAL failed (connection refused)"];
    let expected = [
        (OPAL, &[&*reason][..]),
        (CALLBACKS, not_asked),
        (OPA, not_asked),
        (RULE, not_asked),
        target,
    ];
    says(&world, 1, &expected);
}

#[test]
fn a_token_of_a_type_that_opal_refuses_is_answered_with_how_to_get_another() {
    let world = world_of(World::of(&["us"]));
    // As OPAL 0.9.9 in secure mode answers to a client's token.
    let words = "Incorrect 'peer_type' claim for OPAL jwt token: PeerType.client, expected: \
                 PeerType.listener";
    let refusal = Answer::json(401, &json!({ "detail": { "error": words } }));
    world.opal.http.always("*", Fault::Answer(refusal));
    let advice = ["opal-client obtain-token MASTER_TOKEN", "--type listener"];
    says(&world, 1, &[(OPAL, &advice)]);
}

#[test]
fn callbacks_that_cannot_be_looked_at_are_a_failure_and_stop_nothing() {
    let world = world_of(World::of(&["us"]));
    let callbacks = "GET /callbacks/*";
    world.opal.http.always(callbacks, Fault::status(403));
    let expected = [
        (OPAL, &["ok: "][..]),
        (
            CALLBACKS,
            &["failed: GET ", "(the token does not allow this)"],
        ),
        (OPA, &["ok: "]),
        (RULE, &["ok: 2 users"]),
    ];
    says(&world, 1, &expected);
}

#[test]
fn an_opa_that_is_down_or_has_not_loaded_everything_is_not_asked_for_users() {
    let world = world_of(World::of(&["us"]));
    world.opa.set_ready(Some(false));
    let unready = [
        "failed: OPA has not loaded its policy and data yet",
        "nothing is applied",
    ];
    let not_asked = ["failed: not asked: OPA failed (OPA is not ready)"];
    let around = [(OPAL, &["ok: "][..]), (CALLBACKS, &["ok: "])];
    says(
        &world,
        1,
        &[around[0], around[1], (OPA, &unready), (RULE, &not_asked)],
    );
    assert_eq!(world.queries("us"), 0);
    world.opa.http.stop();
    let url = world.opa.http.url();
    let down = format!("failed: GET {url}/v1/data/system/opal/ready: connection");
    let not_asked = ["failed: not asked: OPA failed (connection refused)"];
    says(
        &world,
        1,
        &[around[0], around[1], (OPA, &[&down]), (RULE, &not_asked)],
    );
}

#[test]
fn a_rule_that_is_undefined_or_no_list_of_users_fails_alone() {
    let world = world_of(World::of(&["us", "beta", "list"]));
    world.opa.answer("list", json!({"result": ["ann", 7]}));
    let lines = findings(&world.check_online().exits(1));
    assert_eq!(
        lines[3..6],
        [
            "toggle us rule data.app.rbac.us ok: 2 users",
            "toggle beta rule data.app.rbac.beta failed: rule data.app.rbac.beta is undefined: is its policy loaded, and the rule spelt as there?",
            "toggle list rule data.app.rbac.list failed: rule data.app.rbac.list is not a list of \
             users: element 1 is a number, not a string",
        ]
    );
}

#[test]
fn an_opa_that_does_not_tell_whether_it_is_ready_is_warned_of_unless_that_does_not_matter() {
    let world = world_of(World::of(&["us"]));
    world.opa.set_ready(None);
    let around = [(OPAL, &["ok: "][..]), (CALLBACKS, &["ok: "])];
    let told = ["warning: answers, but it does not tell whether it has loaded everything"];
    says(
        &world,
        0,
        &[around[0], around[1], (OPA, &told), (RULE, &["ok: 2 users"])],
    );
    let never = "wait_until_ready = false";
    let world = world_of(World::of(&["us"]).source_setting(never));
    world.opa.set_ready(Some(false));
    says(&world, 0, &[around[0], around[1], (OPA, &["ok: answers"])]);
}

#[test]
fn with_opa_url_opal_is_asked_for_callbacks_alone() {
    let settings = "opa_url = \"{opa}\"\nopa_token = \"${OPA_TOKEN}\"";
    let world = world_of(World::of(&["us"]).source_setting(settings));
    let opal = format!("ok: opa_url says that OPA is at {}", world.opa.http.url());
    says(&world, 0, &[(OPAL, &[&opal])]);
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
    says(&world, 1, &[(OPA, &["stand-in says 401"])]);
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
    let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
    assert_eq!(count("no answer within 2s (http_timeout)"), 4, "{lines:?}");
    assert_eq!(count("ok: 1 user"), 37, "{lines:?}");
    assert!(world.opa.http.max_in_flight() <= 4);
}
