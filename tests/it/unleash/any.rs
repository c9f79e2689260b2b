//! Whatever a feature is like, and wherever an update is cut off: at no moment has it a user who neither had it nor
//! is to have it, none who keeps it loses it, and in the end exactly the desired users have it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use optoggles::internals::{
    Applied, Config, Edit, Environment as Known, Evaluations, Metrics, Observed, Users, What,
    catalog, load, open as open_target,
};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::feature::{Environment, served, strategy};
use super::*;

/// Everyone there is.
const PEOPLE: [&str; 6] = ["a,\"b", "ann", "bob", "eve", "zoe", "Ж z"];

type People = BTreeSet<&'static str>;

fn any_people(most: usize) -> impl Strategy<Value = People> {
    prop::collection::btree_set(prop::sample::select(&PEOPLE[..]), 0..=most)
}

/// What others do to a strategy of ours.
const DAMAGES: [fn(&mut Value); 12] = [
    |it| it["title"] = Value::Null,
    |it| it["disabled"] = json!(true),
    |it| it["segments"] = json!([1]),
    |it| it["parameters"]["rollout"] = json!("50"),
    |it| it["parameters"]["groupId"] = json!("another"),
    |it| it["parameters"]["stickiness"] = json!("sessionId"),
    |it| it["constraints"] = json!([]),
    |it| it["constraints"][0]["inverted"] = json!(true),
    |it| it["constraints"][0]["caseInsensitive"] = json!(true),
    |it| it["constraints"][0]["operator"] = json!("NOT_IN"),
    |it| it["constraints"][0]["contextName"] = json!("tenant"),
    |it| {
        let other = json!({ "contextName": "appName", "operator": "IN", "values": ["shop"] });
        it["constraints"].as_array_mut().unwrap().push(other);
    },
];

fn any_strategy() -> impl Strategy<Value = Value> {
    let damage = prop::option::of(prop::sample::select(&DAMAGES[..]));
    let users = any_people(3).prop_filter("a constraint has values", |users| !users.is_empty());
    (users, damage, any::<u32>()).prop_map(|(users, damage, id)| {
        let constraint = json!({ "contextName": "userId", "operator": "IN", "values": users });
        let body =
            json!({ "name": "flexibleRollout", "title": "optoggles", "constraints": [constraint] });
        let mut it = strategy(&format!("of-others-{id}"), "us", &body);
        if let Some(damage) = damage {
            damage(&mut it);
        }
        it
    })
}

fn any_environment() -> impl Strategy<Value = Environment> {
    let strategies = prop::collection::vec(any_strategy(), 0..4);
    (any::<bool>(), strategies).prop_map(|(enabled, strategies)| {
        let mut environment = Environment {
            enabled,
            strategies,
        };
        environment.settle();
        environment
    })
}

/// Who has the feature, and who of them by a strategy that lists users.
fn who_has(platform: &mut Platform, place: &str) -> (People, People) {
    let all = platform.served("us", place, &PEOPLE);
    let whole = platform.environment("us", place).clone();
    let lists = |it: &Value| {
        let mut constraints = it["constraints"].as_array().unwrap().iter();
        constraints.any(|it| {
            it["contextName"] == "userId"
                && it["operator"] == "IN"
                && it["inverted"] != true
                && it["caseInsensitive"] != true
        })
    };
    let environment = platform.environment("us", place);
    environment.strategies.retain(lists);
    // Without any, the engine lets everyone through.
    environment.settle();
    let by_lists = platform.served("us", place, &PEOPLE);
    *platform.environment("us", place) = whole;
    (all, by_lists)
}

fn config(url: &str) -> Arc<Config> {
    let file = NamedTempFile::new().unwrap();
    let mut text = format!(
        "[[sources]]\nid = \"a\"\ntype = \"file\"\npath = \"users.json\"\n\
         [target]\ntype = \"unleash\"\ntoken = \"{TOKEN}\"\nurl = \"{url}\"\n"
    );
    for key in ["us", "tax", "eu"] {
        text += &format!(
            "[[toggles]]\nkey = \"{key}\"\nmax_removal = \"off\"\n\
             users_policy = {{ source = \"a\", package = \"app.rbac\", rule = \"{key}\" }}\n\
             [toggles.spec]\nenvironments = {ENVIRONMENTS:?}\n"
        );
    }
    fs::write(file.path(), text).unwrap();
    Arc::new(
        load(Some(file.path()), &|_| None, &catalog())
            .unwrap()
            .config,
    )
}

