//! Values that cannot be printed, and texts without them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use percent_encoding::percent_decode_str;
use subtle::ConstantTimeEq;

/// A token, a header's value or a key: its `Debug` prints `[redacted]`, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// From here on only [`Secret::expose`] gives the value out.
    pub(crate) fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value itself, for the request that has to carry it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this secret, in a time that does not tell how much of it was right.
    pub(crate) fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// Whether it is the token of a header `Authorization: Bearer` (RFC 6750); the scheme's case does not matter.
    pub(crate) fn is_bearer_of(&self, authorization: Option<&str>) -> bool {
        let parts = authorization.and_then(|value| value.split_once(' '));
        let token = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        self.matches(token.map_or("", |(_, token)| token.trim()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Values that are shown nowhere, and what is shown instead of each.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secrets(BTreeMap<String, String>);

/// A value of fewer bytes is found only where it is the whole text, or a whole part of a URL: elsewhere, it
/// would be found in other words.
const SHORT: usize = 4;

/// How many characters of a value that is cut short are enough to take them for it.
const RECOGNIZED: usize = 8;

impl Secrets {
    pub(crate) fn add(&mut self, value: &str, instead: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        self.0.insert(value.to_owned(), instead.to_owned());
        // JSON within JSON: a server can quote a body that it was sent.
        let json = serde_json::Value::from(value).to_string();
        let json = json[1..json.len() - 1].to_owned();
        self.0.entry(json).or_insert_with(|| instead.to_owned());
    }

    /// A text without the values: as they are, percent-encoded, with JSON's escapes, or cut short.
    pub(crate) fn redact(&self, text: &str) -> String {
        if let Some(instead) = self.0.get(text) {
            return instead.clone();
        }
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let before = text[..text.len() - rest.len()].chars().next_back();
            match self.find(before, rest) {
                Some((length, instead)) => {
                    shown.push_str(instead);
                    rest = &rest[length..];
                }
                None => {
                    shown.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        shown
    }

    /// The longest of the values with which a text begins: how many bytes it takes, and what is shown instead.
    fn find(&self, before: Option<char>, text: &str) -> Option<(usize, &str)> {
        let values = spellings(text).flat_map(|(first, _)| {
            let mut buffer = [0; 4];
            let from = Bound::Included(&*first.encode_utf8(&mut buffer));
            let values = self.0.range::<str, _>((from, Bound::Unbounded));
            values.take_while(move |(value, _)| value.starts_with(first))
        });
        let found = values.filter_map(|(value, instead)| {
            let length = match value.len() < SHORT {
                true => length_of_part(value, before, text),
                false => length_of(value, text),
            };
            Some((length?, instead.as_str()))
        });
        found.max_by_key(|(length, _)| *length)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How many bytes a short value takes that is the part of a URL with which a text begins.
fn length_of_part(value: &str, before: Option<char>, text: &str) -> Option<usize> {
    let rest = text.strip_prefix(value)?;
    let ends = |c: char| "/?&#:\"".contains(c) || c.is_whitespace();
    let begins = before.is_some_and(|c| "/=&".contains(c));
    (begins && rest.chars().next().is_none_or(ends)).then_some(value.len())
}

/// How many bytes a value takes with which a text begins, or so much of it that it can be recognized.
fn length_of(value: &str, text: &str) -> Option<usize> {
    if text.starts_with(value) {
        return Some(value.len());
    }
    // Where it can end, after each of its characters: some can be read in two ways.
    let mut ends = BTreeSet::from([0]);
    for (read, character) in value.chars().enumerate() {
        let next = ends.iter().flat_map(|end| {
            let spelled = spellings(&text[*end..]).filter(|(it, _)| *it == character);
            spelled.map(move |(_, length)| end + length)
        });
        let next: BTreeSet<usize> = next.collect();
        if next.is_empty() {
            let end = ends.last().copied().filter(|_| read >= RECOGNIZED)?;
            // A plain word can begin like it, also one before a colon, and so can a longer one.
            let (found, rest) = text.split_at(end);
            let is_marked = ["…", "...", "**"].iter().any(|mark| rest.starts_with(mark));
            let word = found.strip_suffix(':').unwrap_or(found);
            let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase());
            let is_cut = is_marked || !(is_word || rest.starts_with(char::is_alphanumeric));
            return Some(end).filter(|_| is_cut);
        }
        ends = next;
    }
    ends.last().copied()
}

/// The characters that a text can begin with, depending on how it is encoded, each with its bytes there.
fn spellings(text: &str) -> impl Iterator<Item = (char, usize)> {
    let plain = text.chars().next().map(|first| (first, first.len_utf8()));
    let decoded = |lengths: &[usize], decode: fn(&str) -> Option<String>| {
        let mut encoded = lengths.iter().filter_map(|length| text.get(..*length));
        encoded.find_map(|encoded| {
            let decoded = decode(encoded)?;
            let mut characters = decoded.chars();
            Some((characters.next()?, encoded.len())).filter(|_| characters.next().is_none())
        })
    };
    let encoded = match text.as_bytes().first() {
        // Such as `%C3%A9`.
        Some(b'%') => decoded(&[3, 6, 9, 12], |it| {
            String::from_utf8(percent_decode_str(it).collect()).ok()
        }),
        // JSON's `\n`, `\u00e9`, and a pair of surrogates.
        Some(b'\\') => decoded(&[2, 6, 12], |it| {
            serde_json::from_str(&format!("\"{it}\"")).ok()
        }),
        Some(b'+') => Some((' ', 1)),
        _ => None,
    };
    encoded.into_iter().chain(plain)
}

/// What some editors and shells put before a text.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The first byte of a value that a header cannot carry, and what is there.
pub(crate) fn unfit_for_header(value: &str) -> Option<(usize, &'static str)> {
    let mut characters = value.char_indices();
    let (at, first) = characters.find(|(_, c)| !matches!(c, ' '..='~' | '\t'))?;
    let what = match first {
        BYTE_ORDER_MARK => "a byte order mark",
        '\n' | '\r' => "a line break",
        _ if first.is_control() => "a control character",
        _ => "a character that is not ASCII",
    };
    Some((at, what))
}

#[cfg(test)]
mod tests;
