//! `optoggles explain`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::output::Output;
use crate::support::store::path_of;
use crate::support::{Fault, World};

/// `us`, which the target has for ann and bob, and which these may have.
fn world(users: &[&str]) -> World {
    let world = World::of(&["us", "tax"]).readable().build();
    world.store.put("us", &["ann", "bob"]);
    world.opa.allow("us", users);
    world
}

impl World {
    #[track_caller]
    fn explain(&self, user: &str) -> Output {
        self.program.run(&["explain", "us", user])
    }

    #[track_caller]
    fn explain_in_json(&self, user: &str) -> Value {
        let args = ["explain", "us", user, "--format", "json"];
        self.program.run(&args).json()
    }

    fn add_audit_log(&mut self, text: &str) {
        self.program.write("audit.jsonl", text);
        let config = format!("audit_log = \"audit.jsonl\"\n{}", self.program.config());
        self.program.set_config(&config);
    }
}

#[test]
fn a_user_who_has_what_the_rule_says_is_explained_in_a_few_lines_and_exits_0() {
    let world = world(&["ann", "bob"]);
    let output = world.explain("ann").exits(0);
    let expected = "\
us for ann: on, as the rule says
  rule      on    data.app.rbac.us of source main: 2 users
  restapi   on
";
    assert_eq!((&*output.stdout, &*output.stderr), (expected, ""));
    let output = world.explain("eve").exits(0);
    let expected = "\
us for eve: off, as the rule says
  rule      off   data.app.rbac.us of source main: 2 users
  restapi   off
";
    assert_eq!(output.stdout, expected);
    // The other toggle has no answer, and is not asked for.
    assert_eq!(world.queries("tax"), 0);
}

#[test]
fn what_the_next_sync_changes_is_said_and_not_done() {
    let world = world(&["ann", "eve"]);
    let output = world.explain("eve").exits(1);
    let output = output.says("us for eve: should be on, and is not\n");
    output.says("\n  restapi   off   the next sync changes that (+1 -1)\n");
    let output = world.explain("bob").exits(1);
    let output = output.says("us for bob: should be off, and is not\n");
    output.says("\n  restapi   on    the next sync changes that (+1 -1)\n");
    // That others differ does not concern ann.
    world.explain("ann").exits(0);
    assert!(world.store.has("us", &["ann", "bob"]));
    let lines = world.store.http.lines("*");
    assert!(
        lines.iter().all(|line| line.starts_with("GET ")),
        "{lines:?}"
    );
}

#[test]
fn what_max_removal_holds_is_said_with_its_numbers() {
    let world = World::of(&["us"])
        .readable()
        .setting("max_removal = 0")
        .build();
    world.store.put("us", &["ann", "bob"]);
    world.opa.allow("us", &["ann"]);
    let held = "it would remove 1 of 2 users, more than max_removal = 0 allows";
    let output = world.explain("bob").exits(1);
    output.says(&format!("\n  restapi   on    held: {held}"));
    let output = world.explain("ann").exits(0);
    output.says(&format!("\n  restapi   on    others are held: {held}"));
}

#[test]
fn a_target_that_fails_is_quoted_and_one_that_asked_for_a_pause_says_until_when() {
    let world = world(&["ann"]);
    let read = format!("GET {}", path_of("us"));
    world.store.http.always(&read, Fault::status(403));
    let output = world.explain("ann").exits(1);
    let output = output.says("us for ann: should be on, and is not known to be\n");
    let output = output.says("answered 403: ").says("stand-in says 403");
    output.says("\n  rule      on    data.app.rbac.us of source main: 1 user\n");
    world.store.http.heal();
    let later = Fault::retry_after(429, "290");
    world.store.http.always(&read, later);
    let start = Instant::now();
    let output = world.explain("ann").exits(1);
    output
        .says("answered 429: ")
        .says("\n  paused          target restapi until 20");
    assert!(start.elapsed() < Duration::from_secs(5));
    let explanation = world.explain_in_json("ann");
    assert!(explanation["paused_until"].is_string(), "{explanation}");
    assert_eq!(explanation["environments"][0]["on"], Value::Null);
}

#[test]
fn without_an_answer_of_the_rule_what_the_target_has_is_said_all_the_same() {
    let world = world(&[]);
    world.opa.undefine("us");
    let output = world.explain("ann").exits(1);
    let expected = "\
us for ann: whether the rule allows it is not known
  rule      ?     data.app.rbac.us of source main: rule data.app.rbac.us is undefined: is its policy loaded, and its name spelled correctly?
  restapi   on
";
    assert_eq!(output.stdout, expected);
    world.opa.allow("us", &["ann"]);
    world.opa.set_ready(Some(false));
    let args = ["explain", "us", "ann", "--timeout", "100ms"];
    let output = world.program.run(&args).exits(1);
    output.says("OPA has not loaded its policy and data yet");
}

