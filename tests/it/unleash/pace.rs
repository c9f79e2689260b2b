//! How many requests there are.

use std::time::Duration;

use super::*;
use crate::support::Fault;

const LISTS: &str = "GET /api/client/*";

/// So many toggles that ann has, in step.
fn several(count: usize, settings: &[&str]) -> (Flags, Vec<String>) {
    let keys: Vec<String> = (0..count)
        .map(|number| format!("flag-{number:02}"))
        .collect();
    let plan = Flags::of(&refs(&keys));
    let flags = settings
        .iter()
        .fold(plan, |plan, line| plan.setting(line))
        .build();
    for key in &keys {
        flags.opa.allow(key, &["ann"]);
    }
    (flags, keys)
}

#[test]
fn a_hundred_toggles_cost_a_list_of_each_environment_which_later_shows_nothing_new() {
    let (mut flags, _) = several(100, &["resync_interval = \"1s\""]);
    flags.sync().exits(0).sums_up("100 toggles: 100 created");
    let writes = 100 * (1 + 2 * 2);
    assert_eq!(
        flags.count("POST *"),
        writes,
        "each is created, and has a strategy and is turned on in each environment"
    );
    let reads = flags.count("GET /api/admin/projects/default/features/*");
    assert_eq!(reads, 100 * 2 * 2, "before and after it is turned on");
    assert_eq!(flags.count(LISTS), 2);
    let before = flags.count("*");
    let daemon = flags.serve_in_step();
    flags
        .stage
        .wait_until("there were two resyncs", || flags.count(LISTS) >= 2 + 2 + 4);
    let lists = flags.unleash.http.seen(LISTS).split_off(2);
    let news: Vec<bool> = lists[..6]
        .iter()
        .map(|seen| !seen.said.is_empty())
        .collect();
    assert_eq!(news, [true, true, false, false, false, false]);
    let mut others = flags.requests_from(before);
    others.retain(|it| !it.contains("/api/client/"));
    others.dedup();
    assert_eq!(others, ["GET /api/admin/projects/default/overview"]);
    daemon.terminate().exits(0);
    let rarely = flags.program.config().replace("\"1s\"", "\"1h\"");
    flags.program.set_config(&rarely);
    let daemon = flags.serve_in_step();
    let before = flags.count("*");
    flags.change("flag-07", &["bob"]);
    let has_it = |place: &str| flags.is_on_for("flag-07", place, &["bob"], &["ann"]);
    flags.stage.wait_until("bob has it", || {
        ENVIRONMENTS.iter().all(|place| has_it(place))
    });
    daemon.terminate().exits(0);
    let mut requests = flags.requests_from(before);
    requests.retain(|it| it != "GET /api/admin/ui-config");
    let starts: Vec<&str> = requests.iter().map(|it| &it[..11]).collect();
    assert_eq!(
        starts,
        ["GET flag-07", "PUT flag-07", "GET flag-07", "PUT flag-07"]
    );
    assert!(flags.unleash.http.max_in_flight() <= 4);
}

#[test]
fn toggles_are_read_one_by_one_where_the_list_is_refused() {
    let (flags, keys) = several(5, &[]);
    flags.sync().exits(0);
    flags.unleash.http.always(LISTS, Fault::status(403));
    let before = flags.count("*");
    flags.sync().exits(0).sums_up("5 toggles: 5 unchanged");
    let mut requests = flags.requests_from(before);
    requests.retain(|it| !it.contains("/api/"));
    requests.sort();
    let expected: Vec<String> = keys.iter().map(|key| format!("GET {key}")).collect();
    assert_eq!(requests, expected);
}

#[test]
fn a_429_is_followed_by_no_request_within_its_window() {
    let flags = Flags::one().build();
    let refused = Fault::retry_after(429, "1");
    flags.unleash.http.next(1, "POST * constraints", refused);
    flags.follow(&["ann"]).exits(0);
    let paths = flags.requests_from(0);
    let refused = paths
        .iter()
        .position(|it| it.ends_with("/strategies"))
        .unwrap();
    let pause = flags.unleash.http.gaps("*")[refused];
    assert!(pause > Duration::from_millis(900), "{pause:?}");
}
