//! The files of `examples` are right.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Stage;
use crate::support::program::Program;

/// The configurations below a folder.
fn configurations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(configurations(&path));
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_example_passes_the_strict_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let examples = configurations(&folder);
    assert!(examples.len() >= 4, "{examples:?}");
    let tokens = ["LAUNCHDARKLY_TOKEN", "FLAGS_TOKEN"].map(|name| (name, "any"));
    let program = Program::new(&Stage::new(), "", &tokens);
    for example in examples {
        let path = example.to_str().unwrap();
        program
            .run(&["-c", path, "check-config", "--strict"])
            .exits(0);
    }
}

#[test]
fn the_quickstart_makes_flags_of_users_and_says_who_comes_and_goes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let program = Program::new(&Stage::new(), "", &[]);
    for name in ["optoggles.toml", "users.json"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        program.write(
            &format!("quickstart-{name}"),
            &text.replace("users.json", "quickstart-users.json"),
        );
    }
    let sync = ["-c", "quickstart-optoggles.toml", "sync", "--once"];
    let output = program.run(&sync).exits(0);
    output
        .reports("us-feature +2 2 users created")
        .reports("billing-page +2 2 users created");
    let users = fs::read_to_string(folder.join("users.json")).unwrap();
    program.write(
        "quickstart-users.json",
        &users.replace("\"bob\"", "\"carol\""),
    );
    let output = program.run(&sync).exits(0);
    output
        .reports("us-feature +1 -1 2 users updated")
        .reports("billing-page = 2 users unchanged");
}
