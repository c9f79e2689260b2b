//! Mistakes in `[[toggles]]`.

use super::*;

#[test]
fn mistakes_in_toggles_are_found_where_they_are_made() {
    examine(MISTAKES);
}

const MISTAKES: &[Mistake] = &[
    ("[[toggles]]", "[[toggle]]", &["12:3 unknown key `toggle`"]),
    ("key = \"us\"", "", &["12:1 `key` is missing"]),
    (
        "key = \"us\"",
        "key = \"\"",
        &["13:7 the toggle's `key` is empty"],
    ),
    (
        "key = \"us\"",
        "key = \"a\\tb\"",
        &["13:7 the key `a\\tb` holds a control character"],
    ),
    (
        "key = \"us\"",
        "key = \"us\"\nremoval = \"30%\"",
        &["14:1 unknown key `removal`"],
    ),
    (
        "users_policy =",
        "usersPolicy =",
        &["14:1 unknown key `usersPolicy`"],
    ),
    (
        "{ source = \"opal\", package = \"app.rbac\", rule = \"us_users\" }",
        "\"us_users\"",
        &["14:16 `users_policy` must be a table, not a string"],
    ),
    (
        "source = \"opal\"",
        "source = \"opl\"",
        &["14:27 there is no source with the id `opl`"],
    ),
    (
        "source = \"opal\"",
        "source = \"${TOKEN}\"",
        &["14:27 there is no source with the id `${TOKEN}`"],
    ),
    (
        "package = \"app.rbac\", rule = \"us_users\"",
        "package = \"app.rbac.us_users\"",
        &["14:16 `rule` is missing"],
    ),
    (
        "app.rbac",
        "data.app.rbac",
        &["14:45 `data.app.rbac` is no package of Rego"],
    ),
    (
        "app.rbac",
        "app/rbac",
        &["14:45 `app/rbac` is no package of Rego"],
    ),
    (
        "app.rbac",
        "app-1.rbac",
        &["14:45 `app-1.rbac` is no package of Rego"],
    ),
    (
        "us_users",
        "app.rbac.us_users",
        &["14:64 `app.rbac.us_users` is no name of a rule of Rego"],
    ),
    (
        "us_users",
        "us-users",
        &["14:64 `us-users` is no name of a rule of Rego"],
    ),
    (
        "name =",
        "key = \"a\"\nusers = [\"hunter2\"]\nname =",
        &[
            "16:1 `key` in a `spec` would override the toggle's own",
            "17:1 `users` in a `spec` would override the toggle's own",
        ],
    ),
    (
        "name =",
        "a = [1.5, nan]\nb = 1e999\nc = { d = 99999999999999999999 }\nname =",
        &[
            "16:11 JSON cannot hold this number",
            "17:5 JSON cannot hold this number",
            "18:11 JSON cannot hold an integer of this size",
        ],
    ),
    (
        "\"US ${TOKEN}\"",
        "[\"${A}\", { b = \"${file:b}\" }]",
        &[
            "16:9 the environment variable `A` is not set",
            "16:23 cannot read `b`: there is no such file",
        ],
    ),
    (
        "[toggles.spec]",
        "[[toggles.spec]]",
        &["15:1 `spec` must be a table, not a list"],
    ),
    (
        "[toggles.spec]",
        "[[toggles]]\nkey = \"us\"\nusers_policy = { source = \"opal\", package = \"a\", rule = \"b\" }\n[toggles.spec]",
        &["16:7 there are two toggles with the key `us`"],
    ),
];