#[test]
fn what_a_target_cannot_tell_is_not_known() {
    let blind = World::of(&["us"]).build();
    blind.opa.allow("us", &["ann"]);
    let output = blind.explain("ann").exits(1);
    let output = output.says("us for ann: should be on, and is not known to be\n");
    output.says("\n  restapi   ?     the target cannot be read\n");
    blind.explain("eve").exits(1).says("should be off, and");
    assert_eq!(blind.store.http.count("*"), 0);
    let world = world(&["ann"]);
    world.store.delete("us");
    let output = world.explain("ann").exits(1);
    output.says("\n  restapi   ?     the toggle does not exist yet: ");
    world.store.put_members("us", json!({ "users": "all" }));
    let output = world.explain("ann").exits(1);
    output.says("\n  restapi   ?     something other than lists of users decides there\n");
}

#[test]
fn a_toggle_that_is_not_there_or_at_several_targets_and_an_empty_user_exit_2() {
    let world = World::of(&["us"]).and_memory().build();
    let explain = |toggle, user| world.program.run(&["explain", toggle, user]).exits(2);
    explain("su", "ann").complains("the configuration has no toggle `su`: it has: ");
    let several =
        "error: the toggle `us` is at several targets: write one of memory/us, store/us\n";
    assert_eq!(explain("us", "ann").stderr, several);
    explain("store/us", "").complains("no user has an empty key");
}

#[test]
fn any_other_text_is_a_user() {
    let odd = ["-x", "--no", " ", "a\nb", "*", "ünï", "us/ann", "${HOME}"];
    let world = world(&odd);
    world.store.put("us", &odd);
    for user in odd {
        let output = world.explain(user).exits(0);
        let says = format!("us for {}: on, as the rule says\n", user.escape_debug());
        output.says(&says);
    }
    let option = ["explain", "--", "us", "-v"];
    world.program.run(&option).exits(0).says("us for -v: off");
}

#[test]
fn json_has_the_same_facts() {
    let mut world = world(&["ann", "bob"]);
    let line = json!({
        "time": "2026-11-29T10:00:00.000Z", "target": "restapi", "toggle": "us",
        "environment": null, "added": ["ann"], "removed": [], "users": 2, "cause": "callback",
        "source": "main", "rule": "data.app.rbac.us", "revision": null, "instance": "a",
    });
    world.add_audit_log(&format!("{line}\n"));
    let expected = json!({
        "toggle": "us",
        "target": "restapi",
        "user": "ann",
        "agrees": true,
        "rule": {
            "source": "main",
            "name": "data.app.rbac.us",
            "allows": true,
            "users": 2,
            "error": null,
        },
        "environments": [{
            "name": null,
            "on": true,
            "result": "unchanged",
            "added": 0,
            "removed": 0,
            "reason": null,
            "last_change": {
                "time": "2026-11-29T10:00:00.000Z",
                "added": true,
                "cause": "callback",
                "revision": null,
            },
        }],
        "paused_until": null,
        "audit_log_error": null,
    });
    assert_eq!(world.explain_in_json("ann"), expected);
}

#[test]
fn the_audit_log_says_since_when_it_is_so() {
    let mut world = world(&["ann", "bob"]);
    let line = |time: &str, added: &[&str], removed: &[&str]| {
        let line = json!({
            "time": time, "target": "restapi", "toggle": "us", "environment": null,
            "added": added, "removed": removed, "users": 2, "cause": "poll", "source": "main",
            "rule": "data.app.rbac.us", "revision": "4f2a", "instance": "a",
        });
        format!("{line}\n")
    };
    world.add_audit_log(
        &[
            line("2026-11-28T10:00:00.000Z", &["ann", "bob", "eve"], &[]),
            "what is this\n".to_owned(),
            line("2026-11-29T10:00:00.000Z", &[], &["bob", "eve"]),
        ]
        .concat(),
    );
    let row = |words| format!("\n  restapi   {words} 2026-11-2");
    world.explain("ann").exits(0).says(&row("on    since"));
    let output = world.explain("eve").exits(0);
    output.says("\n  restapi   off   since 2026-11-29T10:00:00.000Z (poll, revision 4f2a)\n");
    // Somebody has given it to bob by hand.
    world
        .explain("bob")
        .exits(0)
        .says(&row("on    although removed"));
}

#[test]
fn an_audit_log_that_cannot_be_read_is_one_line_more_and_stops_nothing() {
    let mut world = world(&["ann", "bob"]);
    world.add_audit_log("");
    world.program.remove("audit.jsonl");
    let output = world.explain("ann").exits(0);
    output.says("\n  audit log         audit.jsonl: No such file");
    let fifo = world.program.path("audit.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let output = world.explain("ann").exits(0);
    output.says("\n  audit log         audit.jsonl: not a regular file\n");
}

#[test]
fn an_opa_that_hangs_is_not_waited_for_longer_than_its_request() {
    let world = World::of(&["us"])
        .readable()
        .setting("http_timeout = \"500ms\"")
        .build();
    world.store.put("us", &["ann"]);
    world.opa.http.always("*", Fault::Hang);
    let args = ["explain", "us", "ann", "--timeout", "0s"];
    let start = Instant::now();
    let output = world.program.run(&args).exits(1);
    output
        .says("no answer within 500ms")
        .says("\n  restapi   on\n");
    assert!(start.elapsed() < Duration::from_secs(5));
}
