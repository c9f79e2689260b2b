//! What was changed by hand is put back.

use serde_json::json;

use super::*;
use crate::support::Fault;
use crate::support::launchdarkly::{Target, refusal};

#[test]
fn whatever_is_changed_in_one_environment_is_repaired_in_one_request() {
    let flags = Flags::of(&["us"]).build();
    flags.opa.allow("us", &["ann", "bob"]);
    flags.sync(&[]).exits(0);
    let before = flags.count("PATCH", "*");
    let mut platform = flags.platform();
    let config = platform.edit("default", "us").environment("production");
    config.on = false;
    config.fallthrough = json!({ "variation": 0 });
    config.off_variation = None;
    config.prerequisites = vec![json!({ "key": "other", "variation": 0 })];
    config.rules = vec![json!({
        "_id": "r1", "variation": 0, "trackEvents": false,
        "clauses": [{ "attribute": "key", "op": "in", "values": ["eve"], "negate": false }],
    })];
    config.targets = vec![
        Target::new("user", 0, &["eve"]),
        Target::new("user", 1, &["ann"]),
    ];
    config.context_targets = vec![Target::new("org", 0, &["acme"])];
    config.mark_order();
    drop(platform);
    flags.sync(&[]).exits(0);
    assert!(flags.is_on_for("us", &["ann", "bob"], &["eve", "mallory"]));
    let served = flags
        .platform()
        .serves_with("default", "us", "production", &[("org", "acme")]);
    assert_eq!(served, Some(json!(false)));
    assert_eq!(
        flags.count("PATCH", "*"),
        before + 1,
        "only where it differs"
    );
    flags.sync(&[]).exits(0).reports("us = 2 users unchanged");
}

#[test]
fn a_resync_puts_back_what_was_changed_while_serving() {
    let flags = Flags::of(&["us"])
        .setting("resync_interval = \"300ms\"")
        .build();
    flags.opa.allow("us", &["ann"]);
    let _daemon = flags.serve_in_step();
    for key in ENVIRONMENTS {
        let mut platform = flags.platform();
        let config = platform.edit("default", "us").environment(key);
        config.targets = vec![Target::new("user", 0, &["mallory"])];
    }
    flags.wait_until_on_for("us", &["ann"], &["mallory"]);
}

#[test]
fn a_patch_that_no_longer_fits_is_followed_by_a_fresh_read() {
    for status in [400, 409] {
        let flags = Flags::of(&["us"]).build();
        flags.opa.allow("us", &["ann"]);
        let _daemon = flags.serve_in_step();
        let reads = flags.count("GET", "us");
        let fault = Fault::Answer(refusal(status, "it changed in the meantime"));
        flags.launchdarkly.http.next(1, "PATCH *", fault);
        flags.change("us", &["bob"]);
        flags.wait_until_on_for("us", &["bob"], &["ann"]);
        assert_eq!(flags.count("GET", "us"), reads + 1, "after {status}");
    }
}
