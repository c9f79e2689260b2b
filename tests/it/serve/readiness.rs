//! OPA says whether it has loaded everything.

use crate::support::opa::READY;
use crate::support::{Fault, World};

#[test]
fn the_empty_sets_of_an_opa_that_restarts_are_never_applied() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    world.opa.set_ready(Some(true));
    let daemon = world.serve_in_step();
    // OPAL and OPA restart: everything undefined, then the policy without data, then the truth.
    world.opa.set_ready(Some(false));
    world.opa.undefine("us");
    world.opa.undefine("tax");
    let asked = world.opa.http.answered(READY);
    world.opal.call_back();
    world.wait_until("OPA was asked", || world.opa.http.answered(READY) > asked);
    world.opa.allow("us", &[]);
    world.opa.allow("tax", &[]);
    let asked = world.opa.http.answered(READY);
    world.opal.call_back();
    world.wait_until("OPA was asked", || world.opa.http.answered(READY) > asked);
    world.stays("nothing is applied", || {
        world.updates("us") + world.updates("tax") == 2
    });
    world.opa.allow("us", &["ann", "bob"]);
    world.opa.allow("tax", &["ann"]);
    world.opa.set_ready(Some(true));
    world.wait_for_users("us", &["ann", "bob"]);
    daemon.wait_healthy();
    let sent = [world.sent("us"), world.sent("tax")].concat();
    assert!(sent.iter().all(|users| !users.is_empty()), "{sent:?}");
    assert!(world.store.has("tax", &["ann"]));
}

#[test]
fn a_callback_ends_the_wait_for_readiness_at_once() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &[]);
    world.opa.set_ready(Some(false));
    let daemon = world.serve();
    world.wait_until("OPA was asked thrice", || {
        world.opa.http.answered(READY) >= 3
    });
    world.opa.set_ready(Some(true));
    world.change("us", &["ann"]);
    world.wait_for_users("us", &["ann"]);
    let gap = *world.opa.http.gaps(READY).last().unwrap();
    assert!(gap.as_millis() < 1500, "{gap:?}");
    daemon.wait_healthy();
}

#[test]
fn where_readiness_is_undefined_or_not_waited_for_everything_goes_on() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    drop(world.serve_in_step());
    assert!(world.opa.http.count(READY) > 0);

    let never = "wait_until_ready = false";
    let world = World::of(&["us"]).source_setting(never).build();
    world.opa.set_ready(Some(false));
    world.opa.allow("us", &["ann"]);
    drop(world.serve_in_step());
    assert_eq!(world.opa.http.count(READY), 0);
}

#[test]
fn an_opa_that_cannot_say_whether_it_is_ready_changes_nothing() {
    let world = World::of(&["us"]).readable().build();
    world.store.put("us", &["ann"]);
    world.opa.allow("us", &[]);
    world.opa.http.always(READY, Fault::status(500));
    let daemon = world.serve();
    daemon.wait_failing();
    assert!(world.store.has("us", &["ann"]));
    assert_eq!(world.queries("us"), 0);
    world.opa.http.heal();
    world.wait_for_users("us", &[]);
    daemon.wait_healthy();
}

#[test]
fn opal_is_believed_where_opas_false_is_out_of_date() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.set_ready(Some(false));
    world.opal.http.always("GET /ready", Fault::status(200));
    let daemon = world.serve();
    world.wait_for_users("us", &["ann"]);
    daemon.wait_healthy();
}
