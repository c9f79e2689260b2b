//! Mistakes in the keys at the file's top.

use super::*;

#[test]
fn mistakes_at_the_top_are_found_where_they_are_made() {
    examine(MISTAKES);
}

const MISTAKES: &[Mistake] = &[
    ("bind =", "binds =", &["1:1 unknown key `binds`"]),
    (
        "\":8080\"",
        "8080",
        &["1:8 `bind` must be a string, not an integer"],
    ),
    (
        "\":8080\"",
        "\"8080\"",
        &["1:8 `bind` is not host:port: `8080`"],
    ),
    (
        "bind = \":8080\"",
        "bind = \":8080\"\nresync_interval = \"5 minuts\"",
        &["2:19 `resync_interval` is not a duration: `5 minuts`"],
    ),
    (
        "bind = \":8080\"",
        "http_timeout = \"0s\"\nresync_interval = 0",
        &[
            "1:16 `http_timeout` is not between 1ms and 1 year: `0s`",
            "2:19 `resync_interval` must be a string, not an integer",
        ],
    ),
    (
        "bind = \":8080\"",
        "http_timeout = \"1ns\"\nresync_interval = \"9y\"",
        &[
            "1:16 `http_timeout` is not between 1ms and 1 year: `1ns`",
            "2:19 `resync_interval` is neither 0s nor between 1ms and 1 year: `9y`",
        ],
    ),
    (
        "bind = \":8080\"",
        "max_removal = 0.3",
        &[
            "1:15 `max_removal` must be a share, such as `\"30%\"`, a number of users, or `\"off\"`, not a float",
        ],
    ),
    (
        "bind = \":8080\"",
        "concurrency = 0",
        &["1:15 `concurrency` must be from 1 to 256"],
    ),
    (
        "bind = \":8080\"",
        "concurrency = \"8\"",
        &["1:15 `concurrency` must be an integer, not a string"],
    ),
    (
        "bind = \":8080\"",
        "concurrency = 99999999999999999999",
        &["1:15 `concurrency` must be from 1 to 256"],
    ),
];
