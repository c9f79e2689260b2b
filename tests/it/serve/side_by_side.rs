//! Two instances with the same configuration that do not know of each other.

use crate::support::World;
use crate::support::opa::query_of;

#[test]
fn two_instances_follow_each_change_and_then_are_quiet() {
    let world = World::of(&["us", "eu"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("eu", &["zoe"]);
    let (_one, _two) = (world.serve_in_step(), world.serve_in_step());
    assert_eq!(world.opal.keys().len(), 2);
    for users in [&["ann", "bob"][..], &["bob"], &[]] {
        world.change("us", users);
        world.wait_until("both have sent the change", || {
            let sent = world.sent("us");
            sent.iter().filter(|sent| *sent == users).count() == 2
        });
        assert!(world.store.has("us", users));
    }
    assert!(world.store.has("eu", &["zoe"]));
    let updates = world.updates("us");
    world.stays("nothing more is sent", || world.updates("us") == updates);
}

#[test]
fn an_instance_that_sends_what_has_become_old_puts_it_right_itself() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let (_one, _two) = (world.serve_in_step(), world.serve_in_step());
    let slow = world.opa.http.hold_next(&query_of("us"));
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    world.change("us", &["zoe"]);
    world.wait_for_users("us", &["zoe"]);
    let updates = world.updates("us");
    slow.release();
    world.wait_until("the slow one has sent the newest users", || {
        world.updates("us") > updates && world.store.has("us", &["zoe"])
    });
    let queries = world.queries("us");
    world.stays("nothing more is asked and the newest users stay", || {
        world.queries("us") == queries && world.store.has("us", &["zoe"])
    });
}

#[test]
fn an_instance_that_ends_takes_back_its_own_callback_alone() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let (one, _two) = (world.serve_in_step(), world.serve_in_step());
    one.terminate().exits(0);
    assert_eq!(world.opal.keys().len(), 1);
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
}
