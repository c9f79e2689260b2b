//! What the target says.

use super::{findings, world_of};
use crate::support::{Answer, Fault, World};

/// What is said of the target in a world in which nothing else is wrong.
#[track_caller]
fn line(world: &World, status: i32) -> String {
    let lines = findings(&world.check_online().exits(status));
    let line = lines.last().unwrap();
    let start = "target restapi endpoint_url ";
    line.strip_prefix(start)
        .expect("it is about the target")
        .to_owned()
}

#[test]
fn a_target_that_can_be_read_is_asked_for_the_first_toggle() {
    let world = world_of(World::of(&["us", "tax"]).readable());
    assert_eq!(line(&world, 0), "ok: answers, and has no toggle us");
    world.store.put("us", &["eve"]);
    assert_eq!(line(&world, 0), "ok: answers, and has toggle us");
    assert_eq!(
        world.store.http.lines("*"),
        ["GET /api/toggles/us", "GET /api/toggles/us"]
    );
}

#[test]
fn a_target_that_should_be_readable_and_is_not_fails() {
    let world = world_of(World::of(&["us"]).readable());
    world.store.http.next(1, "GET *", Fault::status(405));
    assert!(line(&world, 1).contains("answered 405: {\"code\":\"code_405\","));
    let html = Answer {
        body: b"<html>".to_vec(),
        ..Answer::json(200, &serde_json::Value::Null)
    };
    world.store.http.always("*", Fault::Answer(html));
    assert!(line(&world, 1).contains("is not JSON"));
}

#[test]
fn a_target_that_only_takes_posts_answers_and_one_that_refuses_or_redirects_or_breaks_fails() {
    let world = world_of(World::of(&["us"]));
    for status in [404, 405, 501] {
        world.store.http.next(1, "*", Fault::status(status));
        let expected = format!("ok: answers ({status} to HEAD)");
        assert_eq!(line(&world, 0), expected);
    }
    assert_eq!(world.store.http.lines("*"), ["HEAD /api/toggles"; 3]);
    let url = world.store.url();
    for (status, advice) in [
        (
            401,
            " (credentials missing or wrong: check extra_headers, or the user in endpoint_url)",
        ),
        (
            403,
            " (credentials lack permission: check extra_headers, or the user in endpoint_url)",
        ),
        (
            302,
            " (redirects are not followed: configure the address it leads to)",
        ),
        (400, ""),
        (500, ""),
    ] {
        world.store.http.next(1, "*", Fault::status(status));
        let expected = format!("failed: HEAD {url} answered {status}{advice}");
        assert_eq!(line(&world, 1), expected);
    }
}

#[test]
fn a_target_that_is_down_fails_and_the_sources_are_still_asked() {
    let world = world_of(World::of(&["us"]));
    world.store.http.stop();
    let lines = findings(&world.check_online().exits(1));
    assert!(lines[4].contains("connection refused"), "{lines:?}");
    assert!(lines[..4].iter().all(|line| line.contains(" ok: ")));
}

#[test]
fn a_target_without_toggles_is_asked_whether_it_answers() {
    for plan in [World::of(&[]), World::of(&[]).readable()] {
        let world = world_of(plan);
        assert_eq!(line(&world, 0), "ok: answers");
    }
}
