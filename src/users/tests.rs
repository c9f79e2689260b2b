//! Sets of users: from JSON, into JSON, and what differs.

use std::collections::BTreeSet;
use std::io::Read;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::tests::anything::{QUOTE, any_edits, any_json, any_text, edited};

fn set(users: &Users) -> BTreeSet<&str> {
    users.iter().collect()
}

#[test]
fn many_users_are_written_in_pieces_of_whatever_size_they_are_read_in() {
    let keys: Vec<String> = (0..5000).map(|n| format!("user \"{n:04}\"")).collect();
    let users: Users = keys.iter().map(String::as_str).collect();
    let mut json = Vec::new();
    let mut reader = users.json();
    let mut buffer = [0; 777];
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => break,
            read => json.extend_from_slice(&buffer[..read]),
        }
    }
    assert_eq!(json, serde_json::to_vec(&users).unwrap());
}

#[test]
fn users_do_not_print_their_names() {
    let users: Users = ["eve"].into_iter().collect();
    assert_eq!(format!("{users:?}"), "1 users");
}

proptest! {
    #[test]
    fn a_list_that_is_nearly_right_is_users_or_is_described_without_quoting_it(
        mut list in prop::collection::vec(any_text().prop_map(Value::String), 0..6),
        other in prop::option::of((any::<prop::sample::Index>(), any_json())),
        edits in any_edits(),
    ) {
        if let Some((at, other)) = other {
            list.insert(at.index(list.len() + 1), other);
        }
        let text = edited(&serde_json::to_vec(&list).unwrap(), &edits);
        let right: Option<Vec<String>> = serde_json::from_slice(&text).ok();
        let users = serde_json::from_slice::<Users>(&text).ok();
        let expected: Option<Users> = right.as_ref().map(|keys| keys.iter().map(|it| &**it).collect());
        prop_assert_eq!(&users, &expected);
        if let (None, Ok(raw)) = (right, serde_json::from_slice::<&RawValue>(&text)) {
            let words = describe_wrong(raw);
            prop_assert!(words.ends_with("string") || words.ends_with("strings"), "{}", words);
            prop_assert!(!words.contains(QUOTE), "{}", words);
        }
        // What has escapes is read in the other way.
        match serde_json::from_slice::<Keys>(&text) {
            Ok(keys) => prop_assert_eq!(Some(keys.take_from(text)), expected),
            Err(_) => prop_assert!(expected.is_none() || text.contains(&b'\\')),
        }
    }

    #[test]
    fn a_change_is_the_difference_of_the_sets(
        desired in prop::collection::vec("[a-e]{0,3}", 0..12),
        observed in prop::collection::vec("[a-e]{0,3}", 0..12),
    ) {
        let desired: Users = desired.iter().map(String::as_str).collect();
        let observed: Users = observed.iter().map(String::as_str).collect();
        let change = desired.change_from(&observed);

        let added: BTreeSet<_> = set(&desired).difference(&set(&observed)).copied().collect();
        let removed: BTreeSet<_> = set(&observed).difference(&set(&desired)).copied().collect();
        prop_assert_eq!(set(&change.added), added);
        prop_assert_eq!(set(&change.removed), removed);
        prop_assert_eq!(change.is_empty(), desired == observed);
    }

    #[test]
    fn users_survive_json(keys in prop::collection::vec(".*", 0..12)) {
        let users: Users = keys.iter().map(String::as_str).collect();
        let json = serde_json::to_vec(&users).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Users>(&json).unwrap(), users.clone());
        let mut pieces = Vec::new();
        users.json().read_to_end(&mut pieces).unwrap();
        prop_assert_eq!(pieces, json);
    }
}

#[test]
fn two_changes_are_one_after_the_other_one_change() {
    let users = |keys: &[&str]| keys.iter().copied().collect::<Users>();
    let (first, second, third) = (
        users(&["a", "b"]),
        users(&["b", "c"]),
        users(&["a", "c", "d"]),
    );
    let both = second.change_from(&first).then(&third.change_from(&second));
    assert_eq!(both, third.change_from(&first));
}
