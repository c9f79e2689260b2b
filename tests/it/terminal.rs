//! Colours, which only a terminal shows.

use std::fs;

use tempfile::TempDir;

use crate::support::terminal::on_a_terminal;

/// The rule of one toggle allows ann, and that of the other is undefined.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let toggle = |key: &str| {
        format!(
            "[[toggles]]\nkey = \"{key}\"\n\
             users_policy = {{ source = \"files\", package = \"app\", rule = \"{key}\" }}\n"
        )
    };
    let config = format!(
        "[[sources]]\nid = \"files\"\ntype = \"file\"\npath = \"users.json\"\n\
         [target]\ntype = \"flagd\"\npath = \"flags.json\"\n{}{}",
        toggle("late"),
        toggle("us")
    );
    fs::write(folder.path().join("optoggles.toml"), config).unwrap();
    let users = r#"{ "app": { "us": ["ann"] } }"#;
    fs::write(folder.path().join("users.json"), users).unwrap();
    folder
}

const SYNC: [&str; 3] = ["sync", "--timeout", "0s"];
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
