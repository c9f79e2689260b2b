//! Mistakes in `[target]`.

use super::*;

#[test]
fn mistakes_in_the_target_are_found_where_they_are_made() {
    examine(MISTAKES);
}

const MISTAKES: &[Mistake] = &[
    (
        "[target]",
        "[[target]]",
        &["8:1 `target` must be a table, not a list"],
    ),
    ("type = \"restapi\"", "", &["8:1 `type` is missing"]),
    (
        "type = \"restapi\"",
        "targetType = \"restapi\"",
        &["9:1 unknown key `targetType`"],
    ),
    (
        "type = \"restapi\"",
        "type = \"restapy\"",
        &["9:8 unknown type of target `restapy`"],
    ),
    (
        "type = \"restapi\"",
        "type = \"${TOKEN}\"",
        &["9:8 unknown type of target `${TOKEN}`"],
    ),
    (
        "type = \"restapi\"",
        "type = \"restapi\"\nread = \"true\"",
        &["10:8 `read` must be true or false, not a string"],
    ),
    (
        "type = \"restapi\"",
        "type = \"restapi\"\nconcurrency = 4",
        &["10:1 unknown key `concurrency`"],
    ),
    (
        "type = \"restapi\"",
        "type = \"restapi\"\ntoken = \"hunter2\"",
        &["10:1 unknown key `token`"],
    ),
    (
        "endpoint_url",
        "endpointUrl",
        &["10:1 unknown key `endpointUrl`"],
    ),
    (
        "https://flags.example.com/api",
        "https://flags.example.com/api?a=hunter2",
        &[
            "10:16 `endpoint_url` is no usable address: an address has no query (the part from ? on)",
        ],
    ),
    (
        "Authorization =",
        "\"X Y\" = \"hunter2\", Host = \"hunter2\", authorization = \"hunter2\", Authorization =",
        &[
            "11:19 `X Y` is no name of a header",
            "11:38 the header `Host` cannot be set: each request has its own",
            "11:83 the header `Authorization` is set twice: case does not count",
        ],
    ),
    (
        "\"Bearer hunter2\"",
        "\"Bearer hunter2\\u0007\"",
        &["11:35 `Authorization` holds characters that no header can carry"],
    ),
    (
        "\"Bearer hunter2\"",
        "7",
        &["11:35 `Authorization` must be a string, not an integer"],
    ),
    (
        "{ Authorization = \"Bearer hunter2\" }",
        "\"hunter2\"",
        &["11:17 `extra_headers` must be a table, not a string"],
    ),
];
