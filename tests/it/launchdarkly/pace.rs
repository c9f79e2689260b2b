//! How many requests there are, and how fast.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::support::launchdarkly::Limit;

#[test]
fn a_thousand_toggles_cost_two_lists_at_first_and_ten_pages_later_at_the_pace_that_is_allowed() {
    let keys: Vec<String> = (0..1000).map(|n| format!("flag-{n:03}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let flags = Flags::of(&keys).build();
    for key in &keys {
        flags.opa.allow(key, &["ann"]);
    }
    flags
        .sync(&[])
        .exits(0)
        .sums_up("1000 toggles: 1000 created");
    assert_eq!(
        flags.requests("GET").len(),
        2 + 3,
        "no flag is live, and none archived; the project and its environments are looked at once"
    );
    assert_eq!(flags.requests("POST").len(), 1000);
    assert_eq!(
        flags.requests("PATCH").len(),
        2000,
        "one for each environment"
    );
    flags
        .sync(&[])
        .exits(0)
        .sums_up("1000 toggles: 1000 unchanged");
    assert_eq!(flags.requests("GET").len(), 2 + 3 + 10);
    assert_eq!(
        flags.count("*", "*"),
        2 + 3 + 1000 + 2000 + 10,
        "and nothing is written"
    );
    assert!(flags.launchdarkly.http.max_in_flight() <= 4);
    flags.platform().limit = Limit::new(4, Duration::from_millis(500));
    let before = flags.requests("GET").len();
    flags
        .sync(&[])
        .exits(0)
        .sums_up("1000 toggles: 1000 unchanged");
    let writes = flags.requests("POST").len() + flags.requests("PATCH").len();
    assert_eq!(writes, 1000 + 2000);
    // Ten pages; each window that was used up costs one more, and the pages before it again.
    let reads = flags.requests("GET").len() - before;
    assert!(reads < 40, "{reads} reads");
}

#[test]
fn few_toggles_among_many_flags_are_read_one_by_one() {
    // One after the other, so that none is looked for twice at once.
    let flags = Flags::of(&["us", "tax"]).setting("concurrency = 1").build();
    flags.opa.allow("us", &["ann"]);
    flags.opa.allow("tax", &["ann"]);
    for number in 0..500 {
        let key = format!("a-{number}");
        let values = [json!(true), json!(false)];
        flags.platform().put("default", &key, &values);
    }
    let daemon = flags.serve_in_step();
    let before = flags.count("GET", "*");
    daemon.terminate().exits(0);
    // Neither flag exists, whatever the environments.
    let looks = "a look at the list, two for each toggle, and three where to create them";
    assert_eq!(before, 5 + 3, "{looks}");
}

#[test]
fn lists_show_three_environments_each_and_are_merged() {
    let keys: Vec<String> = (0..10).map(|n| format!("flag-{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let places = ["production", "test", "staging", "eu", "us"];
    let spec = format!("name = \"{{key}}\"\nproj_key = \"default\"\nenvironments = {places:?}\n");
    let flags = Flags::of(&keys).spec(&spec).build();
    flags.platform().add_project("default", &places);
    for key in &keys {
        flags.opa.allow(key, &["ann"]);
    }
    flags.sync(&[]).exits(0).sums_up("10 toggles: 10 created");
    let before = flags.requests("GET").len();
    flags.sync(&[]).exits(0).sums_up("10 toggles: 10 unchanged");
    assert_eq!(flags.requests("GET").len() - before, 2);
    flags
        .platform()
        .edit("default", "flag-3")
        .environment("us")
        .on = false;
    flags
        .sync(&[])
        .exits(0)
        .sums_up("10 toggles: 1 updated, 9 unchanged");
    assert_eq!(flags.requests("PATCH").len(), 10 * 5 + 1);
}
