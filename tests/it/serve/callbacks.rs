//! OPAL calls back.

use crate::support::World;

#[test]
fn a_callback_updates_the_toggles_that_changed_and_no_others() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["bob"]);
    let _daemon = world.serve_in_step();
    let before = world.store.http.count("*");
    world.change("us", &["ann", "cid"]);
    world.wait_for_users("us", &["ann", "cid"]);
    world.change("us", &[]);
    world.wait_for_users("us", &[]);
    let sent = world.store.http.lines("*").split_off(before);
    assert_eq!(
        sent,
        [
            r#"PATCH /api/toggles/us {"users":["ann","cid"]}"#,
            r#"PATCH /api/toggles/us {"users":[]}"#,
        ]
    );
}

#[test]
fn a_callback_after_which_nothing_changed_sends_nothing() {
    let world = World::of(&["us", "tax"]).readable().build();
    world.opa.allow("us", &["ann", "bob"]);
    world.opa.allow("tax", &[]);
    let _daemon = world.serve_in_step();
    let before = world.store.http.count("*");
    let queries = world.queries("us");
    world.change("us", &["bob", "ann"]);
    world.wait_until("us was asked for", || world.queries("us") > queries);
    world.stays("no request is sent", || {
        world.store.http.count("*") == before
    });
}

#[test]
fn a_callback_for_one_source_asks_no_other() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    let other = world.other.as_ref().unwrap();
    world.opa.allow("us", &["ann"]);
    other.opa.allow("beta", &["ann"]);
    let _daemon = world.serve_in_step();
    let before = other.opa.http.count("*");
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    assert_eq!(other.opa.http.count("*"), before);
}

#[test]
fn no_callback_of_one_source_is_lost_to_those_of_another() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    let other = world.other.as_ref().unwrap();
    world.opa.allow("us", &["0"]);
    other.opa.allow("beta", &["0"]);
    let _daemon = world.serve_in_step();
    std::thread::scope(|scope| {
        for (opa, opal, key) in [
            (&world.opa, &world.opal, "us"),
            (&other.opa, &other.opal, "beta"),
        ] {
            scope.spawn(move || {
                for round in 1..=100 {
                    opa.allow(key, &[round.to_string().as_str()]);
                    opal.call_back();
                }
            });
        }
    });
    world.wait_for_users("us", &["100"]);
    world.wait_for_users("beta", &["100"]);
}

#[test]
fn a_toggle_that_was_deleted_at_the_target_is_created_again() {
    let world = World::of(&["us"]).spec("us", "name = \"US\"").build();
    world.opa.allow("us", &["ann"]);
    let _daemon = world.serve_in_step();
    world.store.delete("us");
    let before = world.store.http.count("*");
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    let sent = world.store.http.lines("*").split_off(before);
    assert_eq!(
        sent,
        [
            r#"PATCH /api/toggles/us {"users":["bob"]}"#,
            r#"POST /api/toggles {"key":"us","name":"US"}"#,
            r#"PATCH /api/toggles/us {"users":["bob"]}"#,
        ]
    );
}
