//! Lists, from a remote that gives the same page whatever is asked for.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use super::*;
use crate::address::Address;
use crate::config::tests::configured;
use crate::config::{Rule, Toggle};
use crate::metrics::Metrics;
use crate::tests::canned::Canned;

/// LaunchDarkly, asked for these toggles.
fn launchdarkly(url: Address, keys: &[&str]) -> LaunchDarkly {
    let spec = json!({ "name": "US", "proj_key": "default", "environments": [PRODUCTION] });
    let toggle = |key: &&str| Toggle {
        key: (*key).to_owned(),
        name: (*key).to_owned(),
        target: 0,
        rule: Some(0),
        spec: spec.as_object().unwrap().clone(),
        max_removal: crate::config::MaxRemoval::Off,
    };
    let mut config = configured(&format!(
        "[[sources]]\nid = \"a\"\ntype = \"file\"\npath = \"users.json\"\n\
         [target]\ntype = \"launchdarkly\"\ntoken = \"token\"\nbase_url = \"{url}\"\n"
    ));
    config.rules = vec![Rule {
        source: 0,
        package: "app".into(),
        rule: "us".into(),
        input: None,
    }];
    config.toggles = keys.iter().map(toggle).collect();
    let requests = Metrics::new(UNIX_EPOCH).unwrap().requests("target");
    LaunchDarkly::new(&config, 0, requests).unwrap()
}

/// Reads all toggles, and then each by itself that was not told.
fn read_all(target: &LaunchDarkly) -> Reads {
    let reads = target.read(&[0, 1, 2, 3]).into_iter();
    let reads = reads.flat_map(|(id, result)| match result {
        Ok(Observed::Unknown) => target.read(&[id]),
        told => vec![(id, told)],
    });
    reads.collect()
}

#[test]
fn a_list_that_takes_as_many_requests_as_there_are_toggles_is_not_asked_for_twice() {
    let other = json!({ "key": "other", "name": "", "variations": [] });
    let page = json!({ "items": [other], "totalCount": 900, "_links": { "next": {} } });
    let canned = Canned::answering(200, page.to_string().as_bytes());
    let target = launchdarkly(canned.url(), &KEYS);
    for _ in 0..3 {
        let reads = target.read(&[0, 1, 2, 3]);
        let unknown = (0..KEYS.len()).map(|id| (id, Ok(Observed::Unknown)));
        assert_eq!(reads, unknown.collect::<Vec<_>>());
        assert_eq!(canned.asked(), 1, "a look at the list tells how long it is");
    }
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn whatever_a_list_says_each_toggle_is_read_once_in_a_bounded_number_of_requests(
        flags in prop::collection::vec(any_flag("a"), 0..4),
        total in prop::option::of(prop_oneof![0_u64..6, 0_u64..1_000, any::<u64>()]),
        has_next: bool,
        changes in any_changes(),
        status in prop::sample::select(vec![200_u16, 200, 200, 200, 404, 429, 500]),
    ) {
        let mut flags = flags;
        for (flag, key) in flags.iter_mut().zip(KEYS) {
            flag["key"] = json!(key);
        }
        let mut page = json!({ "items": flags, "totalCount": total, "_links": {} });
        if has_next {
            page["_links"]["next"] = json!({ "href": "/" });
        }
        let body = serde_json::to_vec(&changed(page, &changes)).unwrap();
        let canned = Canned::answering(status, &body);
        let target = launchdarkly(canned.url(), &KEYS);
        let mut counts = BTreeMap::new();
        for (id, result) in read_all(&target) {
            *counts.entry(id).or_insert(0) += 1;
            if let Err(failure) = result {
                prop_assert!(!failure.to_string().contains(QUOTE) || status != 200, "{}", failure);
            }
        }
        prop_assert_eq!(counts, BTreeMap::from([(0, 1), (1, 1), (2, 1), (3, 1)]));
        // Two lists, of which each is looked through as long as that takes fewer requests than to
        // read the toggles one by one; then those; and what is missing where something is.
        prop_assert!(canned.asked() <= 3 * KEYS.len() + 4, "{} requests", canned.asked());
    }
}
