//! What is printed of a secret, and what matches it.

use proptest::prelude::*;

use super::*;

#[test]
fn a_secret_prints_as_redacted() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret:?}"), "[redacted]");
}

#[test]
fn a_secret_matches_itself_alone() {
    let secret = Secret::new("hunter2");
    assert!(secret.matches("hunter2"));
    for wrong in ["", "hunter", "hunter22", "Hunter2", "hunter3"] {
        assert!(!secret.matches(wrong), "{wrong:?}");
    }
}

/// A text without one secret.
fn redacted(text: &str, secret: &str) -> String {
    let mut secrets = Secrets::default();
    secrets.add(secret, "[x]");
    secrets.redact(text)
}

#[test]
fn a_secret_is_redacted_however_it_is_spelled() {
    for (text, secret, expected) in [
        ("is ab/cd+ef.", "ab/cd+ef", "is [x]."),
        ("is ab\\/cd\\u002Bef.", "ab/cd+ef", "is [x]."),
        ("is \\u0061b/cd\\u002bef.", "ab/cd+ef", "is [x]."),
        ("ab\\\\cd ab\\cd", "ab\\cd", "[x] [x]"),
        ("\\ud83d\\ude00!", "😀", "[x]!"),
        ("/ab%2Fcd%2bef/%61%62/cd+ef", "ab/cd+ef", "/[x]/[x]"),
        ("%C3%A9%2525 é%25", "é%25", "[x] [x]"),
        ("?q=a+b+c", "a b c", "?q=[x]"),
        (
            r#"{"sent": "{\"a\": \"say \\\"so\\\"\"}"}"#,
            "say \"so\"",
            r#"{"sent": "{\"a\": \"[x]\"}"}"#,
        ),
    ] {
        assert_eq!(redacted(text, secret), expected, "{text}");
    }
}

#[test]
fn a_secret_that_is_cut_short_is_redacted_where_it_can_be_recognized() {
    let secret = "production-0123456789";
    for (text, expected) in [
        ("production-0123 is wrong", "[x] is wrong"),
        ("no production-01", "no [x]"),
        ("production...", "[x]..."),
        ("prod...", "prod..."),
        ("the production is", "the production is"),
        ("the production- is", "the [x] is"),
        // Another one.
        ("production-01234567a", "production-01234567a"),
    ] {
        assert_eq!(redacted(text, secret), expected);
    }
}

#[test]
fn a_name_before_a_colon_is_not_taken_for_a_secret_that_begins_with_it() {
    let secret = "default:production.0123456789";
    for (text, expected) in [
        ("project default: GET", "project default: GET"),
        ("default:... is wrong", "[x]... is wrong"),
        ("default:production. is wrong", "[x] is wrong"),
    ] {
        assert_eq!(redacted(text, secret), expected);
    }
}

#[test]
fn a_short_secret_is_redacted_where_it_stands_alone_and_the_longest_of_several_first() {
    for (text, expected) in [
        ("eu", "[x]"),
        (
            "GET http://a/eu/b?env=eu&x=eu",
            "GET http://a/[x]/b?env=[x]&x=[x]",
        ),
        ("a neutral eu /europe", "a neutral eu /europe"),
        ("", ""),
    ] {
        assert_eq!(redacted(text, "eu"), expected);
    }
    let mut secrets = Secrets::default();
    for (secret, instead) in [("", "?"), ("hunter", "[1]"), ("hunter2", "[2]")] {
        secrets.add(secret, instead);
    }
    assert_eq!(secrets.redact("hunter2 hunter"), "[2] [1]");
    assert_eq!(format!("{secrets:?}"), "[redacted]");
}

proptest! {
    #[test]
    fn no_spelling_of_a_secret_is_left(
        secret in "[!-~é€😀][ -~é€😀]{2,10}[!-~é€😀]",
        spellings in prop::collection::vec(0..3, 12),
        before in "[ -~]{0,9}",
    ) {
        let mut spelled = String::new();
        for (character, spelling) in secret.chars().zip(spellings) {
            if spelling == 1 || "\"\\".contains(character) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    spelled.push_str(&format!("\\u{unit:04x}"));
                }
            } else if spelling == 2 {
                for byte in character.to_string().bytes() {
                    spelled.push_str(&format!("%{byte:02x}"));
                }
            } else {
                spelled.push(character);
            }
        }
        let left = format!("|{spelled}|");
        let text = format!("{before}{left}");
        prop_assert!(!redacted(&text, &secret).contains(&left));
    }
}
