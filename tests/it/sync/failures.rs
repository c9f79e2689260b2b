//! What `sync` tries again, and what it does not.

use std::time::{Duration, Instant};

use crate::support::opa::query_of;
use crate::support::store::patch_of;
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
fn what_lasts_fails_at_once() {
    let world = world_of(&LASTING);
    for (key, status) in keys(&LASTING).iter().zip(LASTING) {
        world.opa.http.always(&query_of(key), Fault::status(status));
    }
    let output = world.sync(&[]).exits(1).sums_up("6 toggles: 6 failed");
    output.says("code_422").says("stand-in says 422");
    for key in keys(&LASTING) {
        assert_eq!((world.queries(&key), world.updates(&key)), (1, 0), "{key}");
    }
    world.opa.http.heal();
    for (key, status) in keys(&LASTING).iter().zip(LASTING) {
        world
            .store
            .http
            .always(&patch_of(key), Fault::status(status));
    }
    world.sync(&[]).exits(1).sums_up("6 toggles: 6 failed");
    // After a 404 the toggle is created again.
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
fn a_toggle_that_is_not_found_right_after_it_was_created_is_tried_again_until_the_timeout() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let patch = patch_of("us");
    world.store.http.next(2, &patch, Fault::status(404));
    world.sync(&[]).exits(0);
    assert!(world.store.has("us", &["ann"]));
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.store.http.always(&patch, Fault::status(404));
    world.sync(&["--timeout", "2s"]).exits(1);
    // At once, after 0.5 s, and after another second.
    assert_eq!(world.updates("us"), 3);
}

#[test]
fn a_retry_that_the_target_asks_for_too_late_is_not_waited_for() {
    let world = world_of(&[503]);
    let start = Instant::now();
    let later = Fault::retry_after(503, "3600");
    world.store.http.always(&patch_of("toggle-503"), later);
    world.sync(&["--timeout", "20s"]).exits(1);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(world.updates("toggle-503"), 1);
}

#[test]
fn a_target_that_cannot_be_read_although_it_should_be_is_an_error() {
    let world = World::of(&["us"]).readable().build();
    world.store.put("us", &["ann"]);
    world.opa.allow("us", &["bob"]);
    world.store.http.always("GET *", Fault::status(405));
    world.sync(&[]).exits(1).says("405");
    assert!(world.store.has("us", &["ann"]));
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
