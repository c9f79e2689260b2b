//! What is only for terminals: colours, and the line that tells how far a sync has come.

use std::fs;

use tempfile::TempDir;

use crate::support::terminal::on_a_terminal;

/// A first sync that takes long: one toggle's OPA is down, the other's users are in a file.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let toggle = |key: &str, source: &str| {
        format!(
            "[[toggles]]\nkey = \"{key}\"\n\
             users_policy = {{ source = \"{source}\", package = \"app\", rule = \"us\" }}\n"
        )
    };
    let config = format!(
        "[[sources]]\nid = \"down\"\ntype = \"opa\"\nurl = \"http://127.0.0.1:1\"\n\
         [[sources]]\nid = \"files\"\ntype = \"file\"\npath = \"users.json\"\n\
         [target]\ntype = \"flagd\"\npath = \"flags.json\"\n{}{}",
        toggle("late", "down"),
        toggle("us", "files")
    );
    fs::write(folder.path().join("optoggles.toml"), config).unwrap();
    fs::write(
        folder.path().join("users.json"),
        "{\"app\":{\"us\":[\"ann\"]}}",
    )
    .unwrap();
    folder
}

const SYNC: [&str; 4] = ["sync", "--once", "--timeout", "2s"];
const COLOURFUL: (&str, &str) = ("TERM", "xterm-256color");

#[test]
fn a_long_sync_tells_how_far_it_is_and_takes_the_line_away_in_the_end() {
    let folder = folder();
    let (shown, status) = on_a_terminal(folder.path(), &SYNC, &[COLOURFUL]);
    assert_eq!(status, 1);
    let line = "\r\u{1b}[Ksyncing: 1 of 2 toggles are in sync";
    let (_, after) = shown.rsplit_once(line).expect(&shown);
    let (_, results) = after.rsplit_once("\r\u{1b}[K").expect(&shown);
    let results = results.trim_start();
    assert!(results.contains("late"), "{shown:?}");
    assert!(results.contains("\u{1b}[32mcreated\u{1b}[0m"), "{shown:?}");
    assert!(
        results.contains("\u{1b}[1m\u{1b}[31mcreated, failed: "),
        "{shown:?}"
    );
}

#[test]
fn without_colours_there_is_the_line_all_the_same() {
    let env = [COLOURFUL, ("NO_COLOR", "1")];
    let (shown, _) = on_a_terminal(folder().path(), &SYNC, &env);
    assert!(shown.contains("syncing: 1 of 2"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[3"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[1m"), "{shown:?}");
}

#[test]
fn an_online_check_has_the_colours_of_a_result() {
    let args = ["check-config", "--online"];
    let (shown, _) = on_a_terminal(folder().path(), &args, &[COLOURFUL]);
    assert!(shown.contains("\u{1b}[32mok: 1 user\u{1b}[0m"), "{shown:?}");
    assert!(shown.contains("\u{1b}[1m\u{1b}[31mfailed: "), "{shown:?}");
}

#[test]
fn a_terminal_that_cannot_go_back_gets_neither_colours_nor_the_line() {
    for env in [&[("TERM", "dumb")][..], &[]] {
        let (shown, _) = on_a_terminal(folder().path(), &SYNC, env);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert!(!shown.contains("syncing: "), "{shown:?}");
    }
}

#[test]
fn quietly_there_is_no_line() {
    let args = [&["-q"], &SYNC[..]].concat();
    let (shown, _) = on_a_terminal(folder().path(), &args, &[COLOURFUL]);
    assert!(!shown.contains("syncing: "), "{shown:?}");
}
