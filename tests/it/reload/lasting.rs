//! What a reload may not undo: registrations, and changes that are held back.

use std::time::Duration;

use crate::support::{Fault, World};

/// OPAL is a moment slow to show what is registered, so that the farewell of the old configuration comes
/// after the registration of the new one.
fn slow(world: &World) {
    let delay = Fault::Delay(Duration::from_millis(200));
    world.opal.http.always("GET /callbacks/*", delay);
}

/// The old registration was taken back, and there is one.
fn wait_for_registration(world: &World) {
    world.wait_until("the old registration is taken back", || {
        world.opal.http.answered("DELETE *") == 1
    });
    world.wait_until("there is a registration", || world.opal.keys().len() == 1);
    world.stays("there is a registration", || world.opal.keys().len() == 1);
}

#[test]
fn an_opal_whose_address_is_spelled_otherwise_keeps_a_registration() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let url = world.opal.http.url();
    let other = url.replace("127.0.0.1", "localhost");
    slow(&world);
    world.reload(&daemon, |config| config.replace(&url, &other));
    wait_for_registration(&world);
    daemon.wait_healthy();
}

#[test]
fn an_instance_that_makes_the_same_key_keeps_a_registration() {
    let world = World::of(&["us"])
        .source_setting("instance = \"a/b\"")
        .build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    slow(&world);
    world.reload(&daemon, |config| config.replace("a/b", "a-b"));
    wait_for_registration(&world);
    daemon.wait_healthy();
}

#[test]
fn a_source_that_comes_back_while_it_is_left_has_a_registration() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    world.opa.allow("us", &["ann"]);
    world.other.as_ref().unwrap().opa.allow("beta", &["ann"]);
    let daemon = world.serve_in_step();
    slow(&world);
    world.reload(&daemon, |config| {
        let (before, rest) = config.split_once("[[sources]]\nid = \"main\"").unwrap();
        let (_, rest) = rest.split_once("[[sources]]\nid = \"other\"").unwrap();
        let (target, rest) = rest.split_once("[[toggles]]\nkey = \"us\"").unwrap();
        let (_, beta) = rest.split_once("[[toggles]]\nkey = \"beta\"").unwrap();
        format!("{before}[[sources]]\nid = \"other\"{target}[[toggles]]\nkey = \"beta\"{beta}")
    });
    world.reload(&daemon, str::to_owned);
    wait_for_registration(&world);
    daemon.wait_healthy();
}
