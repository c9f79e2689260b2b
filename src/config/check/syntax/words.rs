//! Mistakes in the syntax in the words of those who make them: most come from YAML, JSON or a shell.

use std::ops::Range;

use crate::config::check::syntax::said::{OF_NUMBERS, SAID};
use crate::config::check::syntax::value::{self, pair};
use crate::config::elsewhere;
use crate::config::mask::COMMENTS;

/// The tables that there are, as their headers are written.
const HEADERS: &[&str] = &[
    "[[sources]]",
    "[target]",
    "[target.extra_headers]",
    "[[toggles]]",
    "[toggles.spec]",
    "[toggles.users_policy]",
];

/// How the parser's messages begin where a line is no `key = value` at all.
const OF_LINES: &[&str] = &[
    "invalid key-value pair",
    "invalid unquoted key",
    "key with no value",
    "missing table open",
    "missing value for key",
    "unclosed array table",
    "unclosed table",
    "unexpected key or value",
    "unquoted keys cannot be empty",
];

/// How they begin where a value is no TOML.
const OF_VALUES: &[&str] = &[
    "invalid boolean",
    "invalid float",
    "string values must be quoted",
];

/// What is wrong, and what to write.
pub(super) type Words = (String, String);

/// The bytes of a line that its mistake is about, where the parser does not know them: the colon of
/// YAML, and all of what is no header.
pub(super) fn place(said: &str, line: &str) -> Option<Range<usize>> {
    if let Some((at, c)) = invisible(line) {
        return Some(at..at + c.len_utf8());
    }
    if !OF_LINES.iter().any(|begin| said.starts_with(begin)) {
        return None;
    }
    let start = line.len() - line.trim_start().len();
    if meant_header(line).is_some() {
        let code = line.split('#').next().unwrap_or_default();
        return Some(start..code.trim_end().len());
    }
    if is_document(line.trim()) {
        return Some(start..line.trim_end().len());
    }
    if line[start..].starts_with("- ") {
        return Some(start..start + 1);
    }
    let colon = yaml_key(line)?.1;
    Some(colon..colon + 1)
}

/// The key of a pair as YAML and JSON have it, and where its colon is.
fn yaml_key(line: &str) -> Option<(&str, usize)> {
    let (key, _) = line.split_once(':')?;
    let colon = key.len();
    let key = key.trim().trim_matches('"');
    let is_word = !key.is_empty() && key.chars().all(is_bare);
    is_word.then_some((key, colon))
}

/// The words for what the parser says at a column of a line; `table` is the header above.
pub(super) fn explain(said: &str, table: &str, line: &str, column: usize) -> Words {
    let (before, rest) = line.split_at(line.floor_char_boundary(column));
    let is = |begin: &&str| said.starts_with(begin);
    let words = if let Some((_, c)) = invisible(line) {
        Some(not_seen(c))
    } else if rest.starts_with(':') && before.contains('{') {
        Some(value::colon(table, before, rest))
    } else if OF_LINES.iter().any(is) {
        no_pair(table, line).or_else(|| match rest.chars().next() {
            Some(c) if ",;]}".contains(c) => Some(too_many(c)),
            _ if is(&"unexpected key or value") => Some(too_much()),
            _ if is(&"key with no value") => Some(no_equals(table, line)),
            _ => None,
        })
    } else if OF_VALUES.iter().any(is) {
        let is_string = is(&"string values must be quoted");
        let unquoted = || is_string.then(|| value::unquoted(table, before, rest));
        value::explain(table, before, rest).or_else(unquoted)
    } else {
        None
    };
    let no_number = || OF_NUMBERS.iter().any(is).then(value::no_number);
    words.or_else(no_number).unwrap_or_else(|| {
        let known = SAID.iter().find(|(begin, ..)| is(begin));
        let (message, help) = known.map_or(("this is no TOML", "write `key = value`"), |known| {
            (known.1, known.2)
        });
        (message.into(), help.into())
    })
}

/// The header that a line was meant to be.
pub(in crate::config::check) fn meant_header(line: &str) -> Option<String> {
    let code = line.split('#').next().unwrap_or_default();
    let is_frame = |c: char| c.is_whitespace() || "[](){}<>:\"'".contains(c);
    let name = code.trim_matches(is_frame);
    let header = HEADERS
        .iter()
        .find(|header| header.trim_matches(is_frame) == name)?;
    Some((*header).to_owned())
}

/// Whether a line begins or ends a document in YAML.
fn is_document(line: &str) -> bool {
    matches!(line, "---" | "...")
}

/// Whether a line is surely no header: it has a key, and perhaps no value.
pub(in crate::config::check) fn is_pair(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    line.contains(['=', ':']) || elsewhere::is_known(first)
}

/// A line that is meant to be something else than `key = value`, or is so in another language.
fn no_pair(table: &str, line: &str) -> Option<Words> {
    let line = line.trim();
    if let Some(header) = meant_header(line) {
        let message = "this is not how a table begins";
        return Some((message.into(), format!("write `{header}`")));
    }
    if is_document(line) {
        let message = "this begins or ends a document in YAML";
        return Some((message.into(), "take the line away".into()));
    }
    if let Some(sign) = COMMENTS.iter().find(|sign| line.starts_with(**sign)) {
        let message = "a comment begins with `#`";
        return Some((message.into(), format!("write `#` instead of `{sign}`")));
    }
    if line.starts_with("- ") {
        let message = "this is an item of a list in YAML";
        let help = "write `[[sources]]` above each source, `[[toggles]]` above each toggle, and \
                    another list as `[\"a\", \"b\"]`";
        return Some((message.into(), help.into()));
    }
    let (key, colon) = yaml_key(line)?;
    let value = line[colon + 1..].trim().trim_start_matches('=');
    let message = "TOML has `=` where YAML and JSON have `:`";
    Some((message.into(), pair(table, key, value)))
}

/// The first character outside quotes that nobody sees, and where it is.
pub(in crate::config::check) fn invisible(line: &str) -> Option<(usize, char)> {
    let is_quoted = |at: usize| line[..at].matches('"').count() % 2 == 1;
    let mut all = line.char_indices();
    all.find(|(at, c)| is_invisible(*c) && !(is_quoted(*at) || is_byte_order_mark(*at, *c)))
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}')
        || matches!(c, '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}')
}

/// Such a mark is right where the file begins.
fn is_byte_order_mark(at: usize, c: char) -> bool {
    at == 0 && c == '\u{feff}'
}

fn not_seen(c: char) -> Words {
    let message = format!(
        "an invisible character (U+{:04X}) stands here",
        u32::from(c)
    );
    let help = "take it away, or write a plain blank instead";
    (message, help.into())
}

fn too_many(c: char) -> Words {
    let message = match c {
        ']' | '}' => format!("there is nothing that this `{c}` closes"),
        _ => format!("a `{c}` cannot stand here"),
    };
    (message, format!("take the `{c}` away"))
}

fn too_much() -> Words {
    let message = "this stands behind the end of the value";
    let help =
        "write each `key = value` on a line of its own, and `\\\"` for a quote within quotes";
    (message.into(), help.into())
}

fn no_equals(table: &str, line: &str) -> Words {
    let line = line.trim().trim_start_matches("export ");
    let (key, value) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
    let message = "there is no `=` behind the key";
    let help = if elsewhere::is_known(key) {
        pair(table, key, value)
    } else {
        "write `key = value`, or a `#` before a comment".into()
    };
    (message.into(), help)
}

pub(super) fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}
