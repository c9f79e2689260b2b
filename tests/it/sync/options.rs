//! The options of `sync`.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::World;

fn differing() -> World {
    let world = World::of(&["us", "new", "same"]).readable().build();
    world.store.put("us", &["ann"]);
    world.store.put("same", &["ann"]);
    world.opa.allow("us", &["bob"]);
    world.opa.allow("new", &["bob"]);
    world.opa.allow("same", &["ann"]);
    world
}

#[test]
fn a_dry_run_prints_what_would_change_and_writes_nothing() {
    let world = differing();
    for args in [&["--dry-run", "--once"][..], &["--dry-run"][..]] {
        let output = world.program.run(&[&["sync"], args].concat()).exits(0);
        let output = output.reports("us +1 -1 1 user would be updated");
        let output = output.reports("new +1 1 user would be created");
        output.reports("same = 1 user unchanged");
    }
    let lines = world.store.http.lines("*");
    assert!(
        lines.iter().all(|line| line.starts_with("GET ")),
        "{lines:?}"
    );
    assert!(world.store.has("us", &["ann"]));
}

#[test]
fn toggles_that_are_not_there_are_all_named_with_the_nearest_that_is() {
    let world = World::of(&["us-feature", "same"]).build();
    let args = ["--toggle", "us-featrue", "--toggle", "", "--toggle", "same"];
    let output = world.sync(&args).exits(2);
    let expected = "\
error: the configuration has no toggle `us-featrue`: did you mean `us-feature`?
the configuration has no toggle ``: it has: us-feature, same
";
    assert_eq!(output.stderr, expected);
    assert_eq!(world.opal.http.count("*") + world.store.http.count("*"), 0);
    let keys: Vec<String> = (100..120)
        .map(|number| format!("toggle-{number}"))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let output = World::of(&keys).build().sync(&["--toggle", "other"]);
    output
        .exits(2)
        .complains("it is not one of the 20 in the file");
}

#[test]
fn a_dry_run_exits_3_where_anything_would_change_and_1_where_something_failed() {
    let world = differing();
    let args = ["--dry-run", "--exit-code"];
    world.sync(&args).exits(3);
    world
        .sync(&[&args[..], &["--toggle", "same"]].concat())
        .exits(0);
    world.sync(&["--dry-run"]).exits(0);
    world.opa.undefine("same");
    world.sync(&args).exits(1);
    let blind = World::of(&["us"]).build();
    blind.opa.allow("us", &["ann"]);
    blind
        .sync(&args)
        .exits(3)
        .reports("us ? 1 user would be set");
    assert_eq!(blind.store.http.count("*"), 0);
}

#[test]
fn only_the_toggles_that_are_named_are_looked_at() {
    let world = World::of(&["us", "tax", "beta"]).build();
    for key in ["us", "tax", "beta"] {
        world.store.put(key, &[]);
        world.opa.allow(key, &["ann"]);
    }
    let output = world.sync(&["--toggle", "us", "--toggle", "beta"]).exits(0);
    output.sums_up("2 toggles: 2 updated").says_not("tax");
    assert_eq!((world.queries("us"), world.queries("beta")), (1, 1));
    assert_eq!((world.queries("tax"), world.updates("tax")), (0, 0));
}

#[test]
fn sync_does_not_register_with_opal() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.sync(&[]).exits(0);
    let lines = world.opal.http.lines("*");
    assert_eq!(lines, ["GET /policy-store/config"]);
}

#[test]
fn without_once_a_pass_runs_every_interval_until_it_is_told_to_stop() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let process = world.spawn_sync(&["--interval", "200ms"]);
    world.wait_for_users("us", &["ann"]);
    world.opa.allow("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    world.wait_until("passes go on", || world.queries("us") >= 4);
    process.signal(Signal::TERM);
    process.wait_exit(Duration::from_secs(2)).exits(0);
    assert_eq!(
        world.sent("us").len(),
        2,
        "unchanged users are not sent again"
    );
    assert!(world.opal.keys().is_empty());
}

#[test]
fn an_invalid_configuration_command_line_or_log_level_exits_2_before_anything_is_asked() {
    let world = World::of(&["us"])
        .setting("resync_intervall = \"5m\"")
        .build();
    let output = world.sync(&[]).exits(2).complains("optoggles.toml:2");
    output.complains("resync_interval");
    let mut world = World::of(&["us"]).build();
    for (args, words) in [
        (&["sync", "--timeout", "soon"][..], "soon"),
        (&["sync", "--format", "xml"], "xml"),
        (&["-c", "nowhere.toml", "sync"], "nowhere.toml"),
        (&["flap"], "flap"),
        (&["-q", "-v", "sync"], "--quiet"),
        (&["-q", "sync", "-v"], "--quiet"),
        (&["-v", "sync", "-q"], "--quiet"),
        (&["sync", "--interval", "1m", "--once"], "--interval"),
        (&["sync", "--interval", "1m", "--force"], "--interval"),
        (
            &["sync", "--interval", "1m", "--format", "json"],
            "--interval",
        ),
        (
            &["sync", "--interval", "1m", "--timeout", "1m"],
            "--interval",
        ),
    ] {
        let output = world.program.run(args).exits(2).complains(words);
        assert!(output.stderr.starts_with("error: "), "{}", output.picture());
    }
    world.program.set_env("OPTOGGLES_LOG", "loud");
    let output = world.sync(&[]).exits(2);
    output.complains("error: invalid log level `loud` in $OPTOGGLES_LOG: use off,");
    assert_eq!(world.opal.http.count("*"), 0);
}

#[test]
fn the_log_level_comes_from_the_environment() {
    let mut world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.program.set_env("OPTOGGLES_LOG", "Debug");
    world.sync(&[]).exits(0).complains("DEBUG");
}
