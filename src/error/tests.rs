//! The words of failures.

use super::*;

#[test]
fn the_remotes_words_stay_on_one_line_and_short() {
    assert_eq!(
        quote(b" no\n\x1b[31mway\xff "),
        "no\\n\\u{1b}[31mway\u{fffd}"
    );
    let long = quote("ä".repeat(5000).as_bytes());
    assert_eq!(long.chars().count(), 201);
    assert!(long.ends_with('…'));
}

#[test]
fn the_way_out_of_a_hold_can_be_pasted_into_a_shell() {
    for (key, word) in [("us-1", "us-1"), ("a b", "'a b'"), ("it's", "'it'\\''s'")] {
        let words = Failure::held(3, Some(4), "1", Some(key)).to_string();
        assert!(words.ends_with(&format!("sync --force --toggle {word}")));
    }
}

#[test]
fn what_will_not_pass_by_itself_is_known() {
    for status in [400, 401, 403, 404, 405, 422] {
        assert!(Failure::new(Kind::Status(status), "").is_lasting());
    }
    for status in [302, 408, 409, 429, 500, 503] {
        assert!(!Failure::new(Kind::Status(status), "").is_lasting());
    }
    assert!(Failure::new(Kind::Undefined, "").is_lasting());
    assert!(!Failure::new(Kind::Refused, "").is_lasting());
}
