//! What `check-config` says about the wrong files of `tests/wrong`, each compared with what it said
//! before: `SNAPSHOTS=overwrite cargo test` writes that down anew, to be read before it is kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Stage;
use crate::support::program::Program;

/// What stands for every secret in the files.
const SECRET: &str = "hunter2";

/// The folder of the wrong files; `files` in it has what they name.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong")
}

/// The names of the folder's files with this ending, without it.
fn names(ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == ending));
    paths
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// The program in a directory with all the files, and no variable but `TOKEN`.
fn program() -> Program {
    let stage = Stage::new();
    stage.add_secret(SECRET);
    let program = Program::new(&stage, "", &[("TOKEN", SECRET)]);
    for name in names("toml") {
        program.add_file(&folder().join(format!("{name}.toml")));
    }
    for entry in fs::read_dir(folder().join("files")).unwrap() {
        program.add_file(&entry.unwrap().path());
    }
    program
}

/// All that a run leaves, as it stands in the snapshots.
fn picture(program: &Program, name: &str) -> String {
    let output = program.run(&["-c", &format!("{name}.toml"), "check-config"]);
    let status = output.status.and_then(|status| status.code()).unwrap();
    format!(
        "exit status {status}\n--- stdout\n{}--- stderr\n{}",
        output.stdout, output.stderr
    )
}

#[test]
fn each_wrong_file_is_answered_as_it_was_before() {
    let program = program();
    let overwrites = std::env::var("SNAPSHOTS").is_ok_and(|action| action == "overwrite");
    let mut changed = Vec::new();
    let files = names("toml");
    for name in &files {
        let path = folder().join(format!("{name}.txt"));
        let actual = picture(&program, name);
        if overwrites {
            fs::write(&path, &actual).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if actual != expected {
            changed.push(format!("{name} was answered\n{expected}\nand is\n{actual}"));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
    assert_eq!(names("txt"), files, "each answer has its file");
    assert!(files.len() >= 60, "{} files are too few", files.len());
}

/// The codes in the manual page's list of them.
fn documented_codes() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/optoggles.1");
    let page = fs::read_to_string(page).unwrap();
    let (_, list) = page.split_once("\nThe codes are:\n").unwrap();
    let (list, _) = list.split_once("\n.El\n").unwrap();
    let items = list.lines().filter_map(|line| line.strip_prefix(".It Ql "));
    let codes = items.flat_map(|item| item.split(" , "));
    codes.map(str::to_owned).collect()
}

#[test]
fn the_codes_of_all_wrong_files_are_those_of_the_manual_page() {
    let program = program();
    let mut codes = BTreeSet::new();
    for name in names("toml") {
        let file = format!("{name}.toml");
        let output = program.run(&["-c", &file, "check-config", "--format", "json"]);
        let found = output.json();
        let found = found.as_array().unwrap().iter();
        codes.extend(found.map(|found| found["code"].as_str().unwrap().to_owned()));
    }
    // These are of no file that can be read.
    codes.extend(["no-file", "online"].map(str::to_owned));
    assert_eq!(codes, documented_codes());
}
