use super::*;

fn rule() -> Rule {
    Rule {
        source: 0,
        package: "app".to_owned(),
        rule: "us".to_owned(),
        input: None,
    }
}

/// A file in a folder of its own, which is not there yet.
fn file(folder: &tempfile::TempDir) -> File {
    File {
        path: Some(folder.path().join("users.json")),
        rules: vec![rule()],
        last: Mutex::default(),
    }
}

/// Allows this user, and reads who is allowed.
fn user_after(file: &File, user: &str) -> String {
    let path = file.path.as_ref().unwrap();
    fs::write(path, format!(r#"{{"app":{{"us":["{user}"]}}}}"#)).unwrap();
    let users = file.read().unwrap().users(&rule()).unwrap();
    users.iter().collect()
}

#[test]
fn changes_within_one_tick_of_the_clock_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    for user in ["ann", "bob", "eve", "zoe"].iter().cycle().take(100) {
        assert_eq!(user_after(&file, user), *user);
    }
}

#[test]
fn a_file_that_holds_the_same_is_the_same_document() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    user_after(&file, "ann");
    let first = file.read().unwrap();
    assert!(Arc::ptr_eq(&first, &file.read().unwrap()));
    // As if the stamp had been there for long: it is read once more, and then no longer.
    file.last.lock().unwrap().as_mut().unwrap().since -= TICK;
    for is_settled in [false, true, true] {
        let last = file.last.lock().unwrap().as_ref().unwrap().is_settled;
        assert_eq!(last, is_settled);
        assert!(Arc::ptr_eq(&first, &file.read().unwrap()));
    }
    assert_eq!(user_after(&file, "eve"), "eve");
}

#[test]
fn a_file_that_is_too_large_is_not_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder);
    let sparse = fs::File::create(file.path.as_ref().unwrap()).unwrap();
    sparse.set_len(LARGEST_ANSWER + 1).unwrap();
    let words = file.read().unwrap_err().to_string();
    assert!(words.ends_with("larger than 64 MiB: split it into several files"));
}

#[test]
fn a_file_system_that_hangs_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let reader = Reader {
        file: Arc::new(file(&folder)),
        disk: Disk::new("file f".to_owned(), Duration::from_millis(20), None),
    };
    let (_end, hangs) = crossbeam_channel::bounded::<()>(0);
    assert!(reader.disk.run(move || hangs.recv()).is_err());
    assert_eq!(reader.discover().unwrap_err().kind, Kind::Timeout);
}