/// What is known of each environment.
fn environments(observed: Observed) -> Vec<Known> {
    let Observed::Present(present) = observed else {
        panic!("{observed:?}");
    };
    present
        .environments
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 2))]

    #[test]
    fn any_feature_can_be_put_right_and_wherever_that_is_cut_off_no_one_gains(
        states in (any_environment(), any_environment()),
        more_room in 0_usize..3,
        by_list: bool,
        writes in 0_usize..8,
        desired in any_people(6),
        next in any_people(6),
    ) {
        let stage = Stage::new();
        let unleash = Unleash::start(&stage);
        let config = config(&unleash.http.url());
        let former = {
            let mut platform = unleash.platform();
            let most = states.0.strategies.len().max(states.1.strategies.len()).max(2);
            platform.limits = Limits { values: 3, strategies: most + more_room };
            platform.writes_left = Some(writes);
            for key in ["us", "tax", "eu"] {
                platform.put(key);
            }
            *platform.environment("us", "development") = states.0;
            *platform.environment("us", "production") = states.1;
            ENVIRONMENTS.map(|place| who_has(&mut platform, place))
        };
        let open = || {
            let metrics = Metrics::new(UNIX_EPOCH).unwrap();
            let evaluations = Arc::new(Evaluations::new(&metrics));
            open_target(&config, 0, metrics.requests("target"), &evaluations).unwrap()
        };
        let (target, judge) = (open(), open());
        let update = |number: usize, users: &Arc<Users>| {
            let edit = Edit { toggle: 0, what: What::Update(number, Arc::clone(users)), revision: None };
            target.apply(&[edit]).remove(0).2
        };
        let read = if by_list { &[0, 1, 2][..] } else { &[0] };
        let users: Arc<Users> = Arc::new(desired.iter().copied().collect());
        let known = environments(target.read(read).remove(0).1.unwrap());
        for (number, environment) in known.iter().enumerate() {
            if let Some(known) = &environment.users {
                let there: Users = former[number].0.iter().copied().collect();
                prop_assert_eq!(&**known, &there, "what is known of {}", ENVIRONMENTS[number]);
            }
            if !environment.is_on_for(&users) {
                let _ = update(number, &users);
            }
        }
        unleash.platform().writes_left = None;
        let mut known = environments(target.read(read).remove(0).1.unwrap());
        let mut before = former;
        for set in [desired, next] {
            let users: Arc<Users> = Arc::new(set.iter().copied().collect());
            // The second set is sent on top of what is known, without another read.
            for (number, environment) in known.iter_mut().enumerate() {
                if !environment.is_on_for(&users) {
                    prop_assert_eq!(update(number, &users), Ok(Applied::Done));
                    *environment = Known { users: Some(Arc::clone(&users)), in_order: true, ..Known::default() };
                }
            }
            for (place, list) in unleash.platform().history.drain(..) {
                let now = served(&list, "us", &PEOPLE);
                let (all, by_lists) = &before[usize::from(place == "production")];
                prop_assert!(now.is_subset(&(all | &set)), "{:?} of {:?} and {:?}", now, all, set);
                prop_assert!(now.is_superset(&(by_lists & &set)), "{:?} without {:?} and {:?}", now, by_lists, set);
            }
            for place in ENVIRONMENTS {
                prop_assert_eq!(&unleash.platform().served("us", place, &PEOPLE), &set);
            }
            let judged = environments(judge.read(read).remove(0).1.unwrap());
            prop_assert!(judged.iter().all(|environment| environment.is_on_for(&users)), "{:?}", judged);
            before = [(set.clone(), set.clone()), (set.clone(), set)];
        }
        prop_assert_eq!(&unleash.platform().misfits, &[""; 0]);
    }
}
