//! Removes our secrets from what a remote says: some repeat what they reject.

const INSTEAD: &str = "[redacted]";

/// The text without the secrets, whether spelled plainly or with JSON's escapes.
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
        let plain = rest.starts_with(character).then_some(character.len_utf8());
        length += escaped(character, rest).or(plain)?;
    }
    Some(length)
}

/// How many bytes the JSON escape of a character takes with which a text begins.
fn escaped(character: char, text: &str) -> Option<usize> {
    let is_escape = |length: &usize| {
        let escape = text.get(..*length).unwrap_or_default();
        let read: Option<String> = serde_json::from_str(&format!("\"{escape}\"")).ok();
        read.is_some_and(|read| read.chars().eq([character]))
    };
    // `\n`, `\u00e9`, and a pair of surrogates.
    let lengths = text.starts_with('\\').then_some([2, 6, 12]);
    lengths?.into_iter().find(is_escape)
}
