//! A list is never an object, although serde takes one for a struct, member by member.

use super::*;

/// What is a flag of ours, on for ann alone.
fn ours() -> Value {
    let users = Arc::new(["ann"].into_iter().collect());
    let text = edited(None, "us", &users).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    whole["flags"]["us"].clone()
}

/// Whether the flag, were it in a file, would be read as one that is right.
fn is_right(flag: Value) -> bool {
    let text = json!({ "flags": { "us": flag } }).to_string();
    let definition = Definition::parse("f", Some(&text)).unwrap();
    let users: Users = ["ann"].into_iter().collect();
    definition
        .flag("us")
        .is_ok_and(|flag| is_done(&observed(flag, &toggle("us"), &Mark::default()), &users))
}

/// Where in it the objects are, as JSON pointers.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            for (name, member) in members {
                objects(member, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                objects(element, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_flag_with_a_list_in_place_of_one_of_its_objects_is_not_taken_for_right() {
    let flag = ours();
    assert!(is_right(flag.clone()));
    let mut places = Vec::new();
    objects(&flag, "", &mut places);
    assert_eq!(
        places,
        [
            "",
            "/targeting",
            "/targeting/if/0",
            "/targeting/if/0/in/0",
            "/variants",
        ]
    );
    for place in places {
        let mut flag = flag.clone();
        let object = flag.pointer_mut(&place).unwrap();
        let values = object.as_object().unwrap().values().cloned();
        *object = values.collect();
        assert!(!is_right(flag.clone()), "{place}: {flag}");
    }
}
