//! Each environment is kept by itself, and so are the metadata.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::support::Fault;
use crate::support::launchdarkly::refusal;

/// Why one environment of a toggle cannot be kept.
struct Wrong {
    environment: &'static str,
    /// What the report says after its name.
    words: &'static str,
    /// What `/health` and the log say.
    told: [&'static str; 2],
    /// LaunchDarkly answers 404 to every read that names it, instead of leaving it out.
    strict: bool,
}

/// Changes in it require approval.
const APPROVALS: Wrong = Wrong {
    environment: "staging",
    words: "flag us of project default: PATCH ",
    told: [
        "toggle us: environment staging: update: answered 405",
        "update failed toggle=us environment=staging count=1 ",
    ],
    strict: false,
};

/// The project does not have it.
const GONE: Wrong = Wrong {
    environment: "deleted",
    words: "the project default has no environment deleted: correct `environments`, ",
    told: [
        "toggle us: environment deleted: read: the target and the configuration do not fit: see ",
        "read failed toggle=us environment=deleted count=1 ",
    ],
    strict: false,
};

const ALL: [Wrong; 3] = [
    APPROVALS,
    GONE,
    Wrong {
        strict: true,
        ..GONE
    },
];

impl Wrong {
    /// A toggle that ann and bob have in two environments, and something wrong with a third, which is
    /// listed at this place.
    fn flags(&self, place: usize) -> Flags {
        let mut listed = ENVIRONMENTS.to_vec();
        listed.insert(place, self.environment);
        let spec = format!("name = \"us\"\nproj_key = \"default\"\nenvironments = {listed:?}");
        let flags = Flags::of(&["us"]).spec(&spec).build();
        flags.platform().strict_environments = self.strict;
        flags.opa.allow("us", &["ann", "bob"]);
        let first = flags.sync(&[]);
        if self.environment == APPROVALS.environment {
            first.exits(0);
            flags
                .platform()
                .require_approval("default", self.environment);
        }
        flags
    }
}

/// Each with its environment listed first, and last.
fn all() -> impl Iterator<Item = (Wrong, Flags)> {
    let places = [0, 2]
        .into_iter()
        .flat_map(|place| ALL.map(|wrong| (wrong, place)));
    places.map(|(wrong, place)| {
        let flags = wrong.flags(place);
        (wrong, flags)
    })
}

#[test]
fn explain_says_what_each_environment_has() {
    let flags = Flags::of(&["us"]).setting("max_removal = 0").build();
    flags.opa.allow("us", &["ann"]);
    flags.sync(&[]).exits(0);
    let explain = |user| flags.program.run(&["explain", "us", user]);
    explain("ann").exits(0).says("\n  test         on\n");
    let mut platform = flags.platform();
    let test = platform.edit("default", "us").environment("test");
    (test.on, test.targets) = (false, Vec::new());
    drop(platform);
    let output = explain("ann").exits(1);
    let expected = "\
us for ann: should be on, and is not in test
  rule         on    data.app.rbac.us of source main: 1 user
  production   on
  test         off   the next sync changes that (+1)
";
    assert_eq!(output.stdout, expected);
    flags.opa.allow("us", &["bob"]);
    let output = explain("bob").exits(1);
    let expected = "\
us for bob: should be on, and is not in production, test
  rule         on    data.app.rbac.us of source main: 1 user
  production   off   held: it would remove 1 of 1 users, more than max_removal = 0 allows: raise it, or let it through with sync --force --toggle us
  test         off   the next sync changes that (+1)
";
    assert_eq!(output.stdout, expected);
}

#[test]
fn a_sync_keeps_the_other_environments_and_names_the_one_that_fails() {
    for (wrong, flags) in all() {
        let (name, words) = (wrong.environment, wrong.words);
        flags.opa.allow("us", &["ann"]);
        let start = format!("us users updated, failed: environment {name}: {words}");
        let output = flags.sync(&[]).exits(1).reports_start(&start);
        let output = output.sums_up("1 toggle: 1 failed");
        let output = output.says("  production: -1 updated\n  test: -1 updated\n");
        output.says(&format!("  {name}: failed\n"));
        assert!(flags.is_on_for("us", &["ann"], &["bob"]), "{name}");
        flags.opa.allow("us", &["ann", "cid"]);
        let document = flags.sync(&["--format", "json"]).exits(1).json();
        let row = &document["toggles"][0];
        for environment in row["environments"].as_array().unwrap() {
            let (result, error) = (&environment["result"], &environment["error"]);
            if environment["name"] == *name {
                assert_eq!(result, "failed");
                assert!(error.as_str().unwrap().starts_with(words), "{error}");
            } else {
                assert_eq!((result, error), (&json!("updated"), &Value::Null));
            }
        }
        let output = flags.sync(&[]).exits(1);
        output
            .says("  test: = unchanged\n")
            .says(&format!("  {name}: failed\n"));
    }
}

#[test]
fn a_dry_run_shows_what_would_change_in_the_other_environments() {
    for strict in [false, true] {
        let flags = Wrong { strict, ..GONE }.flags(0);
        flags.opa.allow("us", &["ann"]);
        let output = flags.sync(&["--dry-run"]).exits(1);
        let start =
            "us users would be updated, failed: environment deleted: the project default has";
        let output = output.reports_start(start);
        output.says("  deleted: failed\n  production: -1 would be updated\n");
        assert!(flags.is_on_for("us", &["ann", "bob"], &[]));
    }
}

#[test]
fn what_a_new_flag_needs_and_is_not_there_is_told_before_it_is_created() {
    let spec = |project: &str| {
        format!("name = \"us\"\nproj_key = {project:?}\nenvironments = [\"test\", \"deleted\"]")
    };
    let flags = Flags::of(&["us", "tax"]).spec(&spec("default")).build();
    flags.opa.allow("us", &["ann"]);
    flags.opa.allow("tax", &["ann"]);
    let mut output = flags.sync(&["--dry-run"]).exits(1);
    for key in ["us", "tax"] {
        output = output.reports_start(&format!(
            "{key} would be created, users would be updated, failed: environment deleted: the project"
        ));
    }
    let nowhere = Flags::of(&["us"]).spec(&spec("nowhere")).build();
    nowhere.opa.allow("us", &["ann"]);
    let output = nowhere.sync(&["--dry-run"]).exits(1);
    output.reports_start("us failed: the project nowhere does not exist");
    assert_eq!(
        flags.requests("POST").len() + nowhere.requests("POST").len(),
        0
    );
}

#[test]
fn a_flag_that_exists_is_kept_by_a_token_that_may_create_none() {
    for (wrong, flags) in all() {
        let refused = Fault::Answer(refusal(403, "no createFlag"));
        flags.launchdarkly.http.always("POST *", refused);
        flags.opa.allow("us", &["ann"]);
        let start = format!(
            "us users updated, failed: environment {}: ",
            wrong.environment
        );
        flags.sync(&[]).exits(1).reports_start(&start);
        assert!(flags.is_on_for("us", &["ann"], &["bob"]));
    }
}

#[test]
fn several_failures_of_a_toggle_have_a_line_each() {
    let flags = APPROVALS.flags(0);
    flags.platform().edit("default", "us").name = "by hand".to_owned();
    let refused = Fault::Answer(refusal(403, "no updateName"));
    let http = &flags.launchdarkly.http;
    http.always("PATCH * \"updateName\"", refused);
    flags.opa.allow("us", &["ann"]);
    let output = flags.sync(&[]).exits(1).says("\n  test: -1 updated\n");
    let output = output.says("us   users updated, failed:\n  environment staging: flag us of ");
    output.says("\n  metadata: flag us of project default: PATCH ");
}

#[test]
fn serve_keeps_the_other_environments_and_names_the_one_that_fails() {
    for (wrong, flags) in all() {
        let daemon = flags.program.serve(&[]);
        for (users, others) in [(["ann"], ["bob"]), (["bob"], ["ann"])] {
            flags.wait_until_registered();
            flags.change("us", &users);
            flags.wait_until_on_for("us", &users, &others);
        }
        let is_told = || {
            let health = daemon.get("/health");
            health.status == 500 && health.text().contains(wrong.told[0])
        };
        flags
            .stage
            .wait_until("/health names the environment", is_told);
        let states = || {
            let toggle = daemon.toggle("us");
            let environments = toggle["environments"].as_array().unwrap().iter();
            let state = |row: &Value| (row["name"].clone(), row["state"].clone());
            environments.map(state).collect::<Vec<_>>()
        };
        flags.stage.wait_until("/status names the environment", || {
            let fails = |name: &Value| *name == *wrong.environment;
            let wanted = |name| if fails(name) { "failing" } else { "in sync" };
            states().iter().all(|(name, state)| *state == wanted(name))
        });
        assert_eq!(states().len(), 3);
        daemon.terminate().exits(0).complains(wrong.told[1]);
    }
}

#[test]
fn an_environment_that_hangs_is_overtaken_after_a_second_and_from_then_on_at_once() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann", "bob"]);
    let daemon = flags.serve_in_step();
    let of = |environment: &str| format!("PATCH * \"environmentKey\":\"{environment}\"");
    let http = &flags.launchdarkly.http;
    http.always(&of("production"), Fault::Hang);
    let before = http.count(&of("production"));
    let is_on_for = |environment: &str, users: &[&str], others: &[&str]| {
        let platform = flags.platform();
        platform.is_on_for("default", "us", environment, users, others)
    };
    for (users, other, most) in [(["ann"], "bob", 3_000), (["bob"], "ann", 1_000)] {
        let begin = Instant::now();
        flags.change("us", &users);
        flags.stage.wait_until("the other environment follows", || {
            is_on_for("test", &users, &[other])
        });
        let took = begin.elapsed();
        assert!(took < Duration::from_millis(most), "{took:?}");
    }
    assert!(is_on_for("production", &["ann", "bob"], &[]));
    assert_eq!(
        http.count(&of("production")),
        before + 1,
        "one is in flight"
    );
    flags.stage.wait_until("/status tells them apart", || {
        let rows = daemon.toggle("us")["environments"].clone();
        [&rows[0]["state"], &rows[1]["state"]] == ["syncing", "in sync"]
    });
}

