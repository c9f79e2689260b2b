//! Whatever a flag is like: once it was updated, it is on for exactly the users, and there is
//! nothing left to do.

use std::fs;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use optoggles::internals::{
    Applied, Config, Edit, Environment, Metrics, Observed, Users, What, catalog, load,
    open as open_target,
};
use proptest::prelude::*;
use serde_json::json;
use tempfile::NamedTempFile;

use super::*;
use crate::support::launchdarkly::Target;
use crate::support::launchdarkly::flag;

/// Everybody there is.
const PEOPLE: [&str; 5] = ["ann", "bob", "eve", "mallory", "zoe"];

/// A flag in one environment, as somebody may have left it.
fn any_config() -> impl Strategy<Value = flag::Config> {
    let people = || prop::collection::btree_set(prop::sample::select(&PEOPLE[..]), 0..5);
    let fallthrough = prop_oneof![
        (0_usize..2).prop_map(|variation| json!({ "variation": variation })),
        Just(json!({ "rollout": { "variations": [
            { "variation": 0, "weight": 40_000 }, { "variation": 1, "weight": 60_000 },
        ] } })),
    ];
    let off = prop::option::of(0_usize..2);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    (
        switches,
        fallthrough,
        off,
        people(),
        people(),
        prop::option::of(0_usize..2),
    )
        .prop_map(
            |((on, rule, prerequisite), fallthrough, off_variation, first, second, org)| {
                let second: Vec<&str> = second.difference(&first).copied().collect();
                let first: Vec<&str> = first.into_iter().collect();
                let rules = rule.then(|| {
                    json!({ "_id": "r", "variation": 0, "trackEvents": false, "clauses": [
                    { "attribute": "key", "op": "in", "values": ["eve"], "negate": false },
                ] })
                });
                let prerequisites = prerequisite.then(|| json!({ "key": "none", "variation": 0 }));
                let org = org.map(|variation| Target::new("org", variation, &["acme"]));
                let mut config = flag::Config {
                    on,
                    fallthrough,
                    off_variation,
                    targets: vec![
                        Target::new("user", 0, &first),
                        Target::new("user", 1, &second),
                    ],
                    context_targets: org.into_iter().collect(),
                    rules: rules.into_iter().collect(),
                    prerequisites: prerequisites.into_iter().collect(),
                    version: 1,
                };
                config.mark_order();
                config
            },
        )
}

fn config(base_url: &str) -> Arc<Config> {
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        "[[sources]]\nid = \"a\"\ntype = \"file\"\npath = \"users.json\"\n\
         [target]\ntype = \"launchdarkly\"\ntoken = \"{TOKEN}\"\nbase_url = \"{base_url}\"\n\
         [[toggles]]\nkey = \"us\"\nmax_removal = \"off\"\n\
         users_policy = {{ source = \"a\", package = \"app.rbac\", rule = \"us\" }}\n\
         spec = {{ name = \"US\", proj_key = \"default\", environments = {ENVIRONMENTS:?} }}\n"
    );
    fs::write(file.path(), text).unwrap();
    Arc::new(
        load(Some(file.path()), &|_| None, &catalog())
            .unwrap()
            .config,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_flag_can_be_put_right_and_then_nothing_is_left_to_do(
        production in any_config(),
        test in any_config(),
        reversed: bool,
        desired in prop::collection::btree_set(prop::sample::select(&PEOPLE[..]), 0..5),
        next in prop::collection::btree_set(prop::sample::select(&PEOPLE[..]), 0..5),
    ) {
        let stage = Stage::new();
        let launchdarkly = LaunchDarkly::start(&stage, TOKEN);
        let mut values = vec![json!(true), json!(false)];
        if reversed {
            values.reverse();
        }
        {
            let mut platform = launchdarkly.platform();
            platform.add_project("default", &["production", "test", "staging"]);
            platform.put("default", "us", &values);
            let flag = platform.edit("default", "us");
            *flag.environment("production") = production;
            *flag.environment("test") = test;
            flag.name = "US".into();
        }
        let open = || {
            let requests = Metrics::new(UNIX_EPOCH).unwrap().requests("target");
            open_target(&config(&launchdarkly.http.url()), 0, requests).unwrap()
        };
        let (target, judge) = (open(), open());
        let update = |number: usize, users: &Arc<Users>| {
            let edit = Edit { toggle: 0, what: What::Update(number, Arc::clone(users)) };
            target.apply(&[edit]).remove(0).2
        };
        // What has not been read is not changed.
        prop_assert!(update(0, &Arc::default()).is_err());
        prop_assert_eq!(launchdarkly.http.count("PATCH *"), 0);
        let mut known = environments(target.read(&[0]).remove(0).1.unwrap());
        // The second set is sent on top of what is known, without another read.
        for set in [desired, next] {
            let users: Arc<Users> = Arc::new(set.iter().copied().collect());
            for (number, environment) in known.iter_mut().enumerate() {
                if !environment.is_on_for(&users) {
                    prop_assert_eq!(update(number, &users), Ok(Applied::Done));
                    *environment = Environment::of(Arc::clone(&users));
                }
            }
            let others: Vec<&str> = PEOPLE.into_iter().filter(|one| !set.contains(one)).collect();
            let set: Vec<&str> = set.into_iter().collect();
            let platform = launchdarkly.platform();
            for environment in ENVIRONMENTS {
                prop_assert!(platform.is_on_for("default", "us", environment, &set, &others));
            }
            drop(platform);
            let judged = environments(judge.read(&[0]).remove(0).1.unwrap());
            prop_assert!(judged.iter().all(|environment| environment.is_on_for(&users)));
        }
    }
}

/// What is known of each environment.
fn environments(observed: Observed) -> Vec<Environment> {
    let Observed::Present(present) = observed else {
        panic!("{observed:?}");
    };
    present
        .environments
        .into_iter()
        .map(Result::unwrap)
        .collect()
}
