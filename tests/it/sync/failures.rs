//! What `sync --once` tries again, and what it does not.

use std::time::{Duration, Instant};

use crate::support::opa::query_of;
use crate::support::store::{patch_of, path_of};
use crate::support::{Answer, Fault, World};

const LASTING: [u16; 6] = [400, 401, 403, 404, 405, 422];

fn keys(statuses: &[u16]) -> Vec<String> {
    statuses
        .iter()
        .map(|status| format!("toggle-{status}"))
        .collect()
}

fn world_of(statuses: &[u16]) -> World {
    let keys = keys(statuses);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let world = World::of(&keys).build();
    for key in keys {
        world.store.put(key, &[]);
        world.opa.allow(key, &["ann"]);
    }
    world
}

#[test]
fn what_lasts_at_opa_fails_at_once() {
    let world = world_of(&LASTING);
    for (key, status) in keys(&LASTING).iter().zip(LASTING) {
        world.opa.http.always(&query_of(key), Fault::status(status));
    }
    let start = Instant::now();
    let output = world.sync(&[]).exits(1).sums_up("6 toggles: 6 failed");
    output.says("code_422").says("stand-in says 422");
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "well under --timeout"
    );
    for key in keys(&LASTING) {
        assert_eq!((world.queries(&key), world.updates(&key)), (1, 0), "{key}");
    }
}

#[test]
fn what_lasts_at_the_target_fails_at_once() {
    let world = world_of(&LASTING);
    for (key, status) in keys(&LASTING).iter().zip(LASTING) {
        world
            .store
            .http
            .always(&patch_of(key), Fault::status(status));
    }
    world.sync(&[]).exits(1).sums_up("6 toggles: 6 failed");
    for key in keys(&LASTING).iter().filter(|key| *key != "toggle-404") {
        assert_eq!(world.updates(key), 1, "{key}");
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    let passing = [408, 409, 425, 500, 502, 503, 504];
    let world = world_of(&passing);
    for (key, status) in keys(&passing).iter().zip(passing) {
        world
            .opa
            .http
            .next(1, &query_of(key), Fault::status(status));
        world
            .store
            .http
            .next(1, &patch_of(key), Fault::status(status));
    }
    world.sync(&[]).exits(0).sums_up("7 toggles: 7 updated");
    for key in keys(&passing) {
        assert_eq!(world.queries(&key), 2, "{key}");
        assert!(world.store.has(&key, &["ann"]), "{key}");
    }
}

#[test]
fn no_retry_starts_after_the_timeout() {
    let world = world_of(&[503]);
    world
        .opa
        .http
        .always(&query_of("toggle-503"), Fault::status(503));
    let output = world.sync(&["--timeout", "1s"]).exits(1);
    output.reports_start("toggle-503 failed:");
    // At 0 and at about 0.5 s; a machine that is busy may find the second one too late.
    let queries = world.queries("toggle-503");
    assert!((1..=2).contains(&queries), "{queries}");
}

#[test]
fn a_retry_that_the_target_wants_too_late_is_not_waited_for() {
    let world = world_of(&[503]);
    let start = Instant::now();
    let later = Fault::retry_after(503, "3600");
    world.store.http.always(&patch_of("toggle-503"), later);
    world.sync(&["--timeout", "20s"]).exits(1);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(world.updates("toggle-503"), 1);
}

#[test]
fn an_opa_that_comes_up_late_is_waited_for() {
    let world = World::of(&["us"]).build();
    world.store.put("us", &[]);
    world.opa.allow("us", &["ann"]);
    world.opa.http.stop();
    let process = world.spawn_sync(&["--once"]);
    let config = "GET /policy-store/config";
    world.wait_until("OPAL was asked", || world.opal.http.answered(config) > 0);
    world.stays("it waits for OPA", || process.is_running());
    world.opa.http.start();
    let output = process.wait_exit(Duration::from_secs(10)).exits(0);
    output.sums_up("1 toggle: 1 updated");
}

#[test]
fn an_opal_that_is_down_fails_all_its_toggles_and_no_others() {
    let world = World::of(&["us", "tax"]).and_other(&["beta"]).build();
    world.opal.http.stop();
    world.store.put("beta", &[]);
    world.other.as_ref().unwrap().opa.allow("beta", &["ann"]);
    let output = world.sync(&["--timeout", "100ms"]).exits(1);
    let output = output.sums_up("3 toggles: 1 updated, 2 failed");
    output
        .reports_start("us created, failed:")
        .reports_start("tax created, failed:");
    assert!(world.store.has("beta", &["ann"]));
}

#[test]
fn a_redirect_is_not_followed() {
    let statuses = [301, 302, 303, 307, 308];
    let world = world_of(&statuses);
    for (key, status) in keys(&statuses).iter().zip(statuses) {
        let elsewhere = path_of(&format!("elsewhere-{status}"));
        let answer = Answer::json(status, &serde_json::json!({}));
        let fault = Fault::Answer(answer.with("location", &elsewhere));
        world.store.http.always(&patch_of(key), fault);
    }
    let output = world.sync(&["--timeout", "100ms"]).exits(1);
    output.sums_up("5 toggles: 5 failed");
    assert_eq!(world.store.http.count("* /api/toggles/elsewhere-*"), 0);
}

#[test]
fn a_target_that_cannot_be_read_although_it_should_be_is_an_error() {
    let world = World::of(&["us"]).readable().build();
    world.store.put("us", &["ann"]);
    world.opa.allow("us", &["bob"]);
    world.store.set_unreadable(405);
    world.sync(&[]).exits(1).says("405");
    assert!(world.store.has("us", &["ann"]));
}

#[test]
fn a_target_that_hangs_for_one_toggle_does_not_keep_the_others() {
    let world = World::of(&["us", "tax"])
        .setting("http_timeout = \"300ms\"")
        .build();
    for key in ["us", "tax"] {
        world.store.put(key, &[]);
        world.opa.allow(key, &["ann"]);
    }
    world.store.http.always(&patch_of("us"), Fault::Hang);
    let output = world.sync(&["--timeout", "100ms"]).exits(1);
    output.sums_up("2 toggles: 1 updated, 1 failed");
    assert!(world.store.has("tax", &["ann"]));
}

#[test]
fn a_rule_that_opas_compiler_refuses_fails_at_once() {
    // OPA 1.9 of a function, and of an error with its place.
    let function = "1 error occurred: 1:1: rego_type_error: undefined ref: data.app.rbac.us\n\t\
                    data.app.rbac.us\n\t^^^^^^^^^^^^^^^^\n\thave: (any) => boolean";
    let listed = serde_json::json!({
        "code": "internal_error",
        "message": "error(s) occurred while compiling module(s)",
        "errors": [{ "code": "rego_type_error", "message": "undefined function data.app.f" }],
    });
    for body in [
        serde_json::json!({ "code": "internal_error", "message": function }),
        listed,
    ] {
        let world = World::of(&["us"]).readable().build();
        world.store.put("us", &["ann"]);
        let answer = Answer::json(500, &body);
        world
            .opa
            .http
            .always(&query_of("us"), Fault::Answer(answer));
        let output = world.sync(&[]).exits(1).sums_up("1 toggle: 1 failed");
        output.says("us   failed: GET ").says("internal_error: ");
        assert_eq!(world.queries("us"), 1);
        assert!(world.store.has("us", &["ann"]));
    }
}
