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
    let all = ["v0", "v1", "v2", "mallory"];
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

fn retry(wrong: Wrong) {
    let flags = flags(&[]);
    let daemon = flags.serve_in_step();
    begin(wrong, &flags);
    flags.change("us", &["v1"]);
    let failed_again = || daemon.process.stderr().contains("count=2");
    flags.stage.wait_until("it has failed again", failed_again);
    flags.change("us", &["v2"]);
    is_told(&flags, &daemon);
    wrong.end(&flags.launchdarkly.http);
    is_over(&flags, &daemon, "v2");
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

fn shutdown(wrong: Wrong) {
    let flags = flags(&[]);
    let daemon = flags.serve_in_step();
    begin(wrong, &flags);
    flags.change("us", &["v1"]);
    is_told(&flags, &daemon);
    daemon.terminate().exits(0);
    assert!(flags.opal.keys().is_empty());
}

/// Where it is read.
fn all() -> Vec<Wrong> {
    [&Wrong::WRITING[..], &Wrong::READING].concat()
}

#[test]
fn whatever_goes_wrong_at_the_start() {
    at_once(&all(), start);
}

#[test]
fn whatever_goes_wrong_at_a_callback() {
    at_once(&Wrong::WRITING, callback);
}

#[test]
fn whatever_goes_wrong_at_a_retry() {
    at_once(&Wrong::WRITING, retry);
}

#[test]
fn whatever_goes_wrong_at_a_resync() {
    at_once(&all(), resync);
}

#[test]
fn whatever_goes_wrong_at_the_shutdown() {
    at_once(&Wrong::WRITING, shutdown);
}
