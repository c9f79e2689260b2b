//! What LaunchDarkly can answer: flags and lists that are nearly right, and anything else.

mod flags;
mod lists;
mod segments;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;
use crate::tests::anything::{QUOTE, any_changes, any_edits, any_json, changed, edited};
use crate::users::Users;

const PRODUCTION: &str = "production";

fn spec(key: &str) -> Spec {
    Spec {
        key: key.to_owned(),
        comment: String::new(),
        name: "US".to_owned(),
        proj_key: "default".to_owned(),
        environments: vec![PRODUCTION.to_owned()],
        context_kind: "user".to_owned(),
        segment: None,
        slots: Vec::new(),
        description: None,
        tags: None,
        mark: Mark::default(),
        is_retired: false,
    }
}

/// A flag as LaunchDarkly tells it; in one environment, in which not much is wrong, or nothing.
fn any_flag(key: &'static str) -> impl Strategy<Value = Value> {
    let people = || prop::sample::subsequence(vec!["ann", "bob", "eve"], 0..=3);
    // Mostly what it should be.
    let rarely = || prop::bool::weighted(0.1);
    (
        any::<bool>(),
        (rarely(), rarely(), rarely(), rarely(), rarely()),
        people(),
        people(),
    )
        .prop_map(
            move |(reversed, (off, falls, none, rule, org), users, others)| {
                let (yes, no) = if reversed { (1, 0) } else { (0, 1) };
                let mut variations = vec![
                    json!({ "_id": "id-true", "value": true }),
                    json!({ "_id": "id-false", "value": false }),
                ];
                if reversed {
                    variations.reverse();
                }
                let other = |kind: &str, wrong| {
                    let values = if wrong { others.clone() } else { Vec::new() };
                    json!({ "contextKind": kind, "variation": yes, "values": values })
                };
                json!({
                    "key": key, "name": "US", "description": "", "tags": [], "archived": false,
                    "variations": variations,
                    "environments": { PRODUCTION: {
                        "on": !off,
                        "fallthrough": { "variation": if falls { yes } else { no } },
                        "offVariation": (!none).then_some(no),
                        "targets": [{ "values": users, "variation": yes, "contextKind": "user" }],
                        "contextTargets": [other("user", false), other("org", org)],
                        "rules": if rule { json!([{ "_id": "r" }]) } else { json!([]) },
                        "prerequisites": [],
                        "version": 7,
                    } },
                })
            },
        )
}
