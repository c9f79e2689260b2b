//! What somebody has to change says so in words.

use serde_json::json;

use super::*;
use crate::support::Fault;
use crate::support::launchdarkly::refusal;
use crate::support::wire::Answer;

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
    let (wrong_token, no_role) = ("set `token` of `[target]`", "give it the role Writer");
    let approval = "let the token bypass approvals";
    for (which, status, message, help) in [
        ("*", 401, "Invalid access token", wrong_token),
        ("POST *", 403, "Access was denied", no_role),
        ("PATCH *", 405, "approval is required", approval),
        ("PATCH *", 403, "approval is required", approval),
    ] {
        let flags = Flags::of(&["us"]).build();
        let fault = Fault::Answer(refusal(status, message));
        flags.launchdarkly.http.always(which, fault);
        fails_with(&flags, &["flag us of project default: ", message, help]);
    }
}

#[test]
fn what_a_token_may_not_do_is_named() {
    let flags = Flags::of(&["us"]).build();
    let refused = json!({
        "code": "forbidden",
        "message": "Access to the requested resource was denied",
        "reason": { "effect": "deny" },
        "access": { "action": "createFlag", "resource": "proj/default:env/test:flag/us" },
    });
    let refused = Fault::Answer(Answer::json(403, &refused));
    flags.launchdarkly.http.always("POST *", refused);
    let missing = "was denied: createFlag on proj/default:env/test:flag/us (";
    fails_with(&flags, &["answered 403: forbidden: ", missing]);
}

#[test]
fn a_project_that_does_not_exist_is_named() {
    let spec = "name = \"US\"\nproj_key = \"nowhere\"\nenvironments = [\"test\"]";
    let flags = Flags::of(&["us"]).spec(spec).build();
    fails_with(
        &flags,
        &["the project nowhere does not exist", "correct `proj_key`"],
    );
}

#[test]
fn a_flag_that_is_archived_or_not_boolean_is_named_and_left_alone_and_hinders_no_other() {
    let boolean = [json!(true), json!(false)];
    let colours = [json!("a"), json!("b")];
    let not_boolean = "the flag us is not boolean: give the toggle another key";
    for (values, archived, words) in [
        (&boolean, true, "the flag us is archived: restore it"),
        (&colours, false, not_boolean),
    ] {
        let flags = Flags::of(&["us", "tax"]).build();
        flags.platform().put("default", "us", values).archived = archived;
        flags.opa.allow("tax", &["bob"]);
        fails_with(&flags, &[words]);
        assert_eq!(flags.count("PATCH", "us"), 0);
        assert!(flags.is_on_for("tax", &["bob"], &["ann"]));
    }
}

#[test]
fn what_references_bring_into_a_spec_is_not_repeated_after_launchdarkly_or_by_ourselves() {
    let spec = "name = \"${NAME}\"\nproj_key = \"${PROJECT}\"\n\
                environments = [\"test\", \"${ENVIRONMENT}\"]";
    let mut flags = Flags::of(&["us"]).spec(spec).build();
    let [name, project, environment] = ["name-44d0", "project-53e1", "environment-62f2"];
    for (variable, value) in [
        ("NAME", name),
        ("PROJECT", project),
        ("ENVIRONMENT", environment),
    ] {
        flags.program.set_env(variable, value);
        flags.stage.add_secret(value);
    }
    fails_with(&flags, &["the project [redacted:PROJECT] does not exist"]);
    flags.platform().add_project(project, &["test"]);
    let lacks = "the project [redacted:PROJECT] has no environment [redacted:ENVIRONMENT]";
    fails_with(&flags, &[lacks]);
    let args = ["-vv", "check-config", "--online"];
    let asked = "environment [redacted:PROJECT]/[redacted:ENVIRONMENT]   failed: does not exist";
    flags.program.run(&args).exits(1).says(asked);
    flags
        .platform()
        .add_project(project, &["test", environment]);
    let refused = Fault::Answer(refusal(400, format!("Invalid name {name}")));
    flags.launchdarkly.http.always("POST *", refused);
    fails_with(&flags, &["Invalid name [redacted:NAME]"]);
    flags.launchdarkly.http.heal();
    // In the 200 characters that are quoted, there is room for a part of it only.
    let refused = Fault::Answer(refusal(400, format!("{:>179}: {name}", "no")));
    flags.launchdarkly.http.always("POST *", refused);
    fails_with(&flags, &["no: [r…"]);
    // And if all is well.
    flags.launchdarkly.http.heal();
    flags.program.run(&["-vv", "sync"]).exits(0);
}
