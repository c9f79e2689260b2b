//! The command line, and what it says to a wrong duration.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn a_duration_that_cannot_be_used_is_answered_with_what_to_write() {
    let parse = |args: &[&str]| {
        let line = ["optoggles", "sync"].iter().chain(args);
        Cli::try_parse_from(line).map_err(|error| error.to_string())
    };
    assert!(parse(&["--once", "--timeout", "0s"]).is_ok());
    for (option, wrong, words) in [
        (
            "--timeout",
            "-1s",
            "it is not a duration; write a number and its unit, such as 30s",
        ),
        (
            "--timeout",
            "2y",
            "it is neither 0s nor between 1ms and 1 year; write",
        ),
        (
            "--interval",
            "0s",
            "it is not between 1ms and 1 year; write",
        ),
    ] {
        let said = parse(&[option, wrong]).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
}
