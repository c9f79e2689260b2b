//! Colours, which only a terminal shows.

use std::fs;

use tempfile::TempDir;

use crate::support::terminal::on_a_terminal;

/// One toggle's OPA is down, the other's users are in a file.
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

const SYNC: [&str; 4] = ["sync", "--once", "--timeout", "0s"];
const COLOURFUL: (&str, &str) = ("TERM", "xterm-256color");

#[test]
fn results_have_colours() {
    let (shown, status) = on_a_terminal(folder().path(), &SYNC, &[COLOURFUL]);
    assert_eq!(status, 1);
    assert!(shown.contains("\u{1b}[32mcreated\u{1b}[0m"), "{shown:?}");
    assert!(
        shown.contains("\u{1b}[1m\u{1b}[31mcreated, failed: "),
        "{shown:?}"
    );
    let args = ["check-config", "--online"];
    let (shown, _) = on_a_terminal(folder().path(), &args, &[COLOURFUL]);
    assert!(shown.contains("\u{1b}[32mok: 1 user\u{1b}[0m"), "{shown:?}");
    assert!(shown.contains("\u{1b}[1m\u{1b}[31mfailed: "), "{shown:?}");
}

#[test]
fn results_have_no_colours_where_they_are_off_or_unknown() {
    for env in [
        &[COLOURFUL, ("NO_COLOR", "1")][..],
        &[("TERM", "dumb")],
        &[],
    ] {
        let (shown, _) = on_a_terminal(folder().path(), &SYNC, env);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
