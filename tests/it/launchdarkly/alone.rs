//! Few toggles among so many flags that a list of them does not pay: each is read by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::faults::SOON;
use crate::support::{Answer, Fault};

const KEYS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// Any read of a single flag; the list has no slash after the project.
const ONE: &str = "GET /api/v2/flags/default/*";
const LIST: &str = "GET /api/v2/flags/default?*";

/// Twelve toggles that ann and bob have, in step, and 1,200 flags that come before them in the list.
fn among_many(settings: &[&str]) -> Flags {
    let plan = settings
        .iter()
        .fold(Flags::of(&KEYS), |plan, line| plan.setting(line));
    let flags = plan.build();
    for number in 0..1_200 {
        let key = format!("0-{number}");
        let values = [json!(true), json!(false)];
        flags.platform().put("default", &key, &values);
    }
    for key in KEYS {
        flags.opa.allow(key, &["ann", "bob"]);
    }
    flags.sync(&[]).exits(0);
    flags
}

fn html() -> Answer {
    Answer {
        body: b"<html>Sorry</html>".to_vec(),
        ..Answer::json(200, &json!(null))
    }
}

/// Waits until so many more requests of this kind have come.
#[track_caller]
fn wait_for_more(flags: &Flags, which: &str, more: usize) {
    let before = flags.launchdarkly.http.count(which);
    flags.stage.wait_until(&format!("{more} more {which}"), || {
        flags.launchdarkly.http.count(which) >= before + more
    });
}

#[test]
fn a_launchdarkly_that_hangs_at_a_resync_is_known_after_one_http_timeout() {
    let flags = among_many(&[SOON, "resync_interval = \"2s\""]);
    let daemon = flags.serve_in_step();
    flags.launchdarkly.http.always("*", Fault::Hang);
    let before = flags.launchdarkly.http.count(ONE);
    flags.stage.wait_until("a resync has begun", || {
        flags.launchdarkly.http.count(ONE) > before
    });
    let begin = Instant::now();
    daemon.wait_failing();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}, not about 1 s");
    flags.change("c", &["ann"]);
    flags.launchdarkly.http.heal();
    flags.wait_until_on_for("c", &["ann"], &["bob"]);
    daemon.wait_healthy();
    for key in KEYS.into_iter().filter(|key| *key != "c") {
        assert!(flags.is_on_for(key, &["ann", "bob"], &["eve"]));
    }
}

#[test]
fn a_read_that_hangs_delays_no_other_toggle() {
    let flags = among_many(&["resync_interval = \"2s\"", "http_timeout = \"25s\""]);
    let daemon = flags.serve_in_step();
    let hold = flags
        .launchdarkly
        .http
        .hold("GET /api/v2/flags/default/a?*");
    wait_for_more(&flags, "GET /api/v2/flags/default/a?*", 1);
    for key in ["b", "l"] {
        flags.change(key, &["ann"]);
        flags.wait_until_on_for(key, &["ann"], &["bob"]);
    }
    assert!(!hold.is_open());
    assert_eq!(daemon.toggle("a")["state"], "syncing");
    hold.release();
    flags.launchdarkly.http.heal();
}

#[test]
fn a_429_is_followed_by_no_read_within_its_window() {
    let flags = among_many(&[]);
    let before = flags.launchdarkly.http.count(ONE);
    let refusal = Fault::retry_after(429, "2");
    flags.launchdarkly.http.next(1, ONE, refusal);
    // The others take so long that the refusal is heard before they end.
    let slow = Fault::Delay(Duration::from_millis(300));
    flags.launchdarkly.http.always(ONE, slow);
    flags.sync(&[]).exits(0).sums_up("12 toggles: 12 unchanged");
    let reads = flags.launchdarkly.http.seen(ONE).split_off(before);
    assert_eq!(reads.len(), KEYS.len() + 1);
    let refused = reads
        .iter()
        .find(|seen| seen.said.starts_with(b"{\"message\":\"not now\""));
    let end = refused.unwrap().answered.unwrap() + Duration::from_millis(1_900);
    let within = reads.iter().filter(|seen| seen.received < end).count();
    assert!(within <= 4, "{within} reads");
}

#[test]
fn where_no_list_can_be_read_each_toggle_is_read_by_itself_until_one_can() {
    let flags = Flags::of(&KEYS).setting("resync_interval = \"1s\"").build();
    for key in KEYS {
        flags.opa.allow(key, &["ann"]);
    }
    flags.sync(&[]).exits(0);
    flags.launchdarkly.http.always(LIST, Fault::Answer(html()));
    let daemon = flags.serve_in_step();
    daemon.wait_healthy();
    assert!(flags.launchdarkly.http.count(ONE) >= KEYS.len());
    wait_for_more(&flags, ONE, 2 * KEYS.len());
    assert_eq!(
        daemon.health(),
        200,
        "a resync tells nothing that is no trouble"
    );
    flags.launchdarkly.http.heal();
    wait_for_more(&flags, LIST, 2);
    // After one list that cannot be read, it is read again.
    let singles = flags.launchdarkly.http.count(ONE);
    let told = || daemon.process.stderr().matches("is not JSON").count();
    let before = told();
    flags.launchdarkly.http.next(1, LIST, Fault::Answer(html()));
    flags.stage.wait_until("it says so", || told() > before);
    wait_for_more(&flags, LIST, 3);
    daemon.wait_healthy();
    assert_eq!(flags.launchdarkly.http.count(ONE), singles);
}

#[test]
fn a_list_that_fails_for_good_keeps_no_change_from_its_toggle() {
    for fault in [Fault::status(504), Fault::Hang] {
        let flags = Flags::of(&KEYS)
            .setting("resync_interval = \"2s\"")
            .setting("http_timeout = \"500ms\"")
            .build();
        for key in KEYS {
            flags.opa.allow(key, &["ann", "bob"]);
        }
        let daemon = flags.serve_in_step();
        flags.launchdarkly.http.always(LIST, fault);
        daemon.wait_failing();
        flags.change("c", &["ann"]);
        flags.wait_until_on_for("c", &["ann"], &["bob"]);
    }
}
