//! What somebody has to change says so in words.

use serde_json::json;

use super::*;
use crate::support::launchdarkly::refusal;
use crate::support::{Answer, Fault, Server};

/// Syncs once, which fails with these words.
#[track_caller]
fn fails_with(flags: &Flags, words: &[&str]) {
    flags.opa.allow("us", &["ann"]);
    let output = flags.sync(&[]).exits(1);
    for part in words {
        assert!(
            output.stdout.contains(part),
            "no {part:?}\n{}",
            output.picture()
        );
    }
}

#[test]
fn a_wrong_token_is_named() {
    let flags = Flags::of(&["us"]).build();
    let fault = Fault::Answer(refusal(401, "Invalid access token"));
    flags.launchdarkly.http.always("*", fault);
    fails_with(
        &flags,
        &[
            "flag us of project default",
            "Invalid access token",
            "set `token` of `[target]`",
        ],
    );
}

#[test]
fn a_redirect_leads_nowhere_and_the_error_says_what_to_configure() {
    let flags = Flags::of(&["us"]).build();
    let handler = Box::new(|_: &Request| Answer::json(200, &json!({})));
    let elsewhere = Server::start_new(&flags.stage, "elsewhere", handler);
    let moved = Answer::json(301, &json!({})).with("location", &elsewhere.url());
    flags.launchdarkly.http.always("*", Fault::Answer(moved));
    flags.opa.allow("us", &["ann"]);
    let output = flags.sync(&["--timeout", "100ms"]).exits(1);
    output
        .says("answered 301")
        .says("(redirects are not followed: configure the address it leads to)");
    assert_eq!(elsewhere.count("*"), 0);
}

#[test]
fn a_token_without_the_right_to_write_is_named() {
    let flags = Flags::of(&["us"]).build();
    let fault = Fault::Answer(refusal(403, "Access to the requested resource was denied"));
    flags.launchdarkly.http.always("POST *", fault);
    fails_with(&flags, &["denied", "role Writer"]);
}

#[test]
fn a_project_that_does_not_exist_is_named() {
    let spec = "name = \"US\"\nproj_key = \"nowhere\"\nenvironments = [\"production\"]";
    let flags = Flags::of(&["us"]).spec(spec).build();
    fails_with(
        &flags,
        &[
            "the project nowhere does not exist",
            "correct `proj_key` of the toggle us",
        ],
    );
}

#[test]
fn an_environment_that_does_not_exist_is_named() {
    for strict in [true, false] {
        let spec = "name = \"US\"\nproj_key = \"default\"\nenvironments = [\"test\", \"prod\"]";
        let flags = Flags::of(&["us"]).spec(spec).build();
        flags.platform().strict_environments = strict;
        fails_with(
            &flags,
            &[
                "project default has no environment prod",
                "correct `environments`",
            ],
        );
    }
}

#[test]
fn approvals_that_are_required_are_named() {
    for status in [405, 403] {
        let flags = Flags::of(&["us"]).build();
        flags
            .platform()
            .require_approval("default", "production", status);
        fails_with(
            &flags,
            &["approval is required", "let the token bypass approvals"],
        );
    }
}

#[test]
fn a_flag_that_is_not_boolean_is_named_and_left_alone() {
    let flags = Flags::of(&["us"]).build();
    flags
        .platform()
        .put("default", "us", &[json!("a"), json!("b")]);
    fails_with(&flags, &["the flag us is not boolean", "another key"]);
    assert_eq!(flags.count("PATCH", "*"), 0);
}

#[test]
fn an_archived_flag_is_named_and_left_alone() {
    let flags = Flags::of(&["us", "tax"]).build();
    flags
        .platform()
        .put("default", "us", &[json!(true), json!(false)]);
    flags.platform().edit("default", "us").archived = true;
    flags.opa.allow("tax", &["bob"]);
    fails_with(&flags, &["the flag us is archived: restore it"]);
    assert_eq!(flags.count("PATCH", "us"), 0);
    assert!(
        flags.is_on_for("tax", &["bob"], &["ann"]),
        "the other one is not hindered"
    );
}

#[test]
fn a_key_that_launchdarkly_would_refuse_is_found_before_anything_is_asked() {
    let spec = "name = \"\"\nproj_key = \"de fault\"\nenvironments = [\"test\", \"test\", \"ü\"]\n\
                tags = [\"a b\"]\nprojKey = \"x\"";
    let flags = Flags::of(&["us feature"]).spec(spec).build();
    let output = flags.sync(&[]).exits(2);
    for words in [
        "`us feature` is not a valid LaunchDarkly flag key",
        "`name` is empty",
        "`de fault` is not a valid LaunchDarkly project key",
        "`environments` names the same twice",
        "`ü` is not a valid LaunchDarkly environment key",
        "`a b` is not a valid LaunchDarkly tag",
        "unknown key `projKey`",
    ] {
        assert!(
            output.stderr.contains(words),
            "no {words:?}\n{}",
            output.picture()
        );
    }
    assert_eq!(flags.count("*", "*"), 0);
}
