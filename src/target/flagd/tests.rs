mod lists;
mod together;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::error::Kind;
use crate::tests::anything::{any_changes, any_json, any_text, changed};
use crate::users::Users;

fn toggle(key: &str) -> Toggle {
    Toggle {
        key: key.to_owned(),
        name: key.to_owned(),
        target: 0,
        rule: Some(0),
        spec: Map::new(),
        max_removal: crate::config::MaxRemoval::Off,
    }
}

/// A text in which a flag is on for these users, beside what was there.
fn edited(text: Option<&str>, key: &str, users: &Arc<Users>) -> Result<String, Failure> {
    let mut definition = Definition::parse("f", text)?;
    let mut flag = definition.flag(key)?.unwrap_or_default();
    flag.turn_on_for(users);
    definition.put(key, flag);
    definition.to_text()
}

/// Whether nothing is left to do for these users.
fn is_done(observed: &Observed, users: &Users) -> bool {
    let Observed::Present(present) = observed else {
        return false;
    };
    let mut environments = present.environments.iter().flatten();
    present.described && environments.all(|it| it.is_on_for(users))
}

fn found(text: &str, key: &str) -> Observed {
    let definition = Definition::parse("f", Some(text)).unwrap();
    observed(
        definition.flag(key).unwrap(),
        &toggle(key),
        &Mark::default(),
    )
}

proptest! {
    #[test]
    fn a_flag_that_was_written_is_read_as_it_was_meant(
        users in prop::collection::vec(".{0,6}", 0..6),
        key in ".{1,6}",
    ) {
        let users: Arc<Users> = Arc::new(users.iter().map(String::as_str).collect());
        let text = edited(None, &key, &users).unwrap();
        let Observed::Present(present) = found(&text, &key) else {
            panic!("{text}");
        };
        prop_assert!(is_done(&Observed::Present(present), &users));
        prop_assert_eq!(edited(Some(&text), &key, &users).unwrap(), text);
    }

    #[test]
    fn whatever_is_in_a_file_one_edit_is_enough_and_the_rest_is_kept(
        others in prop::collection::btree_map(any_text(), any_json(), 0..3),
        changes in any_changes(),
    ) {
        let users: Arc<Users> = Arc::new(["ann"].into_iter().collect());
        let nobody = edited(None, "us", &Arc::default()).unwrap();
        let flags: Value = serde_json::from_str(&nobody).unwrap();
        let mut before = Value::from_iter(others.clone());
        before["flags"] = changed(flags["flags"].clone(), &changes);
        let Some(flags) = before["flags"].as_object_mut() else {
            return Ok(());
        };
        flags.extend(others);
        match edited(Some(&before.to_string()), "us", &users) {
            Ok(text) => {
                prop_assert!(is_done(&found(&text, "us"), &users));
                let mut after: Value = serde_json::from_str(&text).unwrap();
                after["flags"].as_object_mut().unwrap().remove("us");
                before["flags"].as_object_mut().unwrap().remove("us");
                prop_assert_eq!(after, before);
            }
            // What stands there is no boolean flag.
            Err(failure) => prop_assert_eq!(failure.kind, Kind::Misfit),
        }
    }
}

#[test]
fn numbers_of_the_metadata_count_as_they_are_written() {
    let text = json!({"flags": {"us": {"variants": {}, "metadata": {"rank": 3}}}}).to_string();
    let definition = Definition::parse("f", Some(&text)).unwrap();
    let flag = definition.flag("us").unwrap().unwrap();
    let spec = |rank: Value| Map::from_iter([("metadata".to_owned(), json!({ "rank": rank }))]);
    assert!(flag.follows(&spec(json!(3)), None));
    assert!(!flag.follows(&spec(json!(4)), None));
    assert!(flag.follows(&Map::new(), None));
}
