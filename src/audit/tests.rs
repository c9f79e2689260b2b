use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::SystemTime;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

use super::*;

/// Longer than any of these takes.
const LONG: Duration = Duration::from_secs(30);

fn audit(path: &Path) -> Audit {
    let metrics = Metrics::new(SystemTime::UNIX_EPOCH).unwrap();
    let audit = Audit::start(Arc::default(), Arc::new(metrics)).unwrap();
    audit.set_path(Some(path));
    audit
}

fn entry(added: &[&str]) -> Entry {
    let change = Change {
        added: added.iter().copied().collect(),
        removed: ["zoe"].into_iter().collect(),
    };
    Entry {
        time: "2026-01-02T03:04:05.678Z".to_owned(),
        target: "platform".to_owned(),
        toggle: "us".to_owned(),
        environment: None,
        change: Some(Arc::new(change)),
        users: 7,
        cause: Why::Callback,
        source: Some("main".to_owned()),
        rule: Some("data.app.rbac.us".to_owned()),
        revision: None,
        instance: "optoggles:8080".to_owned(),
    }
}

/// The users that each line adds.
fn added(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    let line = |line| serde_json::from_str::<Value>(line).unwrap()["added"].clone();
    let added = text.lines().map(line);
    added
        .map(|it| serde_json::from_value(it).unwrap())
        .collect()
}

#[test]
fn a_line_has_its_keys_in_order_and_each_user_exactly() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = audit(&path);
    let odd = ["\"quoted\\\"", "a\nb\u{7}", "${NAME} ü\u{202e}"];
    audit.write(entry(&odd));
    let unknown = Entry {
        change: None,
        source: None,
        rule: None,
        environment: Some("test".to_owned()),
        revision: Some("abc".into()),
        ..entry(&[])
    };
    audit.write(unknown);
    audit.flush(LONG).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    assert_eq!(
        first,
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"target\":\"platform\",\"toggle\":\"us\",\
         \"environment\":null,\"added\":[\"\\\"quoted\\\\\\\"\",\"${NAME} ü\u{202e}\",\
         \"a\\nb\\u0007\"],\"removed\":[\"zoe\"],\"users\":7,\"cause\":\"callback\",\
         \"source\":\"main\",\"rule\":\"data.app.rbac.us\",\"revision\":null,\
         \"instance\":\"optoggles:8080\"}"
    );
    assert_eq!(
        second,
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"target\":\"platform\",\"toggle\":\"us\",\
         \"environment\":\"test\",\"added\":null,\"removed\":null,\"users\":7,\
         \"cause\":\"callback\",\"source\":null,\"rule\":null,\"revision\":\"abc\",\
         \"instance\":\"optoggles:8080\"}\n"
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn half_a_line_of_a_killed_process_stays_on_a_line_of_its_own_and_the_mode_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    fs::write(&path, "{\"time\":\"20").unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let audit = audit(&path);
    audit.write(entry(&["ann"]));
    audit.write(entry(&["bob"]));
    audit.flush(LONG).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let starts: Vec<&str> = text.lines().map(|line| &line[..11]).collect();
    assert_eq!(starts, ["{\"time\":\"20"; 3]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn two_that_write_to_one_file_never_mix_within_a_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let (one, other) = (audit(&path), audit(&path));
    let long = "x".repeat(100_000);
    for _ in 0..50 {
        one.write(entry(&[&long]));
        other.write(entry(&["short"]));
    }
    one.flush(LONG).unwrap();
    other.flush(LONG).unwrap();
    assert_eq!(added(&path).len(), 100);
}

#[test]
fn what_a_full_disk_does_not_take_waits_within_a_bound_and_the_rest_is_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = audit(Path::new("/dev/full"));
    audit.write(entry(&["0"]));
    let words = "audit log /dev/full cannot be written: No space left on device (os error 28)";
    let missing = format!("lines missing in the audit log: 1: {words}");
    assert_eq!(audit.flush(LONG), Err(missing));
    assert_eq!(audit.state.trouble(LONG).as_deref(), Some(words));
    let long = "x".repeat(MOST / 4);
    for number in 1..=5 {
        audit.write(entry(&[&format!("{number}{long}")]));
    }
    audit.set_path(Some(&path));
    let missing = "lines missing in the audit log: 2";
    assert_eq!(audit.flush(LONG), Err(missing.to_owned()));
    assert_eq!(audit.state.trouble(LONG), None);
    let firsts = added(&path).into_iter().map(|keys| keys[0][..1].to_owned());
    assert_eq!(firsts.collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    let counted = audit
        .metrics
        .gather([].into_iter(), [].into_iter(), [].into_iter());
    let counted = counted
        .iter()
        .find(|it| it.name().contains("audit"))
        .unwrap();
    assert_eq!(counted.get_metric()[0].get_counter().get_value(), 2.0);
}

#[test]
fn a_line_longer_than_the_bound_is_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = audit(&path);
    let long = "x".repeat(MOST + 1);
    audit.write(entry(&[&long]));
    audit.write(entry(&["ann"]));
    audit.flush(LONG).unwrap();
    assert_eq!(added(&path), [[long], ["ann".to_owned()]]);
}

#[test]
fn what_is_no_file_is_named_in_words() {
    let folder = TempDir::new().unwrap();
    let in_it = |name: &str| folder.path().join(name);
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, in_it("pipe"), FileType::Fifo, mode, 0).unwrap();
    let _listener = UnixListener::bind(in_it("socket")).unwrap();
    let gone = in_it("gone/audit.jsonl");
    let create = format!("no such folder {}: create it", in_it("gone").display());
    for (path, words) in [
        (in_it("pipe"), "it is not a file"),
        (in_it("socket"), "it is not a file"),
        (in_it(""), "Is a directory (os error 21)"),
        (gone, &create),
    ] {
        let audit = audit(&path);
        audit.write(entry(&["ann"]));
        assert!(audit.flush(LONG).is_err());
        let words = format!("audit log {} cannot be written: {words}", path.display());
        assert_eq!(audit.state.trouble(LONG).as_deref(), Some(&*words));
        assert_eq!(check(&path), Err(words));
    }
}

#[test]
fn a_file_that_was_removed_is_made_again_and_a_check_leaves_none_behind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    assert_eq!(check(&path), Ok("does not exist yet, and can be made"));
    assert!(!path.exists());
    let audit = audit(&path);
    for user in ["ann", "bob"] {
        audit.write(entry(&[user]));
        audit.flush(LONG).unwrap();
        assert_eq!(check(&path), Ok("can be opened for writing"));
        assert_eq!(added(&path), [[user]]);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_waits_is_given_up_and_counted_where_the_file_is_taken_away() {
    let audit = audit(Path::new("/dev/full"));
    audit.write(entry(&["ann"]));
    audit.set_path(None);
    let missing = "lines missing in the audit log: 1";
    assert_eq!(audit.flush(LONG), Err(missing.to_owned()));
    assert_eq!(audit.state.trouble(LONG), None);
}
