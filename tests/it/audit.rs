//! The audit log, as a whole process writes it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::program::{Daemon, Program};
use crate::support::world::Plan;

pub(crate) const SETTING: &str = "audit_log = \"audit.jsonl\"";

fn audited(keys: &[&str]) -> Plan {
    World::of(keys).setting(SETTING)
}

fn file(program: &Program) -> PathBuf {
    program.path("audit.jsonl")
}

/// Its lines; a half one fails the test.
pub(crate) fn lines(program: &Program) -> Vec<Value> {
    let text = fs::read_to_string(file(program)).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Of each line the cause, and who came and went.
fn changes(program: &Program) -> Vec<Value> {
    let lines = lines(program).into_iter();
    let change = lines.map(|it| json!([it["cause"], it["added"], it["removed"]]));
    change.collect()
}

impl World {
    /// The policy changes, the target follows, and the line is there.
    #[track_caller]
    fn change_audited(&self, users: &[&str]) {
        let before = lines(&self.program).len();
        self.change("us", users);
        self.wait_for_users("us", users);
        self.wait_for_lines(before + 1);
    }

    #[track_caller]
    fn wait_for_lines(&self, count: usize) {
        let there = || lines(&self.program).len() >= count;
        self.wait_until("the lines are written", there);
        assert_eq!(lines(&self.program).len(), count);
    }
}

#[test]
fn serve_writes_why_who_came_and_went() {
    let world = audited(&["us"]).readable().build();
    world.store.put("us", &["ann", "zoe"]);
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.wait_for_lines(1);
    world.change_audited(&["ann", "bob"]);
    // OPAL does not call back: the reload finds out.
    world.opa.allow("us", &["bob"]);
    world.reload(&daemon, |config| format!("concurrency = 4\n{config}"));
    world.wait_for_lines(3);
    let every_second = |config: &str| format!("resync_interval = \"1s\"\n{config}");
    world.reload(&daemon, every_second);
    world.store.put("us", &["mallory"]);
    world.wait_for_lines(4);
    world.opa.allow("us", &["bob", "eve"]);
    world.wait_for_lines(5);
    assert_eq!(
        changes(&world.program),
        [
            json!(["start", [], ["zoe"]]),
            json!(["callback", ["bob"], []]),
            json!(["reload", [], ["ann"]]),
            json!(["drift", ["bob"], ["mallory"]]),
            json!(["resync", ["eve"], []]),
        ]
    );
    let mut first = lines(&world.program)[0].clone();
    let time = first["time"].take();
    assert!(humantime::parse_rfc3339(time.as_str().unwrap()).is_ok());
    let instance = format!("127.0.0.1:{}", daemon.port());
    assert_eq!(
        first,
        json!({
            "time": null, "target": "restapi", "toggle": "us", "environment": null, "added": [],
            "removed": ["zoe"], "users": 1, "cause": "start", "source": "main",
            "rule": "data.app.rbac.us", "revision": null, "instance": instance,
        })
    );
    let log = daemon.terminate().exits(0).stderr;
    assert!(!log.contains("mallory"), "{log}");
}

#[test]
fn what_a_reload_without_changes_finds_out_is_its_own() {
    let hourly = "poll_interval = \"1h\"";
    let world = audited(&["us"]).plain_opa().source_setting(hourly);
    let world = world.readable().build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.wait_for_lines(1);
    world.opa.allow("us", &["bob"]);
    daemon.process.signal(Signal::HUP);
    world.wait_for_lines(2);
    assert_eq!(
        changes(&world.program)[1],
        json!(["reload", ["bob"], ["ann"]])
    );
}

#[test]
fn what_a_target_had_that_cannot_be_read_is_null_and_sending_the_same_again_no_change() {
    let world = audited(&["us"]).setting("resync_interval = \"1s\"").build();
    world.opa.allow("us", &["ann"]);
    let _daemon = world.serve_in_step();
    world.wait_for_lines(1);
    world.change_audited(&["bob"]);
    world.store.put("us", &["mallory"]);
    world.wait_for_users("us", &["bob"]);
    let expected = [
        json!(["start", null, null]),
        json!(["callback", ["bob"], ["ann"]]),
    ];
    assert_eq!(changes(&world.program), expected);
}

#[test]
fn sync_says_sync_and_force_where_that_was_needed() {
    let world = audited(&["us", "tax"]).readable().build();
    for key in ["us", "tax"] {
        world.store.put(key, &["ann", "bob", "cid"]);
        world.opa.allow(key, &["ann", "bob", "cid"]);
    }
    world.opa.allow("tax", &["ann", "bob"]);
    world.program.run(&["sync", "--dry-run"]).exits(0);
    assert!(!file(&world.program).exists());
    // Of a process that was killed.
    fs::write(file(&world.program), "{\"time\"").unwrap();
    world.sync(&[]).exits(0);
    let text = fs::read_to_string(file(&world.program)).unwrap();
    fs::write(
        file(&world.program),
        text.strip_prefix("{\"time\"\n").unwrap(),
    )
    .unwrap();
    let mut world = world;
    let config = format!("max_removal = 1\n{}", world.program.config());
    world.program.set_config(&config);
    world.opa.allow("us", &["ann"]);
    world.opa.allow("tax", &["ann"]);
    world.sync(&["--force"]).exits(0);
    let mut changes = changes(&world.program);
    changes[1..].sort_by_key(Value::to_string);
    assert_eq!(
        changes,
        [
            json!(["sync", [], ["cid"]]),
            json!(["force", [], ["bob", "cid"]]),
            json!(["sync", [], ["bob"]]),
        ]
    );
}

#[test]
fn at_sighup_the_file_is_opened_again_however_it_was_rotated_and_whatever_the_reload_says() {
    let world = audited(&["us"]).readable().build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.wait_for_lines(1);
    // As logrotate does with `create`; the reload is rejected.
    let old = world.program.path("audit.jsonl.1");
    fs::rename(file(&world.program), &old).unwrap();
    world.program.write("optoggles.toml", "");
    daemon.process.signal(Signal::HUP);
    world.wait_until("it is made", || file(&world.program).exists());
    world.change_audited(&["bob"]);
    assert_eq!(fs::read_to_string(&old).unwrap().lines().count(), 1);
    // And with `copytruncate`.
    File::create(file(&world.program)).unwrap();
    world.change_audited(&["cid"]);
    // A reload can change the path, and leave it out.
    let elsewhere = |config: &str| config.replace("audit.jsonl", "new.jsonl");
    world.reload(&daemon, elsewhere);
    let new = world.program.path("new.jsonl");
    world.wait_until("it is made", || new.exists());
    world.reload(&daemon, |config| config.replace(SETTING, ""));
    world.change("us", &["dan"]);
    world.wait_for_users("us", &["dan"]);
    daemon.terminate().exits(0);
    assert_eq!(fs::read_to_string(&new).unwrap(), "");
    assert_eq!(lines(&world.program).len(), 1);
}

#[test]
fn a_full_disk_stops_nothing_is_told_and_its_lines_are_written_later() {
    let world = audited(&["us"]).readable().build();
    symlink("/dev/full", file(&world.program)).unwrap();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve();
    world.wait_for_users("us", &["ann"]);
    daemon.wait_failing();
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    let words = "audit log audit.jsonl cannot be written: No space left on device (os error 28)";
    let health: Value = serde_json::from_str(&daemon.get("/health").text()).unwrap();
    assert_eq!(health["reasons"], json!([words]));
    assert_eq!(daemon.status()["audit_log_error"], words);
    assert!(daemon.get("/").text().contains("No space left on device"));
    fs::remove_file(file(&world.program)).unwrap();
    daemon.wait_healthy();
    let expected = [
        json!(["start", ["ann"], []]),
        json!(["callback", ["bob"], ["ann"]]),
    ];
    assert_eq!(changes(&world.program), expected);
    let output = daemon.terminate().exits(0).complains(words);
    output.complains("the audit log works again failures=");
}

/// Limits the size of files that a process writes.
fn limit_files(daemon: &Daemon, size: Option<u64>) {
    let pid = Some(daemon.process.pid());
    let limit = Rlimit {
        current: size,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[test]
fn a_line_that_is_cut_short_is_written_whole_later() {
    let world = audited(&["us"]).readable().build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.wait_for_lines(1);
    let size = fs::metadata(file(&world.program)).unwrap().len();
    limit_files(&daemon, Some(size + 100));
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    daemon.wait_failing();
    assert_eq!(fs::metadata(file(&world.program)).unwrap().len(), size);
    limit_files(&daemon, None);
    daemon.wait_healthy();
    world.wait_for_lines(2);
}

#[test]
fn what_could_not_be_written_by_the_end_is_said() {
    let world = audited(&["us"]).readable().build();
    symlink("/dev/full", file(&world.program)).unwrap();
    world.opa.allow("us", &["ann"]);
    let words = "error: lines missing in the audit log: 1: audit log ";
    world
        .sync(&[])
        .exits(1)
        .reports("us +1 1 user created")
        .complains(words);
    assert!(world.store.has("us", &["ann"]));
    let daemon = world.serve_in_step();
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    let words = "lines missing in the audit log: 1: audit log ";
    daemon.terminate().exits(0).complains(words);
}

#[test]
fn a_process_that_is_killed_leaves_whole_lines() {
    let world = audited(&["us"]).readable().build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    daemon.process.signal(Signal::KILL);
    daemon.process.wait_exit(Duration::from_secs(3));
    let before = lines(&world.program).len();
    world.opa.allow("us", &["cid"]);
    let _daemon = world.serve_in_step();
    world.wait_for_lines(before + 1);
}

#[test]
fn check_config_says_online_whether_it_can_be_written_and_makes_no_file() {
    let world = audited(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.set_ready(Some(true));
    let check = || world.program.run(&["check-config", "--online"]);
    let words =
        "audit log        path                    ok: does not exist yet, and can be made\n";
    check().exits(0).says(words);
    assert!(!file(&world.program).exists());
    fs::create_dir(file(&world.program)).unwrap();
    check().exits(1).says("Is a directory (os error 21)");
    world.program.run(&["check-config"]).exits(0);
}
