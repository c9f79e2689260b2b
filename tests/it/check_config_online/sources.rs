//! What OPAL and OPA answer.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{findings, world_of};
use crate::support::opa::{READY, query_of};
use crate::support::wire::Request;
use crate::support::{Answer, Fault, World};

/// An entry that leads to the address in its key, with another token than ours.
fn entry_of(request: &Request) -> Answer {
    let address = request.path.rsplit_once("main:").unwrap().1;
    let url = format!("http://{address}/opa_update/main");
    let config = json!({"method": "post", "headers": {"Authorization": "of another run"}});
    Answer::json(200, &json!({"url": url, "config": config}))
}

/// Whether a line is this, in which `…` is any text.
fn is_like(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let mut rest = line.strip_prefix(parts.next().unwrap_or_default());
    for part in parts {
        rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
    }
    rest.is_some_and(|rest| rest.is_empty() || pattern.ends_with('…'))
}

/// Fails unless the findings begin with these.
#[track_caller]
fn says(world: &World, status: i32, expected: &[&str]) {
    let lines = findings(&world.check_online().exits(status));
    assert!(lines.len() >= expected.len(), "{lines:?}");
    for (line, pattern) in lines.iter().zip(expected) {
        assert!(is_like(line, pattern), "{pattern}: {lines:?}");
    }
}

#[test]
fn a_registration_that_leads_here_is_found_whichever_run_made_it() {
    let world = world_of(World::of(&["us"]));
    let elsewhere = json!({"url": "http://127.0.0.1:9/", "config": {}});
    let elsewhere = Fault::Answer(Answer::json(200, &elsewhere));
    for (fault, words) in [
        (Fault::reply(entry_of), "registered"),
        (elsewhere, "not registered (serve does that)"),
    ] {
        world.opal.http.next(1, "GET /callbacks/*", fault);
        let callbacks = format!("source main callbacks ok: {words}");
        says(&world, 0, &["source main OPAL ok: …", &callbacks]);
    }
}

#[test]
fn what_an_earlier_start_left_behind_is_a_warning_that_says_how_to_remove_it() {
    let world = world_of(World::of(&["us"]));
    world.opal.take_over("optoggles:main:old:8080");
    world.opal.take_over("optoggles:main2:other:8080");
    let output = world.program.run(&["check-config", "--online"]).exits(0);
    let url = world.opal.http.url();
    let warning = format!(
        "source main callbacks warning: optoggles:main:old:8080 is registered…curl -X DELETE -H \
         \"Authorization: …\" {url}/callbacks/optoggles:main:old:8080"
    );
    let lines = findings(&output);
    assert!(is_like(&lines[2], &warning), "{lines:?}");
    assert!(!output.stdout.contains("main2"), "{lines:?}");
    assert_eq!(world.opal.keys().len(), 2, "nothing is removed");
}

#[test]
fn where_opal_cannot_be_asked_the_reason_is_given_once_and_the_target_is_still_asked() {
    let world = world_of(World::of(&["us"]));
    world.opal.http.always("*", Fault::status(401));
    // Their words are not repeated: they can hold OPA's token, or another one.
    let refused = "failed: GET …answered 401: …(the token is missing or wrong)";
    let expected = [
        &format!("source main OPAL {refused}"),
        &format!("source main callbacks {refused}"),
        "source main OPA failed: not asked: OPAL failed (answered 401)",
        "toggle us rule data.app.rbac.us failed: not asked: OPAL failed (answered 401)",
        "target restapi endpoint_url ok: answers",
    ];
    says(&world, 1, &expected);
    assert_eq!(world.opa.http.count("*"), 0);
    world.opal.http.stop();
    let url = world.opal.http.url();
    let expected = [
        &format!("source main OPAL failed: GET {url}/policy-store/config: connection refused…"),
        "source main callbacks failed: not asked: OPAL failed (connection refused)",
        "source main OPA failed: not asked: OPAL failed (connection refused)",
        "toggle us rule data.app.rbac.us failed: not asked: OPAL failed (connection refused)",
        "target restapi endpoint_url ok: answers",
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
    let advice = "GET …/policy-store/config answered 401: …Incorrect…opal-client obtain-token MASTER_TOKEN…--type listener…";
    says(&world, 1, &[&format!("source main OPAL failed: {advice}")]);
}

#[test]
fn callbacks_that_cannot_be_looked_at_are_a_failure_and_stop_nothing() {
    let world = world_of(World::of(&["us"]));
    let callbacks = "GET /callbacks/*";
    world.opal.http.always(callbacks, Fault::status(403));
    let expected = [
        "source main OPAL ok: …",
        "source main callbacks failed: GET …(the token does not allow this)",
        "source main OPA ok: …",
        "toggle us rule data.app.rbac.us ok: 2 users",
    ];
    says(&world, 1, &expected);
}

#[test]
fn an_opa_that_is_down_or_has_not_loaded_everything_is_not_asked_for_users() {
    let world = world_of(World::of(&["us"]));
    world.opa.set_ready(Some(false));
    let expected = [
        "source main OPAL ok: …",
        "source main callbacks ok: …",
        "source main OPA failed: OPA has not loaded its policy and data yet…nothing is applied…",
        "toggle us rule data.app.rbac.us failed: not asked: OPA failed (OPA is not ready)",
    ];
    says(&world, 1, &expected);
    assert_eq!(world.queries("us"), 0);
    world.opa.http.stop();
    let url = world.opa.http.url();
    let expected = [
        "source main OPAL ok: …",
        "source main callbacks ok: …",
        &format!("source main OPA failed: GET {url}/v1/data/system/opal/ready: connection…"),
        "toggle us rule data.app.rbac.us failed: not asked: OPA failed (connection refused)",
    ];
    says(&world, 1, &expected);
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
            "toggle beta rule data.app.rbac.beta failed: rule data.app.rbac.beta is undefined: is its policy loaded, and its name spelled correctly?",
            "toggle list rule data.app.rbac.list failed: rule data.app.rbac.list is not a list of \
             users: element 1 is a number, not a string",
        ]
    );
}

#[test]
fn an_opa_that_does_not_tell_whether_it_is_ready_is_warned_of_unless_that_does_not_matter() {
    let never = "wait_until_ready = false";
    let unready = world_of(World::of(&["us"]).source_setting(never));
    unready.opa.set_ready(Some(false));
    let silent = world_of(World::of(&["us"]));
    silent.opa.set_ready(None);
    let untold = "warning: answers, but it does not report whether it has loaded everything…";
    for (world, answer) in [(&unready, "ok: answers"), (&silent, untold)] {
        let expected = [
            "source main OPAL ok: …",
            "source main callbacks ok: …",
            &format!("source main OPA {answer}"),
            "toggle us rule data.app.rbac.us ok: 2 users",
        ];
        says(world, 0, &expected);
    }
}

#[test]
fn with_opa_url_opal_is_asked_for_callbacks_alone() {
    let settings = "opa_url = \"{opa}\"\nopa_token = \"${OPA_TOKEN}\"";
    let world = world_of(World::of(&["us"]).source_setting(settings));
    let url = world.opa.http.url();
    let opal = format!("source main OPAL ok: opa_url says that OPA is at {url}");
    says(&world, 0, &[&opal]);
    assert_eq!(world.opal.http.count("GET /policy-store/config"), 0);
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
    says(&world, 1, &["source main OPA failed: …stand-in says 401…"]);
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
