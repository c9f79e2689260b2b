//! Keys that are known somewhere in the file, for those who write them somewhere else.

use crate::config::mask::Show;
use crate::config::nearest::is_respelled;

/// What becomes of the table that OPToggles has within its target.
pub(super) const TARGET_SPEC: &str = "write what stands in it as keys of `[target]` itself";

/// A key, where it belongs, and what OPToggles' YAML calls it where that is another word.
type Home = (&'static str, &'static str, Option<&'static str>);

const TOP: &str = "at the top of the file, before the first `[table]`";
const TOP_OR_TOGGLE: &str =
    "at the top of the file, before the first `[table]`, or in `[[toggles]]` above its `spec`";
const SOURCES: &str = "in `[[sources]]`";
const TARGET: &str = "in `[target]`";
const TOGGLES: &str = "in `[[toggles]]`";
const POLICY: &str = "in `users_policy`";
const SPEC: &str = "in `[toggles.spec]`";

/// Keys that stand in one kind of table alone: what is known in several (`id`, `url`, `token`)
/// tells nobody where it was meant to be.
const HOMES: &[Home] = &[
    ("bind", TOP, None),
    ("resync_interval", TOP, None),
    ("http_timeout", TOP, None),
    ("concurrency", TOP, None),
    ("max_removal", TOP_OR_TOGGLE, None),
    ("advertised_address", SOURCES, None),
    ("instance", SOURCES, None),
    ("opa_url", SOURCES, None),
    ("opa_token", SOURCES, None),
    ("wait_until_ready", SOURCES, None),
    ("poll_interval", SOURCES, None),
    ("ca_file", SOURCES, None),
    ("cert_file", SOURCES, None),
    ("key_file", SOURCES, None),
    ("type", TARGET, Some("targetType")),
    ("base_url", TARGET, None),
    ("endpoint_url", TARGET, None),
    ("extra_headers", TARGET, None),
    ("token", TARGET, Some("launchdarklyToken")),
    ("users_policy", TOGGLES, None),
    ("spec", TOGGLES, None),
    ("package", POLICY, None),
    ("rule", POLICY, None),
    ("proj_key", SPEC, None),
    ("environments", SPEC, None),
    ("tags", SPEC, None),
    ("metadata", SPEC, None),
];

/// The other keys.
const SEVERAL: &[&str] = &[
    "id", "key", "name", "path", "read", "source", "sources", "target", "toggles", "token", "type",
    "url",
];

/// What to do with a key that is not known where it stands, but in another table.
pub(super) fn help(key: &str) -> Option<String> {
    if is_respelled(key, "target_spec") {
        return Some(TARGET_SPEC.into());
    }
    let (name, place, _) = home(key)?;
    Some(if *name == key {
        format!("`{name}` belongs {place}")
    } else {
        format!("write `{name}` {place}")
    })
}

/// What to do with a key of the file's top that has strayed into a table which can have any keys.
/// A single word, such as `bind`, may well be that table's own.
pub(super) fn help_for_stray(key: &str) -> Option<String> {
    let (name, place, _) = home(key)?;
    let is_of_top = [TOP, TOP_OR_TOGGLE].contains(place);
    help(key).filter(|_| is_of_top && name.contains('_'))
}

/// The key as it is spelled here.
pub(super) fn new_name(key: &str) -> Option<&'static str> {
    home(key).map(|(name, ..)| *name)
}

/// Whether a word is a key of some table, in some spelling: what is none may be anything.
pub(super) fn is_known(word: &str) -> bool {
    SEVERAL.contains(&word) || home(word).is_some()
}

/// What may be shown of the value of the key at a path.
pub(super) fn show(path: &[String]) -> Show {
    let path: Vec<&str> = path
        .iter()
        .map(|key| new_name(key).unwrap_or(key))
        .collect();
    match path[..] {
        ["sources", "url" | "opa_url" | "advertised_address"]
        | ["target", "base_url" | "endpoint_url"] => Show::Address,
        ["bind" | "resync_interval" | "http_timeout" | "concurrency" | "max_removal"]
        | [
            "sources",
            "id" | "type" | "instance" | "wait_until_ready" | "poll_interval" | "ca_file"
            | "cert_file" | "key_file" | "path",
        ]
        | ["target", "type" | "path" | "read"]
        | ["toggles", "key" | "max_removal"]
        | ["toggles", "users_policy", "source" | "package" | "rule"]
        | [
            "toggles",
            "spec",
            "name" | "proj_key" | "environments" | "description" | "tags",
        ] => Show::Whole,
        _ => Show::Nothing,
    }
}

/// Whether the name of a header, or of a key in a `spec`, says that its value lets somebody in.
pub(super) fn is_telling(name: &str) -> bool {
    const PARTS: &[&str] = &[
        "auth",
        "cookie",
        "credential",
        "key",
        "pass",
        "secret",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

fn home(key: &str) -> Option<&'static Home> {
    HOMES
        .iter()
        .find(|(name, _, old)| is_respelled(key, old.unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_yaml_is_answered_with_its_new_name_and_place() {
        for (old, expected) in [
            ("usersPolicy", "write `users_policy` in `[[toggles]]`"),
            ("targetType", "write `type` in `[target]`"),
            ("target_type", "write `type` in `[target]`"),
            ("launchdarklyToken", "write `token` in `[target]`"),
            ("projKey", "write `proj_key` in `[toggles.spec]`"),
            ("targetSpec", TARGET_SPEC),
            (
                "resyncInterval",
                "write `resync_interval` at the top of the file, before the first `[table]`",
            ),
            (
                "bind",
                "`bind` belongs at the top of the file, before the first `[table]`",
            ),
        ] {
            assert_eq!(help(old).as_deref(), Some(expected), "{old}");
        }
    }

    #[test]
    fn a_key_of_the_top_that_has_strayed_is_told_from_a_word_that_may_be_anybodys() {
        for (key, strays) in [
            ("max_removal", true),
            ("resyncInterval", true),
            ("http_timeout", true),
            ("bind", false),
            ("concurrency", false),
            ("proj_key", false),
            ("name", false),
        ] {
            assert_eq!(help_for_stray(key).is_some(), strays, "{key}");
        }
    }

    #[test]
    fn a_word_that_is_known_in_several_tables_or_none_is_not_answered() {
        for word in ["url", "type", "token", "colour"] {
            assert_eq!(help(word), None, "{word}");
        }
    }
}
