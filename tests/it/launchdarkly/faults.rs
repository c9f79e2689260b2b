//! Whatever LaunchDarkly does wrong, and whenever.

use super::*;
use crate::faults::{SOON, Wrong, at_once};

fn flags(settings: &[&str]) -> Flags {
    let plan = Flags::of(&["us"]).setting(SOON);
    let settings = settings.iter();
    let flags = settings.fold(plan, |plan, line| plan.setting(line)).build();
    flags.opa.allow("us", &["v0"]);
    flags
}

fn begin(wrong: Wrong, flags: &Flags) {
    let reading = Wrong::READING.contains(&wrong);
    wrong.begin(
        &flags.launchdarkly.http,
        if reading { "GET *" } else { "*" },
    );
}

/// `/health` says that the toggle fails.
fn is_told(flags: &Flags, daemon: &Daemon) {
    daemon.wait_failing();
    let is_told = || daemon.get("/health").text().contains("toggle us: ");
    flags.stage.wait_until("the toggle fails", is_told);
}

/// All is well: the flag is on for this user and for nobody who had it before, or was in a wrong
/// answer.
fn is_over(flags: &Flags, daemon: &Daemon, user: &str) {
    let all = ["v0", "v1", "mallory"];
    let others: Vec<&str> = all.into_iter().filter(|other| *other != user).collect();
    flags.wait_until_on_for("us", &[user], &others);
    daemon.wait_healthy();
    assert!(flags.is_on_for("us", &[user], &others));
}

fn start(wrong: Wrong) {
    let flags = flags(&[]);
    begin(wrong, &flags);
    let daemon = flags.program.serve(&[]);
    is_told(&flags, &daemon);
    assert_eq!(daemon.get("/health/started").status, 503);
    wrong.end(&flags.launchdarkly.http);
    is_over(&flags, &daemon, "v0");
}

fn callback(wrong: Wrong) {
    let flags = flags(&[]);
    let daemon = flags.serve_in_step();
    begin(wrong, &flags);
    flags.change("us", &["v1"]);
    is_told(&flags, &daemon);
    wrong.end(&flags.launchdarkly.http);
    daemon.wait_healthy();
    is_over(&flags, &daemon, "v1");
}

fn resync(wrong: Wrong) {
    let flags = flags(&["resync_interval = \"1s\""]);
    let daemon = flags.serve_in_step();
    begin(wrong, &flags);
    flags.opa.allow("us", &["v1"]);
    is_told(&flags, &daemon);
    wrong.end(&flags.launchdarkly.http);
    is_over(&flags, &daemon, "v1");
}

#[test]
fn whatever_launchdarkly_does_wrong_is_told_and_once_it_is_over_all_is_well() {
    // An answer to a write is not read.
    let all = [&Wrong::WRITING[..], &Wrong::READING].concat();
    at_once("at the start", &all, start);
    at_once("at a callback", &Wrong::WRITING, callback);
    at_once("at a resync", &all, resync);
}
