//! Wrong files, and exactly what is said about them.

mod sources;
mod syntax;
mod target;
mod toggles;
mod top;

use super::*;

/// A piece of `RIGHT`, what stands in its place, and the errors: line, column, message.
type Mistake = (&'static str, &'static str, &'static [&'static str]);

fn examine(mistakes: &[Mistake]) {
    for (from, to, expected) in mistakes {
        let text = with(from, to);
        let (config, problems) = run(&text, false);
        assert_eq!(lines(&text, &problems), *expected, "{to}");
        assert_eq!(config, None, "{to}");
        assert!(!shown(&text, &problems).contains(SECRET), "{to}");
    }
}

#[test]
fn every_mistake_of_a_file_is_reported_at_once_and_in_order() {
    let text = r#"# Moved over from OPToggles by hand.
bind = "8080"
[[sources]]
id = "opal"
url = "opal:7000"
token = hunter2
advertisedAddress = "optoggles:8080"
[[sources]]
id = "opal"
url = "http://opal2:7000"
advertised_address = "optoggles"
[target]
targetType = "restapi"
endpointUrl = "https://flags.example.com"
[[toggles]]
key = "a"
usersPolicy = { source = "opal", package = "data.app", rule = "r" }
[[toggles]]
key = "a"
users_policy = { source = "opla", package = "app/x" }
"#;
    let (_, problems) = run(text, false);
    assert_eq!(
        shown(text, &problems),
        r#"2:8: error: `bind` is not host:port: `8080`
  help: write `bind = ":8080"` for every interface
5:7: error: `url` is no usable address: an address starts with http:// or https://
  help: write `url = "http://opal:7000"`
6:9: error: a string has to be in quotes
  help: write `token = "…"`
7:1: error: unknown key `advertisedAddress`
  help: write `advertised_address`
9:6: error: there are two sources with the id `opal`
  note: the first one is here: 4:6
  help: give it another id, or take one of the two sources away
11:22: error: `advertised_address` is no usable address: the port is missing
  help: write the host and port at which OPAL reaches us, or a URL, such as `advertised_address = "optoggles:8080"`
13:1: error: unknown key `targetType`
  help: write `type`
14:1: error: unknown key `endpointUrl`
  help: write `endpoint_url` in `[target]`
17:1: error: unknown key `usersPolicy`
  help: write `users_policy`
19:7: error: there are two toggles with the key `a`
  note: the first one is here: 16:7
  help: give it another key, or take one of the two toggles away
20:16: error: `rule` is missing
  help: write the rule's name, which is no part of `package`: `rule = "…"`
20:27: error: there is no source with the id `opla`
  help: did you mean `opal`?
20:45: error: `app/x` is no package of Rego
  help: write `package = "app.x"`"#
    );
}

#[test]
fn an_empty_file_lacks_everything() {
    let (config, problems) = run("", false);
    assert_eq!(config, None);
    assert_eq!(
        shown("", &problems),
        "1:1: error: there are no sources\n  \
           help: add a table `[[sources]]` with an `id`, a `url` and an `advertised_address`\n\
         1:1: error: there is no `[target]`\n  \
           help: add a table `[target]` with `type = \"restapi\"` and an `endpoint_url`\n\
         1:1: warning: there are no toggles\n  \
           help: add a table `[[toggles]]` with a `key` and its `users_policy`"
    );
}

#[test]
fn each_problem_has_a_code_the_bytes_it_is_about_and_the_path_of_its_key() {
    for (from, to, code, bytes, key) in [
        (
            "app.rbac",
            "a/b",
            "invalid-package",
            "\"a/b\"",
            "toggles[0].users_policy.package",
        ),
        ("\"hunter2\"", "7", "wrong-type", "7", "sources[0].token"),
        ("bind", "binds", "unknown-key", "binds", "binds"),
        (
            "key = \"us\"",
            "",
            "missing-key",
            "[[toggles]]",
            "toggles[0].key",
        ),
        (
            "Authorization",
            "\"X.Y\" = \"\\u0000\", Authorization",
            "invalid-header",
            "\"\\u0000\"",
            "target.extra_headers.\"X.Y\"",
        ),
    ] {
        let text = with(from, to);
        let (_, problems) = run(&text, false);
        let problem = &problems[0];
        let seen = (problem.code, &text[problem.span.clone()], &*problem.key);
        assert_eq!(seen, (code, bytes, key));
    }
}
