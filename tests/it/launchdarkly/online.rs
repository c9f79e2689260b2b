//! `check-config --online`.

use super::*;

fn target_lines(output: &Output) -> Vec<String> {
    let lines = output.stdout.lines();
    let lines = lines.filter(|line| line.starts_with("target launchdarkly"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_token_each_project_and_each_environment_are_looked_for() {
    let flags = Flags::of(&["us", "tax"]).build();
    flags.opa.allow("us", &["ann"]);
    flags.opa.allow("tax", &["ann"]);
    let output = flags.program.run(&["check-config", "--online"]).exits(0);
    assert_eq!(
        target_lines(&output),
        [
            "target launchdarkly token ok: a personal token called \"optoggles\"",
            "target launchdarkly project default ok: exists",
            "target launchdarkly environment default/production ok: exists",
            "target launchdarkly environment default/test ok: exists",
        ]
    );
    assert_eq!(
        flags.requests("GET").len(),
        flags.count("*", "*"),
        "nothing is written"
    );
}

#[test]
fn each_segment_is_looked_at_in_each_environment() {
    let spec = "name = \"{key}\"\nproj_key = \"default\"\nsegment = \"people\"\n\
                environments = [\"production\", \"test\", \"staging\", \"nowhere\"]";
    let flags = Flags::of(&["us"]).spec(spec).build();
    flags.opa.allow("us", &["ann"]);
    for (place, members) in [("production", &["ann", "bob"][..]), ("test", &[])] {
        let mut platform = flags.platform();
        let segment = platform.segment("default", place, "people");
        segment.included = members.iter().map(|&key| key.to_owned()).collect();
        segment.unbounded = place == "test";
    }
    let output = flags.program.run(&["check-config", "--online"]).exits(1);
    let lines = target_lines(&output);
    let lines: Vec<&str> = lines[lines.len() - 3..].iter().map(|it| &**it).collect();
    let big = "the segment people is a big segment, which optoggles cannot read: set `segment` to \
               another key";
    assert_eq!(
        lines,
        [
            "target launchdarkly segment default/production/people ok: 2 members",
            &format!("target launchdarkly segment default/test/people failed: {big}"),
            "target launchdarkly segment default/staging/people ok: does not exist yet",
        ]
    );
    assert_eq!(flags.requests("GET").len(), flags.count("*", "*"));
}

#[test]
fn what_does_not_exist_is_said() {
    let spec = "name = \"US\"\nproj_key = \"default\"\nenvironments = [\"prod\"]";
    let flags = Flags::of(&["us"]).spec(spec).build();
    flags.opa.allow("us", &["ann"]);
    let output = flags.program.run(&["check-config", "--online"]).exits(1);
    let lines = target_lines(&output);
    let expected = "target launchdarkly environment default/prod failed: does not exist, or the \
                    token cannot see it";
    assert_eq!(lines.last().unwrap(), expected);
    flags.platform().add_project("default", &[]);
}

#[test]
fn with_a_wrong_token_nothing_else_is_asked() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann"]);
    let fault = crate::support::launchdarkly::refusal(401, "Invalid access token");
    flags
        .launchdarkly
        .http
        .always("*", crate::support::Fault::Answer(fault));
    let output = flags.program.run(&["check-config", "--online"]).exits(1);
    let lines = target_lines(&output);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("set `token` of `[target]`"), "{lines:?}");
}
