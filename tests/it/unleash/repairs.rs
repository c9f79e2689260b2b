//! What others change in Unleash is put right.

use serde_json::Value;

use super::feature::{Environment, served, strategy};
use super::*;

/// Each way in which a strategy of ours, or what is around it, can be changed.
const CHANGES: [fn(&mut Environment); 12] = [
    |it| it.enabled = false,
    |it| it.strategies.clear(),
    |it| {
        it.strategies.push(strategy(
            "everyone",
            "us",
            &json!({ "name": "flexibleRollout" }),
        ))
    },
    |it| it.strategies[0]["constraints"] = json!([]),
    |it| it.strategies[0]["constraints"][0]["inverted"] = json!(true),
    |it| it.strategies[0]["constraints"][0]["operator"] = json!("NOT_IN"),
    |it| it.strategies[0]["constraints"][0]["values"] = json!(["eve"]),
    |it| it.strategies[0]["parameters"]["rollout"] = json!("50"),
    |it| it.strategies[0]["disabled"] = json!(true),
    |it| it.strategies[0]["segments"] = json!([1]),
    |it| it.strategies[0]["title"] = Value::Null,
    |it| {
        it.strategies[0]["variants"] = json!([{ "name": "a", "weight": 1000, "weightType": "variable", "stickiness": "default" }])
    },
];

#[test]
fn explain_does_not_guess_whom_a_rollout_of_others_lets_in() {
    let flags = Flags::one().build();
    flags.follow(&["ann"]).exits(0);
    let explain = || flags.program.run(&["explain", "us", "ann"]);
    explain().exits(0).says("\n  development   on\n");
    let mut platform = flags.platform();
    let environment = platform.environment("us", "development");
    environment.strategies[0]["parameters"]["rollout"] = json!("50");
    environment.settle();
    drop(platform);
    let output = explain().exits(1);
    output.says("\n  development   ?     something other than lists of users decides there\n");
}

#[test]
fn whatever_others_change_is_put_right() {
    let flags = Flags::one().build();
    flags.follow(&["ann", "bob"]).exits(0);
    let first = flags.platform().environment("us", "development").clone();
    for (number, change) in CHANGES.into_iter().enumerate() {
        let mut platform = flags.platform();
        let environment = platform.environment("us", "development");
        *environment = first.clone();
        change(environment);
        environment.settle();
        drop(platform);
        flags.sync().exits(0).sums_up("1 toggle: 1 updated");
        assert!(
            flags.is_on_for("us", "development", &["ann", "bob"], &["eve"]),
            "change {number}"
        );
        let mut platform = flags.platform();
        let now = platform.environment("us", "development");
        let expected = strategy(
            now.strategies[0]["id"].as_str().unwrap(),
            "us",
            &first.strategies[0],
        );
        assert_eq!(now.strategies, [expected], "change {number}");
        assert!(now.enabled);
    }
}

#[test]
fn a_strategy_for_everyone_that_unleash_adds_when_it_is_turned_on_is_gone_before_the_update_is_done()
 {
    let flags = Flags::one().build();
    flags.platform().thief = true;
    flags.follow(&["ann"]).exits(0);
    assert!(flags.is_on_for("us", "development", &["ann"], &["eve"]));
    let platform = flags.platform();
    let had_it = |(_, list): &(_, _)| !served(list, "us", &["eve"]).is_empty();
    assert!(platform.history.iter().any(had_it), "Unleash has added one");
}

#[test]
fn a_change_finds_out_that_others_removed_its_strategy() {
    let flags = Flags::one().build();
    flags.opa.allow("us", &["ann"]);
    let daemon = flags.serve_in_step();
    let mut platform = flags.platform();
    platform.environment("us", "development").strategies.clear();
    platform.environment("us", "development").settle();
    drop(platform);
    flags.change("us", &["ann", "bob"]);
    flags.stage.wait_until("ann and bob have it", || {
        flags.is_on_for("us", "development", &["ann", "bob"], &["eve"])
    });
    daemon.wait_healthy();
}

#[test]
fn a_list_that_shows_what_was_there_before_a_change_undoes_nothing() {
    let flags = Flags::of(&["us", "tax", "eu"])
        .setting("resync_interval = \"1s\"")
        .build();
    for key in ["us", "tax", "eu"] {
        flags.opa.allow(key, &["ann"]);
    }
    let daemon = flags.serve_in_step();
    flags.platform().lags = true;
    flags.change("us", &["bob"]);
    let lists = flags.count("GET /api/client/*");
    flags.stage.wait_until("there were two resyncs", || {
        flags.count("GET /api/client/*") >= lists + 4
    });
    for place in ENVIRONMENTS {
        assert!(flags.is_on_for("us", place, &["bob"], &["ann"]));
    }
    assert_eq!(flags.count("PUT *"), 2);
    daemon.wait_healthy();
}

#[test]
fn two_instances_that_add_the_same_strategy_leave_one() {
    let flags = Flags::one().build();
    flags.opa.allow("us", &[]);
    let (one, two) = (flags.serve_in_step(), flags.serve_in_step());
    for users in [&["ann", "bob"][..], &[], &["zoe"]] {
        flags.change("us", users);
        flags.stage.wait_until("the users are listed once", || {
            let listed = flags.platform().listed("us", "development");
            users.is_empty() || listed == [users]
        });
    }
    one.wait_healthy();
    two.wait_healthy();
}

#[test]
fn what_others_change_while_it_is_off_lets_no_one_in_when_it_is_turned_on() {
    for change in [CHANGES[1], CHANGES[2]] {
        let flags = Flags::one().build();
        flags.opa.allow("us", &["ann"]);
        let daemon = flags.serve_in_step();
        flags.change("us", &[]);
        let is_on = || flags.platform().environment("us", "development").enabled;
        flags.stage.wait_until("it is off", || !is_on());
        change(flags.platform().environment("us", "development"));
        flags.change("us", &["bob"]);
        flags.stage.wait_until("bob has it", || {
            flags.is_on_for("us", "development", &["bob"], &["ann"])
        });
        let platform = flags.platform();
        let had_it = |(_, list): &(_, _)| !served(list, "us", &["eve"]).is_empty();
        assert!(!platform.history.iter().any(had_it));
        drop(platform);
        daemon.wait_healthy();
    }
}

#[test]
fn a_feature_that_others_delete_is_created_again_by_the_next_change() {
    let flags = Flags::one().build();
    flags.platform().limits.values = 1;
    flags.opa.allow("us", &["ann", "bob"]);
    let daemon = flags.serve_in_step();
    flags.platform().delete("us");
    flags.change("us", &["ann"]);
    flags.stage.wait_until("ann has it again", || {
        flags.is_on_for("us", "development", &["ann"], &["bob"])
    });
    daemon.wait_healthy();
}
