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
        &["3:6 string values must be quoted, expected literal string"],
    ),
    (
        "\"hunter2\"",
        "\"hunter2",
        &["5:17 invalid basic string, expected `\"`"],
    ),
    (
        "\"hunter2\"",
        "hunter2",
        &["5:9 string values must be quoted, expected literal string"],
    ),
    (
        "\"hunter2\"",
        "\nhunter2==",
        &[
            "5:9 string values must be quoted, expected literal string",
            "6:9 extra `=`",
        ],
    ),
    (
        "\"hunter2\"",
        "\"\"\"hunter2",
        &["17:1 invalid multi-line basic string, expected `\"`"],
    ),
    ("[target]", "[target", &["8:8 unclosed table, expected `]`"]),
    ("bind =", "bind", &["1:6 key with no value, expected `=`"]),
    (
        "bind = \":8080\"",
        "bind: \":8080\"",
        &["1:5 invalid unquoted key, expected letters, numbers, `-`, `_`"],
    ),
    (
        "bind = \":8080\"",
        "bind = \":8080\"\nbind = \":8081\"",
        &["2:1 the key `bind` is here twice"],
    ),
    (
        "rule = \"us_users\" }",
        "rule = \"us_users\"",
        &[
            "15:1 missing key for inline table element, expected `,`",
            "16:1 missing comma between key-value pairs, expected `,`",
        ],
    ),
];
