//! The files of `examples`, and the default configuration, are right.

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut examples = configurations(&root.join("examples"));
    assert!(examples.len() >= 5, "{examples:?}");
    examples.push(root.join("optoggles.toml"));
    let tokens = ["LAUNCHDARKLY_TOKEN", "FLAGS_TOKEN", "UNLEASH_TOKEN"].map(|name| (name, "any"));
    let program = Program::new(&Stage::new(), "", &tokens);
    for example in examples {
        let path = example.to_str().unwrap();
        program
            .run(&["-c", path, "check-config", "--strict"])
            .exits(0);
    }
}
