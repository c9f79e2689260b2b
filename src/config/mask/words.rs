//! Which keys of the file have values that may be shown.

use crate::config::nearest::nearest;

/// What may be shown of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Show {
    /// All of it.
    Whole,
    /// All but a user name, a password, and what stands behind a `?`.
    Address,
    /// Nothing but its references to environment variables and files.
    Nothing,
    /// Whatever is no string: nobody knows what the key means.
    NoText,
}

/// Keys whose values are no secrets.
const WHOLE: &[&str] = &[
    "bind",
    "ca_file",
    "cert_file",
    "concurrency",
    "description",
    "environments",
    "http_timeout",
    "id",
    "instance",
    "key",
    "key_file",
    "max_removal",
    "name",
    "package",
    "path",
    "poll_interval",
    "proj_key",
    "read",
    "resync_interval",
    "rule",
    "source",
    "sources",
    "spec",
    "tags",
    "target",
    "target_type",
    "toggles",
    "type",
    "users_policy",
    "wait_until_ready",
];

/// Keys whose values can hold a password.
const ADDRESSES: &[&str] = &[
    "advertised_address",
    "base_url",
    "endpoint_url",
    "opa_url",
    "url",
];

/// Keys whose values are secrets.
const SECRETS: &[&str] = &["extra_headers", "opa_token", "token"];

/// Parts of names whose values let somebody in.
const TELLING: &[&str] = &[
    "auth",
    "cookie",
    "credential",
    "key",
    "pass",
    "secret",
    "token",
];

/// What may be shown of the value of a key, also where its name is misspelt.
pub(super) fn show(key: &str) -> Show {
    match near(key) {
        Some(word) if ADDRESSES.contains(&word) => Show::Address,
        Some(word) if WHOLE.contains(&word) && (word == key || !is_telling(key)) => Show::Whole,
        Some(_) => Show::Nothing,
        None if is_telling(key) => Show::Nothing,
        None => Show::NoText,
    }
}

/// The same in a `spec`, which can hold any keys, and is sent to the target as it is. The names of
/// users are not for everybody either.
pub(super) fn show_in_spec(key: &str) -> Show {
    if key == "users" || is_telling_in_spec(key) {
        Show::Nothing
    } else {
        Show::Whole
    }
}

/// Whether the name of a key in a `spec` says that its value lets somebody in.
pub(in crate::config) fn is_telling_in_spec(key: &str) -> bool {
    key != "proj_key" && is_telling(key)
}

/// Whether a key is one of ours, rightly spelt or nearly.
pub(super) fn is_ours(key: &str) -> bool {
    near(key).is_some()
}

/// The key of ours that another stands for. A short one is like too many others to be guessed.
fn near(key: &str) -> Option<&'static str> {
    const LONG: usize = 4;
    let words = ADDRESSES.iter().chain(SECRETS).chain(WHOLE).copied();
    // Nearly always it is spelt rightly, and to measure how near others are takes its time.
    let right = words.clone().find(|word| *word == key);
    right.or_else(|| nearest(key, words).filter(|word| word.len() >= LONG))
}

/// Whether a name says that its value lets somebody in.
pub(in crate::config) fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}
