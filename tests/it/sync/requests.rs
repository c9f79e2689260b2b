//! Which requests a REST target sees.

use serde_json::json;

use crate::support::{World, owned};

const SPEC: &str = "name = \"US\"\ntags = [\"a\", \"b\"]";

#[test]
fn a_toggle_is_read_where_it_can_be_created_described_and_gets_its_users_sorted() {
    let create = r#"POST /api/toggles {"key":"us","name":"US","tags":["a","b"]}"#;
    let describe = r#"PATCH /api/toggles/us {"name":"US","tags":["a","b"]}"#;
    let update = r#"PATCH /api/toggles/us {"users":["Zoe","ann","bob"]}"#;
    for (spec, is_readable, is_there, expected) in [
        (SPEC, false, false, &[create, update][..]),
        (SPEC, false, true, &[create, describe, update]),
        (SPEC, true, false, &["GET /api/toggles/us", create, update]),
        (
            "",
            false,
            true,
            &[r#"POST /api/toggles {"key":"us"}"#, update],
        ),
    ] {
        let plan = World::of(&["us"]).spec("us", spec);
        let world = if is_readable { plan.readable() } else { plan }.build();
        if is_there {
            world.store.put("us", &["eve"]);
        }
        world.opa.allow("us", &["bob", "ann", "bob", "Zoe"]);
        world.sync(&[]).exits(0);
        assert_eq!(world.store.http.lines("*"), expected);
    }
}

#[test]
fn a_readable_target_is_only_told_what_differs() {
    let keys = ["same", "order", "users", "spec", "nobody"];
    let mut plan = World::of(&keys).readable();
    for key in keys {
        plan = plan.spec(key, SPEC);
    }
    let world = plan.build();
    let there = |users: &[&str]| json!({"name": "US", "tags": ["a", "b"], "users": users});
    world.store.put_members("same", there(&["ann", "bob"]));
    world.store.put_members("order", there(&["bob", "ann"]));
    world.store.put_members("users", there(&["ann", "eve"]));
    world
        .store
        .put_members("spec", json!({"name": "Old", "users": ["ann", "bob"]}));
    world.store.put_members("nobody", there(&[]));
    for key in keys {
        world.opa.allow(key, &["ann", "bob"]);
    }
    world.opa.allow("nobody", &[]);
    world.sync(&[]).exits(0);
    for key in ["same", "order", "nobody"] {
        assert_eq!(world.updates(key), 0, "{key}: nothing differs");
    }
    assert_eq!(
        world.store.http.lines("* /api/toggles/users"),
        [
            "GET /api/toggles/users",
            r#"PATCH /api/toggles/users {"users":["ann","bob"]}"#,
        ]
    );
    assert_eq!(world.store.toggle("spec").unwrap()["name"], "US");
    assert_eq!(world.store.users("spec"), Some(owned(&["ann", "bob"])));
    assert_eq!(world.store.http.count("POST *"), 0);
}

#[test]
fn keys_are_percent_encoded_in_paths_and_nowhere_else() {
    let key = "a b/c%é";
    let world = World::of(&[key]).readable().build();
    world.opa.allow(key, &["ann"]);
    world.sync(&[]).exits(0);
    let path = "/api/toggles/a%20b%2Fc%25%C3%A9";
    assert_eq!(
        world.store.http.lines("*"),
        [
            format!("GET {path}"),
            format!("POST /api/toggles {}", json!({ "key": key })),
            format!("PATCH {path} {}", json!({ "users": ["ann"] })),
        ]
    );
}

#[test]
fn the_answers_of_a_create_and_an_update_may_be_any_2xx_with_any_body() {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    let raw = |text: &str| crate::support::Fault::Raw(text.as_bytes().to_vec());
    let empty = "HTTP/1.1 204 No Content\r\n\r\n";
    let html = "HTTP/1.1 202 Accepted\r\ncontent-length: 6\r\n\r\n<html>";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    world.store.http.next(1, "POST *", raw(html));
    world.store.http.next(1, "POST *", raw(empty));
    world.store.http.next(1, "PATCH *", raw(empty));
    world.store.http.next(1, "PATCH *", raw(chunked));
    world.sync(&[]).exits(0);
    assert_eq!(world.store.http.count("*"), 4);
}
