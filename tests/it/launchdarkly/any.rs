//! Whatever a flag is like: once it was updated, it is on for exactly the users, and there is
//! nothing left to do.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use optoggles::internals::{
    Applied, Config, Edit, Environment, Evaluations, Metrics, Observed, Users, What, catalog, load,
    open as open_target,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::*;
use crate::support::launchdarkly::Target;
use crate::support::launchdarkly::flag;
use crate::support::launchdarkly::segment::Segment;

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

/// Each user of whom a flag is about, as a context of a kind.
fn served(platform: &Platform, environment: &str, kind: &str) -> BTreeSet<&'static str> {
    let is_served = |key: &&str| {
        let value = platform.serves_with("default", "us", environment, &[(kind, *key)]);
        value == Some(json!(true))
    };
    let all = PEOPLE.into_iter().chain(["acme"]);
    all.filter(is_served).collect()
}

/// A rule that serves a variation to the members of a segment.
fn match_of(segment: &str, variation: usize) -> Value {
    json!({ "_id": "r", "variation": variation, "trackEvents": false, "clauses": [
        { "attribute": "", "op": "segmentMatch", "values": [segment], "negate": false },
    ] })
}

/// A flag that somebody left in any state, or that is as optoggles leaves it.
fn any_state(on: usize) -> impl Strategy<Value = flag::Config> {
    let kept = move |targets: Vec<&str>, kind: &str, rule: bool| {
        let mut config = flag::Config::off(on, 1 - on);
        config.on = true;
        config.fallthrough = json!({ "variation": 1 - on });
        if rule {
            config.rules = vec![match_of("people", on)];
        } else if kind == "user" {
            config.targets = vec![Target::new(kind, on, &targets)];
        } else {
            config.context_targets = vec![Target::new(kind, on, &targets)];
        }
        config.mark_order();
        config
    };
    let people = prop::collection::vec(prop::sample::select(&PEOPLE[..]), 0..5);
    let kinds = prop::sample::select(&["user", "org"][..]);
    prop_oneof![
        any_config(),
        (people, kinds, any::<bool>())
            .prop_map(move |(targets, kind, rule)| kept(targets, kind, rule)),
        (any_config(), 0_usize..2).prop_map(|(config, variation)| flag::Config {
            rules: vec![match_of("people", variation)],
            ..config
        }),
    ]
}

fn any_segment() -> impl Strategy<Value = Option<Segment>> {
    let people = || prop::collection::btree_set(prop::sample::select(&PEOPLE[..]), 0..5);
    let owned = |keys: BTreeSet<&str>| keys.into_iter().map(str::to_owned).collect();
    let segment = (people(), people(), people(), any::<bool>());
    prop::option::of(segment.prop_map(move |(users, excluded, orgs, rule)| {
        let excluded = &excluded - &users;
        let clause = json!({ "attribute": "key", "op": "in", "values": ["zoe"], "negate": false });
        let mut segment = Segment {
            key: "people".into(),
            name: "people".into(),
            included: owned(users),
            excluded: owned(excluded),
            rules: Vec::from_iter(rule.then(|| json!({ "_id": "s", "clauses": [clause] }))),
            ..Segment::default()
        };
        *segment.list("org", true) = owned(orgs);
        segment
    }))
}

