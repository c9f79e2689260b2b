//! Mistakes in the syntax in the words of those who make them: most come from YAML, JSON or a shell.

use std::ops::Range;

use crate::config::check::syntax::said::SAID;
use crate::config::elsewhere;

/// The tables that there are, as their headers are written.
const HEADERS: &[&str] = &[
    "[[sources]]",
    "[target]",
    "[target.extra_headers]",
    "[[toggles]]",
    "[toggles.spec]",
    "[toggles.users_policy]",
];

/// Keys whose values are always strings, and never secrets.
const PLAIN_STRINGS: &[&str] = &[
    "bind",
    "http_timeout",
    "id",
    "package",
    "poll_interval",
    "resync_interval",
    "rule",
    "source",
    "type",
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

/// What is wrong, and what to write.
type Words = (String, String);

/// The bytes of a line that its mistake is about, where the parser does not know them: the colon of
/// YAML, and all of what is no header.
pub(super) fn place(said: &str, line: &str) -> Option<Range<usize>> {
    if !OF_LINES.iter().any(|begin| said.starts_with(begin)) {
        return None;
    }
    let start = line.len() - line.trim_start().len();
    if meant_header(line).is_some() {
        let code = line.split('#').next().unwrap_or_default();
        return Some(start..code.trim_end().len());
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

/// The words for what the parser says at a column of a line.
pub(super) fn explain(said: &str, line: &str, column: usize) -> Words {
    let (before, rest) = line.split_at(line.floor_char_boundary(column));
    let is = |begin: &&str| said.starts_with(begin);
    let words = if OF_LINES.iter().any(is) {
        no_pair(line).or_else(|| match rest.chars().next() {
            Some(c) if ",;]}".contains(c) => Some(too_many(c)),
            _ if is(&"unexpected key or value") => Some(too_much()),
            _ if is(&"key with no value") => Some(no_equals(line)),
            _ => None,
        })
    } else {
        is(&"string values must be quoted").then(|| unquoted(before, rest))
    };
    words.unwrap_or_else(|| {
        let known = SAID.iter().find(|(begin, ..)| is(begin));
        let (message, help) =
            known.map_or((said, "write `key = value`"), |known| (known.1, known.2));
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

/// Whether a line is surely no header: it has a key, and perhaps no value.
pub(in crate::config::check) fn is_pair(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    line.contains(['=', ':']) || elsewhere::is_known(first)
}

/// A line that is meant to be something else than `key = value`, or is so in another language.
fn no_pair(line: &str) -> Option<Words> {
    let line = line.trim();
    if let Some(header) = meant_header(line) {
        let message = "this is not how a table begins";
        return Some((message.into(), format!("write `{header}`")));
    }
    for sign in ["//", "--", ";", "%"] {
        if line.starts_with(sign) {
            let message = "a comment begins with `#`";
            return Some((message.into(), format!("write `#` instead of `{sign}`")));
        }
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
    Some((message.into(), pair(key, value)))
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

fn no_equals(line: &str) -> Words {
    let line = line.trim().trim_start_matches("export ");
    let (key, value) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
    let message = "there is no `=` behind the key";
    let help = if elsewhere::is_known(key) {
        pair(key, value)
    } else {
        "write `key = value`, or a `#` before a comment".into()
    };
    (message.into(), help)
}

/// A value without quotes; `before` is what its line has before it.
fn unquoted(before: &str, rest: &str) -> Words {
    let key = before.trim_end().strip_suffix('=').unwrap_or_default();
    let key = key.trim_end().rsplit(|c| !is_bare(c)).next();
    let key = key.unwrap_or_default();
    let value = rest.split([',', ']', '}', '#']).next().unwrap_or_default();
    let message = match value.chars().next() {
        None => "the value is missing",
        Some('“' | '”' | '„' | '‘' | '’' | '«') => "these are no quotes of TOML",
        Some(_) => "a string has to be in quotes",
    };
    if rest.starts_with("${") {
        let key = if elsewhere::is_known(key) { key } else { "key" };
        return (message.into(), format!("write `{key} = \"${{NAME}}\"`"));
    }
    (message.into(), pair(key, value))
}

/// How a key and its value are written, as far as they are surely no secret: a key that is not
/// known may be one.
fn pair(key: &str, value: &str) -> String {
    let key = if elsewhere::is_known(key) { key } else { "key" };
    let key = elsewhere::new_name(key).unwrap_or(key);
    let value = value.trim().trim_matches(['"', '\'']);
    let is_plain = |c: char| is_bare(c) || "./:".contains(c);
    let is_plain = !value.is_empty() && value.chars().all(is_plain);
    match value {
        "true" | "yes" | "on" | "True" => format!("write `{key} = true`"),
        "false" | "no" | "off" | "False" => format!("write `{key} = false`"),
        _ if is_plain && PLAIN_STRINGS.contains(&key) => format!("write `{key} = \"{value}\"`"),
        _ if is_plain && key == "concurrency" => format!("write `{key} = {value}`"),
        _ if key == "target" => "write `[target]` above its keys".into(),
        _ if matches!(key, "sources" | "toggles") => format!("write `[[{key}]]` above each"),
        _ if matches!(key, "users_policy" | "extra_headers" | "spec") => {
            format!("write `{key} = {{ … }}`")
        }
        _ => format!("write `{key} = \"…\"`"),
    }
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}
