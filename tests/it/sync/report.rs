//! What `sync` prints.

use serde_json::json;

use crate::support::World;

fn many(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("user-{number:04}"))
        .collect()
}

fn slices(users: &[String]) -> Vec<&str> {
    users.iter().map(String::as_str).collect()
}

#[test]
fn each_toggle_has_a_line_in_columns_and_a_summary_ends_it() {
    let keys = ["us-feature", "billing-feature", "beta-feature"];
    let world = World::of(&keys).readable().build();
    let users = many(1043);
    world.store.put("us-feature", &slices(&users));
    world
        .opa
        .allow("us-feature", &[&slices(&users[2..]), &["zoe"][..]].concat());
    for key in ["billing-feature", "beta-feature"] {
        world.store.put(key, &["ann", "bob", "cid"]);
    }
    world.opa.allow("billing-feature", &["ann", "bob", "cid"]);
    let output = world.sync(&[]).exits(1);
    let output = output.sums_up("3 toggles: 1 updated, 1 unchanged, 1 failed");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "us-feature        +1 -2   1042 users   updated",
            "billing-feature   =          3 users   unchanged",
            "beta-feature      failed: rule data.app.rbac.beta_feature is undefined: is its policy loaded, and its name spelled correctly?",
        ]
    );
    assert!(world.store.has("beta-feature", &["ann", "bob", "cid"]));
}

#[test]
fn what_a_target_had_that_cannot_be_read_is_not_known() {
    for is_there in [true, false] {
        let world = World::of(&["rest-feature"]).build();
        if is_there {
            world.store.put("rest-feature", &["eve"]);
        }
        world.opa.allow("rest-feature", &slices(&many(17)));
        let output = world.sync(&[]).exits(0);
        output
            .reports("rest-feature ? 17 users set")
            .sums_up("1 toggle: 1 updated");
        let document = world.sync(&["--format", "json"]).exits(0).json();
        let row = &document["toggles"][0];
        assert_eq!((&row["result"], &row["users"]), (&json!("set"), &json!(17)));
        assert!(row["added"].is_null() && row["removed"].is_null(), "{row}");
    }
}

#[test]
fn users_that_come_and_go_are_named_with_verbose_only() {
    let world = World::of(&["us"]).readable().build();
    let change = || {
        world.store.put("us", &["stays-here", "goes-away"]);
        world.opa.allow("us", &["stays-here", "comes-new"]);
    };
    change();
    let quiet = world.sync(&[]).exits(0);
    let quiet = quiet.says_not("goes-away").says_not("comes-new");
    assert!(!quiet.stderr.contains("comes-new"), "{}", quiet.picture());
    change();
    let verbose = world.program.run(&["-v", "sync"]).exits(0);
    verbose
        .says("goes-away")
        .says("comes-new")
        .says_not("stays-here");
}

#[test]
fn json_has_the_same_facts() {
    let world = World::of(&["us", "same", "new", "broken"])
        .readable()
        .build();
    world.store.put("us", &["ann", "bob", "cid"]);
    world.opa.allow("us", &["ann", "dan"]);
    world.store.put("same", &["ann"]);
    world.opa.allow("same", &["ann"]);
    world.opa.allow("new", &["ann"]);
    let document = world.sync(&["--format", "json"]).exits(1).json();
    let rows = document["toggles"].as_array().unwrap();
    let results = rows.iter().map(|row| [&row["key"], &row["result"]]);
    assert_eq!(
        results.collect::<Vec<_>>(),
        [
            ["us", "updated"],
            ["same", "unchanged"],
            ["new", "created"],
            ["broken", "failed"],
        ]
    );
    let numbers = [&rows[0]["added"], &rows[0]["removed"], &rows[0]["users"]];
    assert_eq!(numbers, [1, 2, 2]);
    let error = rows[3]["error"].as_str().unwrap();
    assert!(
        error.contains("data.app.rbac.broken is undefined"),
        "{error}"
    );
    for result in ["created", "updated", "unchanged", "failed"] {
        assert_eq!(document["summary"][result], 1, "{result}");
    }
}

#[test]
fn a_change_of_metadata_alone_shows_in_every_format() {
    let world = World::of(&["us"])
        .readable()
        .spec("us", "name = \"US\"")
        .build();
    world.store.put("us", &["ann"]);
    world.opa.allow("us", &["ann"]);
    let dry_run = |format: &str| world.sync(&["--dry-run", "--format", format]).exits(0);
    dry_run("human").reports("us = 1 user would be updated (metadata)");
    dry_run("markdown").says("| 1 | would be updated (metadata) |");
    let toggle = || dry_run("json").json()["toggles"][0].clone();
    assert_eq!(toggle()["described"], true);
    world
        .sync(&[])
        .exits(0)
        .reports("us = 1 user updated (metadata)");
    assert_eq!(toggle()["described"], false);
}

#[test]
fn a_reader_that_leaves_before_the_end_is_no_failure() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let (_, nothing) = std::io::pipe().unwrap();
    let child = world
        .program
        .spawn_into(&["-q", "sync"], nothing, std::process::Stdio::piped());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_was_done_before_a_failure_shows_in_every_format_and_counts_as_a_change() {
    for readable in [true, false] {
        let run = |format: &str| {
            let plan = World::of(&["us", "broken"]);
            let world = if readable { plan.readable() } else { plan }.build();
            world.opa.allow("us", &["ann"]);
            let output = world.sync(&["--format", format]).exits(1);
            assert!(world.store.toggle("broken").is_some());
            output.complains("toggles=2 changed=2 failed=1")
        };
        let failed = "failed: rule data.app.rbac.broken is undefined";
        run("human")
            .reports_start(&format!("broken created, {failed}"))
            .says("2 toggles: 1 ");
        let toggle = run("json").json()["toggles"][1].clone();
        assert_eq!(
            [&toggle["result"], &toggle["created"]],
            [&json!("failed"), &json!(true)]
        );
        run("markdown").says(&format!("| `broken` |  |  |  | created, {failed}"));
    }
}