#[test]
fn two_targets_keep_one_flag_by_a_rule_for_each_environment() {
    let mut flags = Flags::of(&[]).build();
    flags.opa.allow("us", &["ann"]);
    flags.opa.allow("eu", &["bob"]);
    let (mut config, target) = {
        let (top, target) = flags.program.config().split_once("[target]").unwrap();
        (top.to_owned(), target.to_owned())
    };
    let rules = [("production", "us"), ("test", "eu")];
    for (id, _) in rules {
        config += &format!("[[targets]]\nid = \"{id}\"{target}");
    }
    for (id, key) in rules {
        config += &format!(
            "[[toggles]]\nkey = \"us\"\ntarget = \"{id}\"\nusers_policy = {{ source = \"main\", \
             package = \"app.rbac\", rule = \"{}\" }}\n[toggles.spec]\nname = \"us\"\n\
             proj_key = \"default\"\nenvironments = [\"{id}\"]\n",
            rule_of(key)
        );
    }
    flags.program.set_config(&config);
    flags.sync(&[]).exits(0);
    for (id, user, other) in [("production", "ann", "bob"), ("test", "bob", "ann")] {
        let platform = flags.platform();
        assert!(platform.is_on_for("default", "us", id, &[user], &[other]));
    }
    flags.sync(&[]).exits(0).sums_up("2 toggles: 2 unchanged");
}
