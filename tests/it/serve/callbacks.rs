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
fn a_large_callback_is_answered_like_a_small_one() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let _daemon = world.serve_in_step();
    world.opa.allow("us", &["bob"]);
    let answers = world.opal.call_back_with(8 << 20);
    assert_eq!(answers[0].status, 202);
    assert_eq!(answers[0].header("content-type"), Some("application/json"));
    assert_eq!(answers[0].text(), "{}");
    world.wait_for_users("us", &["bob"]);
}

#[test]
fn callbacks_during_a_pass_cause_exactly_one_more() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    let _daemon = world.serve_in_step();
    let before = world.queries("us");
    assert_eq!(world.queries("tax"), before);
    let hold = world.opa.http.hold("GET /v1/data/app/*");
    world.opal.call_back();
    let asked = |count| {
        move |world: &World| {
            world.queries("us") == before + count && world.queries("tax") == before + count
        }
    };
    world.wait_until("a pass has begun", || asked(1)(&world));
    for _ in 0..50 {
        world.opal.call_back();
    }
    world.opa.allow("us", &["bob"]);
    world.stays("passes do not overlap", || asked(1)(&world));
    hold.release();
    world.wait_for_users("us", &["bob"]);
    world.wait_until("the second pass has asked", || asked(2)(&world));
    world.stays("there is no third pass", || asked(2)(&world));
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
