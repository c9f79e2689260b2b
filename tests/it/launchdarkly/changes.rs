//! From a change of the policy to the flags.

use serde_json::json;

use super::*;
use crate::audit;
use crate::support::Fault;
use crate::support::launchdarkly::{Target, refusal};

#[test]
fn a_new_flag_is_on_for_exactly_the_users_of_the_rule_in_the_listed_environments() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann", "bob"]);
    flags
        .sync(&[])
        .exits(0)
        .reports("us +2 2 users created")
        .sums_up("1 toggle: 1 created");
    assert!(flags.is_on_for("us", &["ann", "bob"], &["eve", "Ann"]));
    let platform = flags.platform();
    let flag = platform.flag("default", "us").unwrap();
    assert!(!flag.environments["staging"].on, "it is not listed");
    assert!(flag.client_side.using_environment_id && flag.client_side.using_mobile_key);
    drop(platform);
    assert_eq!(flags.count("PATCH", "us"), 2, "one for each environment");
}

#[test]
fn one_user_more_among_ten_thousand_takes_a_small_request_for_each_environment() {
    let flags = Flags::of(&["us"]).build();
    let names: Vec<String> = (0..10_000)
        .map(|n| format!("user-{n:05}@example.com"))
        .collect();
    let mut users: Vec<&str> = names.iter().map(String::as_str).collect();
    flags.opa.allow("us", &users);
    let _daemon = flags.serve_in_step();
    assert!(flags.is_on_for("us", &["user-00000@example.com"], &["eve"]));
    let (reads, patches) = (flags.count("GET", "*"), flags.count("PATCH", "*"));
    users.push("eve");
    flags.change("us", &users);
    flags.wait_until_on_for("us", &["user-09999@example.com", "eve"], &["mallory"]);
    let sent = flags.requests("PATCH").split_off(patches);
    assert_eq!(sent.len(), 2);
    for patch in &sent {
        assert!(patch.body.len() < 1000, "{} bytes", patch.body.len());
    }
    assert_eq!(
        flags.count("GET", "*"),
        reads,
        "nothing has to be read for that"
    );
    for _ in 0..2 {
        let asked = || flags.opa.http.count("GET /v1/data/app/rbac/us*");
        let before = asked();
        flags.change("us", &users);
        let more = "OPA was asked once more";
        flags.stage.wait_until(more, || asked() > before);
    }
    assert_eq!(flags.count("PATCH", "*"), patches + 2);
}

#[test]
fn a_set_that_becomes_another_altogether_is_sent_whole() {
    let flags = Flags::of(&["us"]).setting("max_removal = \"off\"").build();
    let names: Vec<String> = (0..100).map(|n| format!("user-{n}")).collect();
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    flags.opa.allow("us", &users);
    let _daemon = flags.serve_in_step();
    flags.change("us", &["eve"]);
    flags.wait_until_on_for("us", &["eve"], &["user-0", "user-99"]);
    let last = flags.requests("PATCH").pop().unwrap();
    assert!(last.line().contains("replaceTargets"), "{}", last.line());
    flags.change("us", &[]);
    flags.wait_until_on_for("us", &[], &["eve"]);
}

#[test]
fn a_flag_that_was_deleted_is_created_again() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann"]);
    let _daemon = flags.serve_in_step();
    flags.platform().delete("default", "us");
    flags.change("us", &["bob"]);
    flags.wait_until_on_for("us", &["bob"], &["ann"]);
}

/// Lets no read see the flag before it is created, and twice after that: with its environments, and without.
fn hide(flags: &Flags) -> String {
    let read = format!("GET {}*", path_of("default", "us"));
    let unseen = refusal(404, "Unknown feature flag key");
    flags
        .launchdarkly
        .http
        .next(6, &read, Fault::Answer(unseen));
    read
}

#[test]
fn a_flag_that_is_not_seen_right_after_it_was_created_is_no_obstacle() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann"]);
    let read = hide(&flags);
    let http = &flags.launchdarkly.http;
    let conflict = refusal(409, "try again");
    http.next(1, "PATCH *", Fault::Answer(conflict));
    flags.sync(&[]).exits(0);
    assert!(http.count(&read) > 6, "it was read until it was seen");
    assert!(flags.is_on_for("us", &["ann"], &["eve"]));
}

#[test]
fn a_flag_that_cannot_be_changed_right_after_it_was_created_is_tried_again() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann"]);
    hide(&flags);
    let unknown = Fault::Answer(refusal(404, "Unknown feature flag key"));
    flags.launchdarkly.http.next(3, "PATCH *", unknown);
    let output = flags.sync(&[]).exits(0);
    output.reports("us +1 1 user created");
    assert!(flags.is_on_for("us", &["ann"], &["eve"]));
}