fn config(base_url: &str, more: &str) -> Arc<Config> {
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        "[[sources]]\nid = \"a\"\ntype = \"file\"\npath = \"users.json\"\n\
         [target]\ntype = \"launchdarkly\"\ntoken = \"{TOKEN}\"\nbase_url = \"{base_url}\"\n\
         [[toggles]]\nkey = \"us\"\nmax_removal = \"off\"\n\
         users_policy = {{ source = \"a\", package = \"app.rbac\", rule = \"us\" }}\n\
         [toggles.spec]\nname = \"US\"\nproj_key = \"default\"\n\
         environments = {ENVIRONMENTS:?}\n{more}"
    );
    fs::write(file.path(), text).unwrap();
    Arc::new(
        load(Some(file.path()), &|_| None, &catalog())
            .unwrap()
            .config,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 2))]

    #[test]
    fn any_flag_and_segment_can_be_put_right_and_wherever_that_is_cut_off_nobody_gains(
        (reversed, production, test) in any::<bool>().prop_flat_map(|reversed| {
            let on = usize::from(reversed);
            (Just(reversed), any_state(on), any_state(on))
        }),
        segments in (any_segment(), any_segment()),
        has_segment: bool,
        kind in prop::sample::select(&["user", "org"][..]),
        writes in 0_usize..8,
        desired in prop::collection::btree_set(prop::sample::select(&PEOPLE[..]), 0..5),
        next in prop::collection::btree_set(prop::sample::select(&PEOPLE[..]), 0..5),
    ) {
        let stage = Stage::new();
        let launchdarkly = LaunchDarkly::start(&stage, TOKEN);
        let mut values = vec![json!(true), json!(false)];
        if reversed {
            values.reverse();
        }
        let former = {
            let mut platform = launchdarkly.platform();
            platform.add_project("default", &["production", "test", "staging"]);
            platform.put("default", "us", &values);
            for (place, segment) in ENVIRONMENTS.into_iter().zip([segments.0, segments.1]) {
                if let Some(segment) = segment {
                    *platform.segment("default", place, "people") = segment;
                }
            }
            let flag = platform.edit("default", "us");
            *flag.environment("production") = production;
            *flag.environment("test") = test;
            flag.name = "US".into();
            platform.writes_left = Some(writes);
            ENVIRONMENTS.map(|place| served(&platform, place, kind))
        };
        let mut more = format!("context_kind = \"{kind}\"\n");
        if has_segment {
            more += "segment = \"people\"\n";
        }
        let config = config(&launchdarkly.http.url(), &more);
        let open = || {
            let metrics = Metrics::new(UNIX_EPOCH).unwrap();
            let evaluations = Arc::new(Evaluations::new(&metrics));
            open_target(&config, 0, metrics.requests("target"), &evaluations).unwrap()
        };
        let (target, judge) = (open(), open());
        let update = |number: usize, users: &Arc<Users>| {
            let what = What::Update(number, Arc::clone(users));
            let edit = Edit { toggle: 0, what, revision: None };
            target.apply(&[edit]).remove(0).2
        };
        // What has not been read is not changed.
        prop_assert!(update(0, &Arc::default()).is_err());
        prop_assert_eq!(launchdarkly.http.count("PATCH *"), 0);
        let users: Arc<Users> = Arc::new(desired.iter().copied().collect());
        let known = environments(target.read(&[0]).remove(0).1.unwrap());
        for (number, environment) in known.iter().enumerate() {
            let place = ENVIRONMENTS[number];
            if let Some(known) = &environment.users {
                let there: Users = former[number].iter().copied().collect();
                prop_assert_eq!(&**known, &there, "what is known of {}", place);
            }
            if !environment.is_on_for(&users) {
                let _ = update(number, &users);
            }
            let now = served(&launchdarkly.platform(), place, kind);
            let may_have = &former[number] | &desired;
            prop_assert!(now.is_subset(&may_have), "{:?} of {:?}", now, may_have);
            // Where only users differ, those who keep it have it all the time.
            if environment.users.is_some() {
                let keep = &former[number] & &desired;
                prop_assert!(now.is_superset(&keep), "{:?} without {:?}", now, keep);
            }
        }
        launchdarkly.platform().writes_left = None;
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
            for place in ENVIRONMENTS {
                prop_assert_eq!(&served(&launchdarkly.platform(), place, kind), &set);
                let other = if kind == "user" { "org" } else { "user" };
                let none = served(&launchdarkly.platform(), place, other);
                prop_assert!(none.is_empty(), "{:?}", none);
            }
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
