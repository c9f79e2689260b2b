//! Mistakes in the syntax of TOML.

use super::*;

#[test]
fn mistakes_of_syntax_are_found_where_they_are_made() {
    examine(MISTAKES);
}

const MISTAKES: &[Mistake] = &[
    (
        "id = \"opal\"",
        "id = opal",
        &["3:6 a string has to be in quotes"],
    ),
    ("\"hunter2\"", "\"hunter2", &["5:9 this `\"` is not closed"]),
    (
        "\"hunter2\"",
        "hunter2",
        &["5:9 a string has to be in quotes"],
    ),
    (
        "\"hunter2\"",
        "\nhunter2==",
        &["5:9 the value is missing", "6:9 there is an `=` too many"],
    ),
    (
        "\"hunter2\"",
        "\"\"\"hunter2",
        &["5:9 this `\"\"\"` is not closed"],
    ),
    (
        "[target]",
        "[target",
        &["8:1 this is not how a table begins"],
    ),
    ("bind =", "bind", &["1:6 there is no `=` behind the key"]),
    (
        "bind = \":8080\"",
        "bind: \":8080\"",
        &["1:5 TOML has `=` where YAML and JSON have `:`"],
    ),
    (
        "bind = \":8080\"",
        "bind = \":8080\"\nbind = \":8081\"",
        &["2:1 the key `bind` is here twice"],
    ),
    (
        "rule = \"us_users\" }",
        "rule = \"us_users\"",
        &["14:16 this `{` is not closed"],
    ),
];
