//! The command line, and what it says to a wrong duration.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

fn refused(arguments: &[&str]) -> String {
    let line = ["optoggles", "sync"].iter().chain(arguments);
    Cli::try_parse_from(line).unwrap_err().to_string()
}

#[test]
fn a_duration_that_cannot_be_used_is_answered_with_what_to_write() {
    assert!(Cli::try_parse_from(["optoggles", "sync", "--once", "--timeout", "0s"]).is_ok());
    for (wrong, words) in [
        ("90", "it is not a duration; write a number and its unit"),
        (
            "-1s",
            "it is not a duration; write a number and its unit, such as 30s",
        ),
        ("2y", "it is neither 0s nor between 1ms and 1 year; write"),
        (
            "18446744073709551615s 1000ms",
            "it is neither 0s nor between",
        ),
    ] {
        let said = refused(&["--timeout", wrong]);
        assert!(said.contains(words), "{said}");
    }
    for wrong in ["0s", "1ns"] {
        let said = refused(&["--interval", wrong]);
        assert!(
            said.contains("it is not between 1ms and 1 year; write"),
            "{said}"
        );
    }
}
