//! Takes our secrets out of what a remote says: some repeat what they refuse.

/// What is shown in place of a secret.
const INSTEAD: &str = "[redacted]";

/// The text without the secrets, as they are and as JSON spells them.
pub(super) fn redact(body: &[u8], secrets: &[String]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let mut rest = &*text;
    let mut shown = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let lengths = secrets.iter().filter_map(|secret| length_of(secret, rest));
        match lengths.max().filter(|length| *length > 0) {
            Some(length) => {
                shown.push_str(INSTEAD);
                rest = &rest[length..];
            }
            None => {
                shown.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    shown.into_bytes()
}

/// How many bytes a secret takes with which a text begins.
fn length_of(secret: &str, text: &str) -> Option<usize> {
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut length = 0;
    for character in secret.chars() {
        let rest = &text[length..];
        length += escaped(character, rest).or_else(|| {
            let is_plain = rest.starts_with(character);
            is_plain.then_some(character.len_utf8())
        })?;
    }
    Some(length)
}

/// How many bytes an escape takes that stands for this character in a JSON string (RFC 8259, 7).
fn escaped(character: char, text: &str) -> Option<usize> {
    let escape = text.strip_prefix('\\')?;
    if "\"\\/".contains(character) && escape.starts_with(character) {
        return Some(2);
    }
    let mut units = [0; 2];
    let mut length = 0;
    for unit in character.encode_utf16(&mut units) {
        let digits = text[length..].strip_prefix("\\u")?.get(..4)?;
        if u16::from_str_radix(digits, 16) != Ok(*unit) {
            return None;
        }
        length += 6;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, secret: &str) -> String {
        String::from_utf8(redact(text.as_bytes(), &[secret.to_owned()])).unwrap()
    }

    #[test]
    fn a_secret_is_taken_out_however_json_spells_it() {
        for spelled in [
            "ab/cd+ef",
            "ab\\/cd+ef",
            "ab\\/cd\\u002Bef",
            "\\u0061b/cd\\u002bef",
        ] {
            let text = format!("{{\"message\":\"token {spelled} is wrong\"}}");
            let expected = "{\"message\":\"token [redacted] is wrong\"}";
            assert_eq!(shown(&text, "ab/cd+ef"), expected);
        }
        assert_eq!(shown("a\\\\b a\\b", "a\\b"), "[redacted] [redacted]");
        assert_eq!(shown("\\ud83d\\ude00!", "😀"), "[redacted]!");
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_secret_is_left(
            secret in "[ -~é€😀]{4,12}",
            escapes in prop::collection::vec(any::<bool>(), 12),
            before in "[ -~]{0,9}",
        ) {
            let mut spelled = String::new();
            for (character, escape) in secret.chars().zip(escapes) {
                if escape || "\"\\".contains(character) {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        spelled.push_str(&format!("\\u{unit:04x}"));
                    }
                } else {
                    spelled.push(character);
                }
            }
            let text = format!("{before}|{spelled}|");
            let left = format!("|{spelled}|");
            prop_assert!(!shown(&text, &secret).contains(&left));
        }
    }
}
