//! Any JSON, and JSON that is nearly right.

use proptest::prelude::*;
use serde_json::{Map, Value};

/// Part of every string that is made up here: what is said of an answer must not quote it.
pub(crate) const QUOTE: &str = "mallory";

/// Names that the answers of one remote or another have.
const NAMES: &str = "result users url token auth_type config headers Authorization code message key name \
                     value variation values targets on items _id";

/// What a few bytes of an answer may be replaced with.
const PIECES: &[&[u8]] = &[
    b"",
    b"\"",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"1e999",
    b"-",
    b"null",
    b"true",
    b"[[[[[[[[",
    b"\r\n",
];

pub(crate) fn any_text() -> impl Strategy<Value = String> {
    "\\PC{0,6}".prop_map(|text| format!("{QUOTE}{text}"))
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        (-3_i64..5).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::String),
    ];
    let name = prop_oneof![
        prop::sample::select(NAMES.split(' ').collect::<Vec<_>>()).prop_map(str::to_owned),
        any_text()
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let members = prop::collection::vec((name.clone(), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::Array),
            members.prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// Some places of a document, and what is to stand there; none: nothing.
pub(crate) fn any_changes() -> impl Strategy<Value = Vec<(usize, Option<Value>)>> {
    prop::collection::vec((any::<usize>(), prop::option::of(any_json())), 0..4)
}

/// Makes the changes.
pub(crate) fn changed(mut json: Value, changes: &[(usize, Option<Value>)]) -> Value {
    for (place, value) in changes {
        let mut left = place % count(&json);
        change(&mut json, &mut left, value.as_ref());
    }
    json
}

fn count(json: &Value) -> usize {
    let below: usize = match json {
        Value::Array(elements) => elements.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    };
    1 + below
}

/// Replaces the value that is `left` values away; true where it is to be taken out.
fn change(json: &mut Value, left: &mut usize, value: Option<&Value>) -> bool {
    if *left == 0 {
        *left = usize::MAX;
        *json = value.cloned().unwrap_or_default();
        return value.is_none();
    }
    *left -= 1;
    match json {
        Value::Array(elements) => elements.retain_mut(|element| !change(element, left, value)),
        Value::Object(members) => members.retain(|_, member| !change(member, left, value)),
        _ => {}
    }
    false
}

/// Some places of a text, how much is cut out there, and what is put in.
pub(crate) fn any_edits() -> impl Strategy<Value = Vec<(usize, usize, &'static [u8])>> {
    let edit = (any::<usize>(), 0_usize..6, prop::sample::select(PIECES));
    prop::collection::vec(edit, 0..4)
}

/// Makes the edits.
pub(crate) fn edited(text: &[u8], edits: &[(usize, usize, &[u8])]) -> Vec<u8> {
    let mut text = text.to_vec();
    for (start, length, piece) in edits {
        let start = start % (text.len() + 1);
        let end = (start + length).min(text.len());
        text.splice(start..end, piece.iter().copied());
    }
    text
}
