//! Somebody else writes to the target too: another instance, which has heard of a change before this one.

use std::time::Duration;

use crate::support::opa::{Opa, query_of};
use crate::support::store::{patch_of, path_of};
use crate::support::world::Plan;
use crate::support::{Fault, World};

const SETTINGS: &str = "resync_interval = \"1s\"\nhttp_timeout = \"1s\"";

/// OPA says nothing about `us` from here on; it hangs, or is down.
fn silence(opa: &Opa, hangs: bool) {
    match hangs {
        true => opa.http.always(&query_of("us"), Fault::Hang),
        false => opa.http.stop(),
    }
}

fn end_silence(opa: &Opa, hangs: bool) {
    match hangs {
        true => opa.http.heal(),
        false => opa.http.start(),
    }
}

/// Another instance takes bob's access away while OPA does not tell this one of it; `resyncs` waits
/// until the target would have been written to.
fn gives_nothing_back(plan: Plan, hangs: bool, resyncs: impl FnOnce(&World)) {
    let world = plan.setting(SETTINGS).build();
    world.opa.allow("us", &["ann", "bob"]);
    let daemon = world.serve_in_step();
    silence(&world.opa, hangs);
    world.store.put("us", &["ann"]);
    let updates = world.updates("us");
    resyncs(&world);
    world.stays("bob has not got it back", || {
        world.store.has("us", &["ann"])
    });
    let sent = world.sent("us").split_off(updates);
    // What was on its way when the silence began is no answer to it.
    assert!(sent.is_empty(), "{sent:?}");
    world.opa.allow("us", &["ann", "cid"]);
    end_silence(&world.opa, hangs);
    world.wait_for_users("us", &["ann", "cid"]);
    daemon.wait_healthy();
}

#[test]
fn a_resync_gives_nothing_back_at_a_target_that_can_be_read() {
    for hangs in [true, false] {
        gives_nothing_back(World::of(&["us"]).readable(), hangs, |world| {
            let read = format!("GET {}", path_of("us"));
            let before = world.store.http.answered(&read);
            // The last of these can have begun before the silence.
            world.wait_until("it is read again", || {
                world.store.http.answered(&read) >= before + 2
            });
        });
    }
}

#[test]
fn a_resync_gives_nothing_back_at_a_target_that_cannot_be_read() {
    gives_nothing_back(World::of(&["us"]), true, |world| {
        let before = world.queries("us");
        world.wait_until("OPA is asked again, in vain", || {
            world.queries("us") >= before + 2
        });
    });
}

#[test]
fn a_retry_after_a_resync_gives_nothing_back() {
    let every_second = "resync_interval = \"1s\"";
    let world = World::of(&["us"]).setting(every_second).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let later = Fault::retry_after(503, "3");
    world.store.http.next(1, &patch_of("us"), later);
    world.change("us", &["ann", "bob"]);
    daemon.wait_failing();
    world.opa.allow("us", &["ann"]);
    let silence = world.opa.http.hold(&query_of("us"));
    world.store.put("us", &["ann"]);
    // A resync begins within a second, the retry comes after three.
    let time = Duration::from_millis(3500);
    let has = || world.store.has("us", &["ann"]);
    world.stage.holds_for(time, "bob has not got it back", has);
    world.opa.http.heal();
    silence.release();
    world.change("us", &["ann", "cid"]);
    world.wait_for_users("us", &["ann", "cid"]);
    daemon.wait_healthy();
}
