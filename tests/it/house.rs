//! The invariants of the house that can be read off its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Files of `src` without tests, by their path below it, with their code.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root).into_iter().map(|path| {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        (name, code.to_owned())
    });
    let of_program = |(name, _): &(String, String)| !name.contains("tests");
    files.filter(of_program).collect()
}

#[test]
fn only_http_names_ureq_and_only_the_server_names_tiny_http() {
    for (name, code) in sources() {
        let uses = |krate: &str| code.contains(&format!("{krate}::"));
        assert!(
            !uses("ureq") || name.starts_with("http"),
            "{name} names ureq"
        );
        assert!(
            !uses("tiny_http") || name.starts_with("server"),
            "{name} names tiny_http"
        );
    }
}

/// Each room of `src` (a module at its top, with everything below it), and the rooms that it names.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, code) in sources() {
        let room = name.split('/').next().unwrap().trim_end_matches(".rs");
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = code.split("crate::").skip(1);
        let named = named.map(|rest| rest.split(|c| !is_of_word(c)).next().unwrap().to_owned());
        let others = named.filter(|other| other != room && !other.is_empty());
        rooms.entry(room.to_owned()).or_default().extend(others);
    }
    rooms
}

#[test]
fn the_rooms_of_the_house_name_each_other_in_one_direction() {
    let mut rooms = rooms();
    assert!(rooms["engine"].contains("plan"), "{rooms:?}");
    // Who names no room that is left can be taken out; a circle stays.
    while let Some(lowest) = rooms
        .iter()
        .find_map(|(room, named)| named.is_empty().then(|| room.clone()))
    {
        rooms.remove(&lowest);
        for named in rooms.values_mut() {
            named.remove(&lowest);
        }
    }
    assert!(rooms.is_empty(), "{rooms:?}");
}

#[test]
fn the_pure_modules_do_no_io_and_read_no_clock() {
    for (name, code) in sources() {
        let pure = [
            "engine",
            "plan.rs",
            "users.rs",
            "schedule.rs",
            "job.rs",
            "document",
        ];
        if !pure.iter().any(|module| name.starts_with(module)) {
            continue;
        }
        for word in [
            "Instant::now",
            "SystemTime",
            "std::fs",
            "std::net",
            "thread::",
            "getrandom",
            "log::",
        ] {
            assert!(!code.contains(word), "{name} uses {word}");
        }
    }
}

#[test]
fn secrets_are_compared_in_constant_time_alone() {
    for (name, code) in sources() {
        let compares =
            |line: &&str| line.contains("expose()") && (line.contains("==") || line.contains("!="));
        assert_eq!(code.lines().find(compares), None, "{name}");
        if name == "secret.rs" {
            assert!(code.contains("ct_eq"), "{name} compares otherwise");
        }
        if name == "server.rs" {
            assert!(code.contains("callback_token.is_bearer_of("), "{name}");
        }
        if name == "target/openfeature/evaluations.rs" {
            assert!(code.contains("token.is_bearer_of("), "{name}");
        }
    }
}

#[test]
fn the_wall_clock_is_read_for_what_a_remote_names_by_date_for_the_status_and_for_the_log_alone() {
    let reads = |(_, code): &&(String, String)| code.contains("SystemTime::now");
    let sources = sources();
    let readers: Vec<&str> = sources
        .iter()
        .filter(reads)
        .map(|(name, _)| name.as_str())
        .collect();
    let known = ["http.rs", "logging.rs", "status.rs"];
    assert_eq!(BTreeSet::from_iter(readers), BTreeSet::from(known));
}

#[test]
fn every_file_that_the_architecture_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| word.ends_with(".rs") && word.contains('/');
    let paths: Vec<&str> = quoted.filter(is_path).collect();
    assert!(paths.len() > 50, "{}", paths.len());
    for path in paths {
        let places = ["", "src", "tests/it"].map(|folder| root.join(folder).join(path));
        assert!(places.iter().any(|place| place.exists()), "{path}");
    }
}
