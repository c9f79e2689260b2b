//! What is named for what it is.

use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

#[derive(Debug, Deserialize)]
struct Known {
    #[serde(rename = "a")]
    _a: u8,
}

#[test]
fn a_member_that_is_there_twice_is_an_error() {
    type Any = Members<Value>;
    assert!(serde_json::from_str::<Any>(r#"{"a":1,"b":2}"#).is_ok());
    // However it is spelled, whatever is in it.
    let text = "{\"a`\\nb\":1,\"\\u0061`\\nb\":1}";
    let error = serde_json::from_str::<Any>(text).err().unwrap();
    assert_eq!(twice(&error).unwrap(), "has the member `a`\\nb` twice");
    assert_eq!(describe(&error), "has a member twice (line 1 column 26)");
    let error = serde_json::from_str::<Known>(r#"{"a":1,"a":1}"#).unwrap_err();
    assert_eq!(
        describe(&error),
        "has the member `a` twice (line 1 column 10)"
    );
    let error = serde_json::from_str::<Any>("[]").err().unwrap();
    assert_eq!(twice(&error), None);
}

#[test]
fn yaml_is_told_from_json_with_a_mistake() {
    for text in [
        "flags: {}",
        "# ours\n\nflags:\n  us:\n",
        "---\nflags:",
        "%YAML 1.2",
        "- ann\n",
    ] {
        assert!(serde_json::from_str::<&RawValue>(text).is_err() && is_yaml(text.as_bytes()));
    }
    for text in [
        "{\"flags\": {},}",
        "{flags: {}}",
        "\"flags\": {}",
        "<html>",
        "http://a",
        "[1",
    ] {
        assert!(!is_yaml(text.as_bytes()), "{text}");
    }
}
