//! Changes made by hand, and requests whose outcome is not known.

use crate::support::store::patch_of;
use crate::support::{Fault, World};

const EVERY_SECOND: &str = "resync_interval = \"1s\"";

/// Two toggles for ann, at a target that is read every second.
fn readable() -> World {
    let world = World::of(&["us", "tax"]).readable();
    let world = world.setting(EVERY_SECOND).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    world
}

#[test]
fn a_resync_puts_back_what_was_changed_by_hand() {
    let world = readable();
    let _daemon = world.serve_in_step();
    let before = world.updates("tax");
    world.store.put("us", &["ann", "mallory"]);
    world.wait_for_users("us", &["ann"]);
    world.store.delete("us");
    world.wait_for_users("us", &["ann"]);
    assert_eq!(
        world.updates("tax"),
        before,
        "it was read, and nothing differed"
    );
    assert!(world.store.http.count("GET /api/toggles/tax") >= 2);
}

#[test]
fn a_resync_sends_again_what_cannot_be_read() {
    let world = World::of(&["us"])
        .setting(EVERY_SECOND)
        .spec("us", "name = \"US\"")
        .build();
    world.opa.allow("us", &["ann"]);
    let _daemon = world.serve_in_step();
    world.store.put("us", &["mallory"]);
    world.wait_for_users("us", &["ann"]);
    world.store.delete("us");
    world.wait_for_users("us", &["ann"]);
    assert_eq!(world.store.http.count("GET *"), 0);
}

#[test]
fn a_toggle_that_is_told_to_wait_keeps_no_other_from_being_looked_at() {
    let world = readable();
    let daemon = world.serve_in_step();
    let later = Fault::retry_after(503, "60");
    world.store.http.next(1, "GET /api/toggles/us", later);
    daemon.wait_failing();
    for _ in 0..2 {
        world.store.put("tax", &["mallory"]);
        world.wait_for_users("tax", &["ann"]);
    }
    let target = daemon.target();
    assert_eq!(target["resync_overdue"], false, "{target}");
}

#[test]
fn zero_turns_resyncs_off() {
    let never = "resync_interval = \"0s\"";
    let world = World::of(&["us"]).setting(never).build();
    world.opa.allow("us", &["ann"]);
    let _daemon = world.serve_in_step();
    let before = world.store.http.count("*");
    world.stays("no resync", || world.store.http.count("*") == before);
}

#[test]
fn an_update_whose_outcome_is_not_known_is_read_where_that_can_be_done() {
    for fault in [Fault::Reset, Fault::Close] {
        let world = World::of(&["us"]).readable().build();
        world.opa.allow("us", &["ann"]);
        let daemon = world.serve_in_step();
        let before = world.store.http.count("*");
        world.store.http.next(1, &patch_of("us"), fault);
        world.change("us", &["bob"]);
        daemon.wait_failing();
        daemon.wait_healthy();
        assert!(world.store.has("us", &["bob"]));
        let sent = world.store.http.lines("*").split_off(before);
        assert_eq!(
            sent,
            [
                r#"PATCH /api/toggles/us {"users":["bob"]}"#,
                "GET /api/toggles/us",
            ]
        );
    }
}
