//! What somebody has to change says so in words.

use serde_json::json;

use super::*;
use crate::support::Fault;
use crate::support::launchdarkly::refusal;

/// Syncs once, which fails with these words.
#[track_caller]
fn fails_with(flags: &Flags, words: &[&str]) {
    flags.opa.allow("us", &["ann"]);
    let mut output = flags.sync(&[]).exits(1);
    for part in words {
        output = output.says(part);
    }
}

#[test]
fn what_launchdarkly_refuses_is_told_in_its_words_and_with_what_to_do() {
    for (set_up, words) in [
        (
            (|flags| {
                let fault = Fault::Answer(refusal(401, "Invalid access token"));
                flags.launchdarkly.http.always("*", fault);
            }) as fn(&Flags),
            [
                "flag us of project default: ",
                "Invalid access token",
                "set `token` of `[target]`",
            ],
        ),
        (
            |flags| {
                let fault = Fault::Answer(refusal(403, "Access was denied"));
                flags.launchdarkly.http.always("POST *", fault);
            },
            ["flag us of project default: ", "denied", "role Writer"],
        ),
        (
            |flags| {
                let mut platform = flags.platform();
                platform.require_approval("default", "production", 405);
            },
            [
                "405",
                "approval is required",
                "let the token bypass approvals",
            ],
        ),
        (
            |flags| {
                let mut platform = flags.platform();
                platform.require_approval("default", "production", 403);
            },
            [
                "403",
                "approval is required",
                "let the token bypass approvals",
            ],
        ),
    ] {
        let flags = Flags::of(&["us"]).build();
        set_up(&flags);
        fails_with(&flags, &words);
    }
}

#[test]
fn a_project_or_an_environment_that_does_not_exist_is_named() {
    let project = "the project nowhere does not exist";
    let environment = "project default has no environment prod";
    for (key, environments, strict, words) in [
        (
            "nowhere",
            "[\"production\"]",
            false,
            [project, "correct `proj_key` of the toggle us"],
        ),
        (
            "default",
            "[\"test\", \"prod\"]",
            true,
            [environment, "correct `environments`"],
        ),
        (
            "default",
            "[\"test\", \"prod\"]",
            false,
            [environment, "correct `environments`"],
        ),
    ] {
        let spec = format!("name = \"US\"\nproj_key = \"{key}\"\nenvironments = {environments}");
        let flags = Flags::of(&["us"]).spec(&spec).build();
        flags.platform().strict_environments = strict;
        fails_with(&flags, &words);
    }
}

#[test]
fn a_flag_that_is_archived_or_not_boolean_is_named_and_left_alone_and_hinders_no_other() {
    let boolean = [json!(true), json!(false)];
    let colours = [json!("a"), json!("b")];
    for (values, archived, words) in [
        (&boolean, true, "the flag us is archived: restore it"),
        (
            &colours,
            false,
            "the flag us is not boolean: give the toggle another key",
        ),
    ] {
        let flags = Flags::of(&["us", "tax"]).build();
        flags.platform().put("default", "us", values).archived = archived;
        flags.opa.allow("tax", &["bob"]);
        fails_with(&flags, &[words]);
        assert_eq!(flags.count("PATCH", "us"), 0);
        assert!(flags.is_on_for("tax", &["bob"], &["ann"]));
    }
}