#[test]
fn two_instances_that_send_the_same_change_leave_the_right_users() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann"]);
    let (_one, _two) = (flags.serve_in_step(), flags.serve_in_step());
    for (users, others) in [
        (&["ann", "bob"][..], &["eve"][..]),
        (&["bob", "eve"], &["ann"]),
        (&[], &["ann", "bob", "eve"]),
    ] {
        let before = flags.count("PATCH", "us");
        flags.change("us", users);
        let both = "both have sent it to each environment";
        flags.stage.wait_until(both, || {
            flags.count("PATCH", "us") == before + 2 * ENVIRONMENTS.len()
        });
        flags.wait_until_on_for("us", users, others);
    }
}

#[test]
fn after_a_reload_a_flag_is_read_before_it_is_changed() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann"]);
    let daemon = flags.serve_in_step();
    flags.program.reload(&daemon, flags.program.config());
    flags.stage.wait_until("it is reloaded", || {
        daemon.process.stderr().contains("cause=reload")
    });
    let mut platform = flags.platform();
    for environment in ENVIRONMENTS {
        let config = platform.edit("default", "us").environment(environment);
        config.targets = vec![Target::new("user", 0, &["ann", "mallory"])];
        config.mark_order();
    }
    drop(platform);
    flags.change("us", &["ann", "bob"]);
    flags.wait_until_on_for("us", &["ann", "bob"], &["mallory"]);
}

/// Its configuration with an OPA without OPAL, which tells the revisions of its bundles.
fn with_plain_opa(flags: &Flags) -> String {
    let config = flags.program.config();
    let (before, rest) = config.split_once("[[sources]]").unwrap();
    let (_, target) = rest.split_once("[target]").unwrap();
    let url = flags.opa.http.url();
    let source = format!("[[sources]]\nid = \"main\"\ntype = \"opa\"\nurl = \"{url}\"\n");
    format!("{before}{source}[target]{target}")
}

#[test]
fn a_comment_names_the_rule_and_the_revision_by_which_opa_decided() {
    let mut flags = Flags::of(&["us"]).build();
    let config = with_plain_opa(&flags);
    flags.program.set_config(&config);
    for (bundles, words) in [
        (json!({ "app": { "revision": "3f1c" } }), ", revision 3f1c"),
        (
            json!({ "a": { "revision": "1" }, "b": { "revision": "2" } }),
            ", revision a=1, b=2",
        ),
        (json!(null), ""),
    ] {
        let users = ["ann".to_owned(), format!("another{words}")];
        let provenance = json!({ "version": "1.9.0", "bundles": bundles });
        flags
            .opa
            .answer("us", json!({ "result": users, "provenance": provenance }));
        flags.sync(&["--force"]).exits(0);
        let comment = flags.requests("PATCH").pop().unwrap().json()["comment"].take();
        let rule = "optoggles: data.app.rbac.us";
        assert_eq!(comment, format!("{rule}{words}"));
    }
}

#[test]
fn a_flag_that_is_created_for_nobody_changes_no_users() {
    let flags = Flags::of(&["us"]).setting(audit::SETTING).build();
    flags.opa.allow("us", &[]);
    flags.sync(&[]).exits(0);
    assert!(audit::lines(&flags.program).is_empty());
}

#[test]
fn the_revision_of_opas_bundles_and_the_environment_are_in_the_line_and_no_secret() {
    let mut flags = Flags::of(&["us"]).build();
    let config = format!("{}\n{}", audit::SETTING, with_plain_opa(&flags));
    let config = config.replace("\"production\"", "\"${NOWHERE_ELSE}\"");
    assert!(config.contains("NOWHERE_ELSE"));
    flags.program.set_config(&config);
    flags.program.set_env("NOWHERE_ELSE", "production");
    // One that OPA's bundles repeat.
    let provenance = json!({ "bundles": { "app": { "revision": "3f1c-production" } } });
    let answer = json!({ "result": ["ann"], "provenance": provenance });
    flags.opa.answer("us", answer);
    flags.sync(&[]).exits(0);
    let lines = audit::lines(&flags.program);
    let mut environments: Vec<_> = lines
        .iter()
        .map(|it| it["environment"].to_string())
        .collect();
    environments.sort();
    assert_eq!(environments, ["\"[redacted:NOWHERE_ELSE]\"", "\"test\""]);
    assert_eq!(lines[0]["revision"], "3f1c-[redacted:NOWHERE_ELSE]");
    let comment = flags.requests("PATCH").pop().unwrap().json()["comment"].take();
    assert!(!comment.to_string().contains("production"), "{comment}");
    let host = rustix::system::uname();
    let host = host.nodename().to_str().unwrap();
    assert_eq!(lines[0]["instance"], host);
}
