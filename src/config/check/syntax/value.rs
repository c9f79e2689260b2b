//! A value that TOML cannot read, and how its key and it are written.

use crate::config::check::syntax::words::{Words, is_bare};
use crate::config::elsewhere;
use crate::config::mask::is_harmless_address;

/// Keys whose values are always strings, and never secrets.
const PLAIN_STRINGS: &[&str] = &[
    "bind",
    "ca_file",
    "cert_file",
    "http_timeout",
    "id",
    "instance",
    "key",
    "key_file",
    "package",
    "poll_interval",
    "resync_interval",
    "rule",
    "source",
    "type",
];

const BOOLEANS: &[&str] = &["read", "wait_until_ready"];

/// Keys that are no keys of ours, and no secrets for sure.
const HEADERS: &[&str] = &["Authorization", "X-Api-Key"];

const TRUE: &[&str] = &["true", "yes", "on"];
const FALSE: &[&str] = &["false", "no", "off"];
const NULL: &[&str] = &["null", "nil", "none", "undefined", "~"];

const CURLY: &[char] = &['“', '”', '„', '‘', '’', '«', '»'];

/// A value that is none; its table begins with the header `table`, its line with `before`.
pub(super) fn explain(table: &str, before: &str, rest: &str) -> Option<Words> {
    let key = key_before(before, '=');
    let value = value_in(rest);
    let word = value.to_lowercase();
    if NULL.contains(&&*word) {
        let name = name(key).map(|name| format!("`{name}`"));
        let help = format!("leave {} out", name.as_deref().unwrap_or("the key"));
        return Some(("TOML has no null".into(), help));
    }
    let is_of_strings = elsewhere::is_known(key) && !BOOLEANS.contains(&key);
    if [TRUE, FALSE].concat().contains(&&*word) && !is_of_strings {
        return Some((
            "this is neither `true` nor `false`".into(),
            pair(table, key, value),
        ));
    }
    None
}

/// A value without quotes; the header of its table is above, and `before` is on its line.
pub(super) fn unquoted(table: &str, before: &str, rest: &str) -> Words {
    let key = key_before(before, '=');
    let message = match rest.chars().next() {
        None | Some(',' | ']' | '}' | '#') => "the value is missing",
        Some(c) if CURLY.contains(&c) => "these are no quotes of TOML",
        Some(_) => "a string has to be in quotes",
    };
    if rest.starts_with("${") {
        let key = name(key).unwrap_or("key");
        return (message.into(), format!("write `{key} = \"${{NAME}}\"`"));
    }
    (message.into(), pair(table, key, value_in(rest)))
}

pub(super) fn no_number() -> Words {
    let help = "write digits, such as `10` or `0.5`, or put the value in quotes";
    ("this is no number".into(), help.into())
}

/// A pair within braces with the colon of YAML and JSON.
pub(super) fn colon(table: &str, before: &str, rest: &str) -> Words {
    let key = key_before(before, ':');
    let value = value_in(rest.trim_start_matches([':', '=']));
    let message = "TOML has `=` where YAML and JSON have `:`";
    (message.into(), pair(table, key, value))
}

/// The last key before a value, or before what separates them; nothing where it may be a key of a
/// table that has any keys.
fn key_before(before: &str, separator: char) -> &str {
    let before = before.trim_end().trim_end_matches(separator).trim_end();
    let before = before.trim_end_matches('"');
    let key = before.rsplit(|c| !is_bare(c)).next().unwrap_or_default();
    let table = before.strip_suffix(key).unwrap_or_default();
    let is_free = table.ends_with('.') || has_any_keys(table);
    if is_free && !is_header(key) { "" } else { key }
}

/// Whether the keys of a table are not ours, so that each of them may have a secret.
fn has_any_keys(table: &str) -> bool {
    ["extra_headers", "spec"]
        .iter()
        .any(|name| table.contains(name))
}

fn is_header(key: &str) -> bool {
    HEADERS.iter().any(|name| name.eq_ignore_ascii_case(key))
}

/// The value that a text begins with. Nothing where it may be a part of an address alone.
fn value_in(rest: &str) -> &str {
    let value = rest.split([',', ']', '}', '#']).next().unwrap_or_default();
    if rest.contains(['@', '?']) {
        ""
    } else {
        value.trim()
    }
}

/// A key as it is spelled here, unless it may be anything.
fn name(key: &str) -> Option<&str> {
    let is_known = elsewhere::is_known(key) || is_header(key);
    is_known.then(|| elsewhere::new_name(key).unwrap_or(key))
}

/// How a key and its value are written below the header of a table, as far as they are surely no secret: a key that is not
/// known may be one.
pub(super) fn pair(table: &str, key: &str, value: &str) -> String {
    let value = value.trim().trim_matches(['"', '\'']).trim_matches(CURLY);
    let is_free = has_any_keys(table) && !is_header(key);
    let known = name(key).filter(|_| !is_free);
    let key = known.unwrap_or("key");
    let is_plain = |c: char| is_bare(c) || "./:".contains(c);
    let is_plain = known.is_some() && !value.is_empty() && value.chars().all(is_plain);
    let is_address = value.starts_with("http://") || value.starts_with("https://");
    let is_address = is_address && key.ends_with("url") && is_harmless_address(value);
    let is_string = is_plain && (PLAIN_STRINGS.contains(&key) || is_address);
    let word = value.to_lowercase();
    match key {
        _ if is_string => format!("write `{key} = \"{value}\"`"),
        _ if TRUE.contains(&&*word) => format!("write `{key} = true`"),
        _ if FALSE.contains(&&*word) => format!("write `{key} = false`"),
        _ if BOOLEANS.contains(&key) => format!("write `{key} = true` or `{key} = false`"),
        "concurrency" if is_plain => format!("write `{key} = {value}`"),
        "target" => "write `[target]` above its keys".into(),
        "sources" | "toggles" => format!("write `[[{key}]]` above each"),
        "users_policy" | "extra_headers" | "spec" => format!("write `{key} = {{ … }}`"),
        _ => format!("write `{key} = \"…\"`"),
    }
}
