//! Toggles whose users are in a segment.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::support::Fault;

const PLACES: [&str; 5] = ["production", "test", "staging", "eu", "us"];

/// Toggles that follow the rule of the first, in five environments.
fn sharing(keys: &[&str], more: &str) -> Flags {
    sharing_in(&PLACES, keys, more)
}

fn sharing_in(places: &[&str], keys: &[&str], more: &str) -> Flags {
    let spec =
        format!("name = \"{{key}}\"\nproj_key = \"default\"\nenvironments = {places:?}\n{more}");
    let mut flags = Flags::of(keys)
        .setting("resync_interval = \"0s\"")
        .spec(&spec)
        .build();
    flags.platform().add_project("default", places);
    let mut config = flags.program.config().to_owned();
    for key in keys {
        let rule = |key: &str| format!("rule = \"{}\"", rule_of(key));
        config = config.replace(&rule(key), &rule(keys[0]));
    }
    flags.program.set_config(&config);
    flags
}

const SEGMENT: &str = "segment = \"people\"";

impl Flags {
    fn serves(&self, key: &str, kind: &str, user: &str) -> [bool; 5] {
        let platform = self.platform();
        PLACES.map(|place| {
            let value = platform.serves_with("default", key, place, &[(kind, user)]);
            value == Some(json!(true))
        })
    }

    /// How many requests of a method were about flags, and how many about segments.
    fn asked(&self, method: &str) -> [usize; 2] {
        ["flags", "segments"].map(|what| {
            self.launchdarkly
                .http
                .count(&format!("{method} /api/v2/{what}/*"))
        })
    }
}

#[test]
fn one_segment_of_many_users_serves_all_toggles_that_follow_a_rule() {
    let flags = sharing(&["us", "tax", "beta"], SEGMENT);
    let users: Vec<String> = (0..12_000).map(|n| format!("user-{n:05}")).collect();
    let mut users: Vec<&str> = users.iter().map(String::as_str).collect();
    flags.opa.allow("us", &users);
    flags.sync(&[]).exits(0).sums_up("3 toggles: 3 created");
    // Each segment is created, and filled in eight pieces.
    assert_eq!(flags.asked("POST"), [3, 5]);
    assert_eq!(flags.asked("PATCH"), [3 * 5, 5 * 8]);
    // Two lists of live flags, two of archived ones, and each segment once.
    assert_eq!(flags.asked("GET"), [4, 5]);
    for key in ["us", "tax", "beta"] {
        assert_eq!(flags.serves(key, "user", "user-11999"), [true; 5]);
        assert_eq!(flags.serves(key, "user", "mallory"), [false; 5]);
    }
    let reads = flags.asked("GET");
    flags.sync(&[]).exits(0).sums_up("3 toggles: 3 unchanged");
    // Two lists of three environments each, and each segment once.
    let now = flags.asked("GET");
    assert_eq!([now[0] - reads[0], now[1] - reads[1]], [2, 5]);
    assert_eq!(flags.asked("PATCH"), [3 * 5, 5 * 8], "nothing is written");
    users[0] = "zoe";
    flags.opa.allow("us", &users);
    flags.sync(&[]).exits(0).sums_up("3 toggles: 3 updated");
    assert_eq!(flags.asked("PATCH"), [3 * 5, 5 * 9]);
    let sent = flags.requests("PATCH");
    assert!(
        sent[sent.len() - 5..]
            .iter()
            .all(|request| request.body.len() < 1000)
    );
    assert_eq!(flags.serves("tax", "user", "zoe"), [true; 5]);
    assert_eq!(flags.serves("tax", "user", "user-00000"), [false; 5]);
}

#[test]
fn a_change_while_serving_costs_one_request_for_each_environment_however_many_toggles_share_it() {
    let flags = sharing(&["us", "tax", "beta"], SEGMENT);
    flags.opa.allow("us", &["ann", "bob"]);
    let _daemon = flags.serve_in_step();
    let before = flags.count("*", "*");
    flags.change("us", &["ann", "eve"]);
    flags.stage.wait_until("they follow", || {
        ["us", "tax", "beta"]
            .iter()
            .all(|key| flags.serves(key, "user", "eve") == [true; 5])
    });
    flags
        .stage
        .holds_for(Duration::from_millis(300), "no more is asked", || {
            flags.count("*", "*") == before + 5
        });
    assert_eq!(flags.serves("us", "user", "bob"), [false; 5]);
}

#[test]
fn a_segment_that_hangs_delays_no_toggle_without_it() {
    let keys = ["us", "a", "b", "c", "d", "alone"];
    let mut flags = sharing_in(&ENVIRONMENTS, &keys, SEGMENT);
    let config = format!("http_timeout = \"1m\"\n{}", flags.program.config());
    let (shared, alone) = config.split_once("key = \"alone\"").unwrap();
    let alone = alone
        .replace(SEGMENT, "")
        .replace("rule = \"us\"", "rule = \"alone\"");
    flags
        .program
        .set_config(&format!("{shared}key = \"alone\"{alone}"));
    for key in ["us", "alone"] {
        flags.opa.allow(key, &["ann", "bob"]);
    }
    let daemon = flags.serve_in_step();
    flags
        .launchdarkly
        .http
        .always("PATCH /api/v2/segments/*", Fault::Hang);
    flags.change("us", &["ann"]);
    flags.stage.wait_until("the segment hangs", || {
        daemon.toggle("us")["state"] == "syncing"
    });
    for (users, others) in [(["ann"], ["bob"]), (["bob"], ["ann"])] {
        flags.change("alone", &users);
        flags.wait_until_on_for("alone", &users, &others);
    }
}

