use serde_json::json;

use super::*;

#[test]
fn numbers_are_the_same_however_they_are_written() {
    assert!(same(&json!({"a": [1, 2.5]}), &json!({"a": [1.0, 2.5]})));
    assert!(!same(&json!({"a": [1, 2]}), &json!({"a": [1]})));
    assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
    assert!(!same(&json!("1"), &json!(1)));
}
