//! What someone has to change says so in words.

use super::stand_in::BACKEND_TOKEN;
use super::*;
use crate::support::Fault;
use crate::support::wire::Answer;

#[track_caller]
fn fails_with(flags: &Flags, words: &str) {
    flags.follow(&["ann"]).exits(1).says(words);
}

#[test]
fn a_token_that_is_wrong_or_for_sdks_is_named() {
    let wrong = "answered 401: You must log in to use Unleash. (the token is wrong or has expired: set `token` of \
                 `[target]` to an admin token";
    fails_with(&Flags::one().token("*:*.wrong").build(), wrong);
    let for_sdks = "answered 403: invalid token: expected a different token type for this endpoint (the token does not \
                    allow this: it has to be one that may change features, and not one for SDKs)";
    fails_with(&Flags::one().token(BACKEND_TOKEN).build(), for_sdks);
}

#[test]
fn a_name_that_an_archived_feature_has_is_named() {
    let flags = Flags::one().build();
    flags.platform().put("us").archived = true;
    fails_with(
        &flags,
        "answered 409: An archived flag with that name already exists (names are unique",
    );
    assert_eq!(
        flags.count("* /api/admin/projects/default/features/us/*"),
        0
    );
}

#[test]
fn a_project_that_does_not_exist_is_named() {
    let flags = Flags::one()
        .spec("environments = [\"development\"]\nproject = \"nowhere\"")
        .build();
    fails_with(
        &flags,
        "the project nowhere does not exist, or the token cannot see it: correct `project`",
    );
}

#[test]
fn an_environment_that_does_not_exist_or_needs_change_requests_hinders_no_other() {
    let missing = "the project default has no environment production: correct `environments`";
    let guarded = "changes in this environment need a change request: give the token the permission to skip them";
    for words in [missing, guarded] {
        let flags = Flags::of(&["us"]).build();
        if words == missing {
            flags.platform().projects.get_mut("default").unwrap().pop();
        } else {
            flags.platform().guarded.insert("production".to_owned());
        }
        for users in [["ann"], ["bob"]] {
            flags.follow(&users).exits(1).says(words);
            assert!(flags.is_on_for("us", "development", &users, &["eve"]));
            assert!(flags.is_on_for("us", "production", &[], &["ann", "bob", "eve"]));
        }
    }
}

#[test]
fn a_feature_that_depends_on_another_is_an_error_while_its_strategies_follow() {
    let flags = Flags::one().build();
    flags.follow(&["ann"]).exits(0);
    flags.platform().edit("us").parent = Some("gate".to_owned());
    let words = "feature us of project default depends on the feature gate, and is off for users who are to have it \
                 wherever that is: remove the dependency in Unleash";
    for users in [["ann"], ["bob"]] {
        flags.follow(&users).exits(1).says(words);
        assert_eq!(flags.platform().listed("us", "development"), [users]);
    }
    flags.platform().edit("us").parent = None;
    flags.sync().exits(0);
}

#[test]
fn a_body_that_a_proxy_does_not_take_is_an_error_without_its_page() {
    let flags = Flags::one().build();
    let page = Answer {
        status: 413,
        headers: Vec::new(),
        body: b"<html><title>too large</title></html>".to_vec(),
    };
    flags
        .unleash
        .http
        .always("POST * constraints", Fault::Answer(page));
    flags.opa.allow("us", &["ann"]);
    let output = flags.program.run(&["sync", "--timeout", "300ms"]).exits(1);
    output.says("answered 413 (Unleash, or a proxy in front of it, takes no bodies of this size)");
}

#[test]
fn check_config_online_tells_of_the_token_the_places_and_the_limits_and_writes_nothing() {
    let flags = Flags::of(&["us", "tax"])
        .spec("environments = [\"production\", \"staging\"]")
        .build();
    for key in ["us", "tax"] {
        flags.opa.allow(key, &["ann"]);
    }
    let output = flags
        .program
        .run(&["-vv", "check-config", "--online"])
        .exits(1);
    let lines = output
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("target unleash"));
    let lines: Vec<String> = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let lacks = "environment default/staging failed: the project default has no environment staging: correct \
                 `environments`, or add it to the project in Unleash";
    assert_eq!(
        lines,
        [
            "token ok: an API token of type admin, called \"admin\"",
            "project default ok: exists",
            "environment default/production ok: exists",
            lacks,
            "limits ok: 7500 users of a toggle in an environment, in 30 strategies of 250",
        ]
    );
    assert_eq!(flags.count("GET *"), flags.count("*"));
    // The token comes back where something else should be.
    let answer = Answer::json(200, &json!({ "user": { "name": [TOKEN], "type": TOKEN } }));
    flags
        .unleash
        .http
        .always("GET /api/admin/user", Fault::Answer(answer));
    let output = flags.program.run(&["check-config", "--online"]).exits(1);
    output.says("/api/admin/user does not hold what it should");
}