#[test]
fn keys_of_another_kind_are_targets_or_members_of_that_kind() {
    for more in ["", SEGMENT] {
        let more = format!("context_kind = \"organization\"\n{more}");
        let flags = sharing(&["us"], &more);
        flags.opa.allow("us", &["acme"]);
        flags.sync(&[]).exits(0).sums_up("1 toggle: 1 created");
        assert_eq!(flags.serves("us", "organization", "acme"), [true; 5]);
        assert_eq!(flags.serves("us", "user", "acme"), [false; 5]);
        flags.sync(&[]).exits(0).sums_up("1 toggle: 1 unchanged");
    }
}

#[test]
fn those_who_keep_toggles_have_them_all_the_way_to_a_segment_and_back() {
    let keys = ["us", "tax", "beta"];
    let mut flags = sharing_in(&ENVIRONMENTS, &keys, "");
    let targets = format!("concurrency = 1\n{}", flags.program.config());
    let segment = format!("{SEGMENT}\nenvironments = ");
    let segment = targets.replace("environments = ", &segment);
    let all: Vec<String> = (0..2_003).map(|n| format!("user-{n:04}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    flags.opa.allow("us", &all[..2_000]);
    flags.sync(&[]).exits(0);
    // Each time one user leaves, and one joins.
    for (step, config) in [&segment, &targets].into_iter().enumerate() {
        let (left, joined) = (all[step], all[2_000 + step]);
        let keep = [step + 1, 1_499, 1_500, 1_999].map(|n| all[n]);
        flags.program.set_config(config);
        flags.opa.allow("us", &all[step + 1..=2_000 + step]);
        for writes in 0.. {
            let have = |users: &[&str], others: &[&str]| {
                let mut keys = keys.iter();
                keys.all(|key| flags.is_on_for(key, users, others))
            };
            assert!(
                have(&keep, &["mallory", all[2_001 + step]]),
                "{step}: {writes} writes"
            );
            if have(&[joined], &[left]) {
                break;
            }
            // Cut off after one more.
            flags.platform().writes_left = Some(1);
            flags.sync(&[]);
            assert!(writes < 20);
        }
        flags.platform().writes_left = Some(0);
        flags.sync(&[]).exits(0).sums_up("3 toggles: 3 unchanged");
        flags.platform().writes_left = None;
    }
}

#[test]
fn what_was_changed_by_hand_in_a_segment_is_put_right() {
    let flags = sharing(&["us", "tax"], SEGMENT);
    flags.opa.allow("us", &["ann", "bob"]);
    flags.sync(&[]).exits(0);
    {
        let mut platform = flags.platform();
        let segment = platform.segment("default", "eu", "people");
        segment.included.insert("mallory".into());
        segment.included.remove("bob");
        segment.excluded.insert("bob".into());
        let clause = json!({ "attribute": "key", "op": "in", "values": ["eve"], "negate": false });
        segment.rules = vec![json!({ "_id": "r", "clauses": [clause] })];
        segment.list("device", true).insert("phone".into());
    }
    let before = flags.asked("PATCH");
    // Of the two toggles, one may be read when the other has put the segment right.
    flags.sync(&[]).exits(0);
    assert_eq!(flags.asked("PATCH"), [before[0], before[1] + 1]);
    for (kind, user, is_served) in [
        ("user", "bob", true),
        ("user", "mallory", false),
        ("user", "eve", false),
        ("device", "phone", false),
    ] {
        assert_eq!(flags.serves("tax", kind, user), [is_served; 5], "{user}");
    }
}

#[test]
fn a_new_toggle_of_a_segment_empties_it_within_the_removal_limit_only() {
    let flags = sharing(&["us", "tax"], SEGMENT);
    let users: Vec<String> = (0..20).map(|n| format!("user-{n}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    flags.opa.allow("us", &users);
    flags.sync(&["--toggle", "us"]).exits(0);
    flags.opa.allow("us", &users[..1]);
    let output = flags.sync(&[]).exits(1);
    let held =
        "held: environments production, test, staging, eu, us: it would remove 19 of 20 users";
    output
        .reports_start(&format!("us {held}"))
        .reports_start(&format!("tax {held}"));
    assert_eq!(flags.serves("us", "user", "user-19"), [true; 5]);
}

#[test]
fn a_segment_that_cannot_be_kept_is_named_and_other_environments_are_kept() {
    let big = "the segment people is a big segment";
    let approval = "require approval: let the token bypass approvals";
    for (words, is_big) in [(big, true), (approval, false)] {
        let flags = sharing(&["us", "tax"], SEGMENT);
        flags.opa.allow("us", &["ann"]);
        flags
            .platform()
            .segment("default", "eu", "people")
            .unbounded = is_big;
        if !is_big {
            let refused = crate::support::launchdarkly::refusal(403, "approval is required");
            let path = "PATCH /api/v2/segments/default/eu/*";
            flags.launchdarkly.http.always(path, Fault::Answer(refused));
        }
        let output = flags.sync(&[]).exits(1);
        for key in ["us", "tax"] {
            let row = output
                .stdout
                .lines()
                .find(|line| line.starts_with(key))
                .unwrap();
            assert!(
                row.contains("failed: environment eu: ") && row.contains(words),
                "{row}"
            );
            let served = flags.serves(key, "user", "ann");
            assert_eq!(served, [true, true, true, false, true]);
        }
    }
}
