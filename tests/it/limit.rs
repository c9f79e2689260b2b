//! `max_removal`, seen from outside.

mod defaults;
mod memory;

use serde_json::json;

use crate::support::World;

/// A toggle that ann, bob, cid and dan have; no change may remove more than half of them.
fn world(limit: &str) -> World {
    let world = World::of(&["us", "tax"])
        .readable()
        .setting(&format!("max_removal = {limit}"))
        .build();
    for key in ["us", "tax"] {
        world.store.put(key, &["ann", "bob", "cid", "dan"]);
        world.opa.allow(key, &["ann", "bob", "cid", "dan"]);
    }
    world
}

#[test]
fn serve_holds_back_what_removes_too_many_and_says_so_until_it_is_within_the_limit() {
    let world = world("\"50%\"");
    let daemon = world.serve_in_step();
    world.change("us", &["ann"]);
    world.change("tax", &["ann", "bob", "eve"]);
    world.wait_for_users("tax", &["ann", "bob", "eve"]);
    daemon.wait_failing();
    assert_eq!(daemon.toggle("us")["state"], "held");
    let health = daemon.get("/health").text();
    assert!(health.contains("3 of 4 users"), "{health}");
    let metrics = daemon.get("/metrics").text();
    for line in [
        "optoggles_toggle_held{source=\"main\",target=\"restapi\",toggle=\"us\"} 1",
        "optoggles_toggle_in_sync{source=\"main\",target=\"restapi\",toggle=\"us\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    assert!(world.store.has("us", &["ann", "bob", "cid", "dan"]));
    world.change("us", &["ann", "bob", "cid"]);
    world.wait_for_users("us", &["ann", "bob", "cid"]);
    daemon.wait_healthy();
    daemon
        .terminate()
        .exits(0)
        .complains("] held toggle=us: it would remove 3 of 4 users")
        .complains("] no longer held toggle=us\n");
}

#[test]
fn sync_says_held_and_lets_it_through_when_it_is_forced() {
    let world = world("1");
    world.opa.allow("us", &["ann", "eve"]);
    let output = world.sync(&[]).exits(1);
    let output = output
        .reports_start("us held: it would remove 3 of 4 users, more than max_removal = 1 allows")
        .reports("tax = 4 users unchanged")
        .sums_up("2 toggles: 1 unchanged, 1 held");
    assert!(output.stdout.contains("--force"));
    world
        .program
        .run(&["sync", "--dry-run", "--exit-code"])
        .exits(1)
        .sums_up("2 toggles: 1 unchanged, 1 held");
    let json = world.sync(&["--format", "json"]).exits(1).json();
    assert_eq!(json["toggles"][0]["result"], "held");
    assert_eq!(json["summary"]["held"], json!(1));
    world
        .program
        .run(&["sync", "--dry-run", "--force"])
        .exits(0)
        .reports("us +1 -3 2 users would be updated");
    assert!(world.store.has("us", &["ann", "bob", "cid", "dan"]));
    world
        .sync(&["--force"])
        .exits(0)
        .reports("us +1 -3 2 users updated");
    assert!(world.store.has("us", &["ann", "eve"]));
}

#[test]
fn a_toggle_can_have_a_limit_of_its_own() {
    let world = World::of(&["us"])
        .readable()
        .setting("max_removal = 0")
        .spec(
            "us",
            "a = 1\n[[toggles]]\nkey = \"own\"\nmax_removal = \"100%\"\nusers_policy = { \
               source = \"main\", package = \"app.rbac\", rule = \"own\" }",
        )
        .build();
    for key in ["us", "own"] {
        world
            .store
            .put_members(key, json!({ "users": ["ann"], "a": 1 }));
        world.opa.allow(key, &[]);
    }
    world
        .sync(&[])
        .exits(1)
        .sums_up("2 toggles: 1 updated, 1 held");
    assert!(world.store.has("own", &[]) && world.store.has("us", &["ann"]));
}

#[test]
fn who_would_lose_what_is_held_is_told_in_every_format() {
    let world = world("1");
    world.opa.allow("us", &["ann", "eve"]);
    let run = |format: &str| {
        let args = ["sync", "--dry-run", "-v", "--format", format];
        world.program.run(&args).exits(1)
    };
    let human = run("human");
    for line in ["  + eve", "  - bob", "  - cid", "  - dan"] {
        assert!(
            human.stdout.lines().any(|it| it == line),
            "{}",
            human.stdout
        );
    }
    let toggle = run("json").json()["toggles"][0].clone();
    assert_eq!(toggle["result"], "held");
    assert_eq!(
        (&toggle["users"], &toggle["removed"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(toggle["removed_users"], json!(["bob", "cid", "dan"]));
    let row = "| `us` | +1: `eve` | −3: `bob` `cid` `dan` | 2 | held: it would remove 3 of 4 users";
    run("markdown").says(row);
}

#[test]
fn a_pass_that_is_forced_ends_the_hold_of_a_daemon_that_can_read_the_target() {
    let world = world("\"50%\"");
    let daemon = world.serve_in_step();
    world.change("us", &["ann"]);
    daemon.wait_failing();
    world.sync(&["--force", "--toggle", "us"]).exits(0);
    world.change("us", &["ann", "eve"]);
    world.wait_for_users("us", &["ann", "eve"]);
    daemon.wait_healthy();
}
