//! A source that is a file, or standard input.

use std::time::Duration;

use crate::support::program::Program;
use crate::support::store::{Store, patch_of};
use crate::support::{Stage, owned};

/// A change of a file reaches the target within this time.
const SOON: Duration = Duration::from_secs(2);

/// A target, and the program with two toggles of one file.
struct Files {
    stage: Stage,
    store: Store,
    program: Program,
}

impl Files {
    /// The users are in `users.json`.
    fn new() -> Files {
        Files::at("users.json")
    }

    fn at(path: &str) -> Files {
        let stage = Stage::new();
        let store = Store::start(&stage, None);
        let url = store.url();
        let config = format!(
            "bind = \"127.0.0.1:{{port}}\"\n\
             [[sources]]\nid = \"files\"\ntype = \"file\"\npath = \"{path}\"\n\
             [target]\ntype = \"restapi\"\nendpoint_url = \"{url}\"\nread = true\n\
             [[toggles]]\nkey = \"us\"\n\
             users_policy = {{ source = \"files\", package = \"app.rbac\", rule = \"us\" }}\n\
             [[toggles]]\nkey = \"tax\"\n\
             users_policy = {{ source = \"files\", package = \"app.rbac\", rule = \"tax\" }}\n"
        );
        let program = Program::new(&stage, &config, &[]);
        Files {
            stage,
            store,
            program,
        }
    }

    fn allow(&self, us: &[&str], tax: &[&str]) {
        self.program.write("users.json", &document(us, tax));
    }

    /// Waits until the target has these users, for as long as a change may take.
    #[track_caller]
    fn wait_for(&self, key: &str, users: &[&str]) {
        let what = format!("{key} has {users:?}");
        let has = || self.store.has(key, users);
        self.stage.wait_within(SOON, &what, has);
    }

    fn updates(&self) -> usize {
        self.store.http.count(&patch_of("us")) + self.store.http.count(&patch_of("tax"))
    }
}

/// What OPA would hold.
fn document(us: &[&str], tax: &[&str]) -> String {
    format!(r#"{{"app":{{"rbac":{{"us":{us:?},"tax":{tax:?}}}}}}}"#)
}

/// What `opa eval --format json data.app.rbac` would print.
fn evaluated(us: &[&str], tax: &[&str]) -> String {
    format!(
        r#"{{"result":[{{"expressions":[{{"value":{{"us":{us:?},"tax":{tax:?}}},
        "text":"data.app.rbac","location":{{"row":1,"col":1}}}}]}}]}}"#
    )
}

const ONCE: [&str; 1] = ["sync"];

#[test]
fn a_pass_takes_the_users_from_the_file() {
    let files = Files::new();
    files.allow(&["bob", "ann", "bob"], &[]);
    files.store.put("tax", &["eve"]);
    let output = files.program.run(&ONCE).exits(0);
    output
        .reports("us +2 2 users created")
        .reports("tax -1 0 users updated");
    assert_eq!(files.store.users("us"), Some(owned(&["ann", "bob"])));
    assert_eq!(files.store.users("tax"), Some(owned(&[])));
}

#[test]
fn a_file_is_looked_for_in_the_folder_of_the_configuration() {
    let files = Files::at("/dev/null");
    let output = files.program.run(&ONCE).exits(1);
    output.says("file /dev/null cannot be read: not a regular file");
    let files = Files::at("folder/users.json");
    let output = files.program.run(&ONCE).exits(1);
    output.says("folder/users.json cannot be read: no such file");
}

#[test]
fn opa_eval_can_be_piped_into_a_dry_run() {
    let files = Files::at("-");
    let input = evaluated(&["ann"], &["bob"]);
    let dry_run = ["sync", "--dry-run", "--exit-code"];
    let output = files.program.run_with(&input, &dry_run).exits(3);
    output
        .reports_start("us +1 1 user")
        .reports_start("tax +1 1 user");
    assert_eq!(files.store.http.count("POST *"), 0);
    files.program.run_with(&input, &ONCE).exits(0);
    assert_eq!(files.store.users("us"), Some(owned(&["ann"])));
    assert_eq!(files.store.users("tax"), Some(owned(&["bob"])));
}

#[test]
fn opa_eval_can_be_piped_into_an_explanation() {
    let files = Files::at("-");
    files.store.put("us", &["ann"]);
    let explain = ["explain", "us", "ann"];
    let output = files.program.run_with(&evaluated(&["ann"], &[]), &explain);
    output.exits(0).says("us for ann: on, as the rule says\n");
}

#[test]
fn what_is_wrong_with_standard_input_is_told_at_once() {
    let files = Files::at("-");
    files.store.put("us", &["ann"]);
    for (input, why) in [
        (
            "",
            "standard input is empty: did the command that writes it fail?",
        ),
        ("{\"app\":", "standard input is cut off (line 1 column 7)"),
        ("{}", "rule data.app.rbac.us is undefined"),
        (
            "{\"app\":{},\"app\":{}}",
            "standard input has the member `app` twice",
        ),
        ("app:\n", "standard input is YAML: write it as JSON"),
        ("{\0}\0", "standard input is UTF-16 text: save it as UTF-8"),
        (
            "{\"errors\":[{\"message\":\"no such package\"}]}",
            "standard input contains errors of opa eval instead of users: no such package",
        ),
    ] {
        let output = files.program.run_with(input, &ONCE).exits(1);
        output.says(why).sums_up("2 toggles: 2 failed");
    }
    assert_eq!(files.store.users("us"), Some(owned(&["ann"])));
}

#[test]
fn serve_refuses_to_follow_standard_input() {
    let output = Files::at("-").program.run(&["serve"]).exits(2);
    output
        .complains("source files reads standard input (`path = \"-\"`), which serve cannot follow");
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let files = Files::new();
    let text = ["\u{feff}", &document(&["ann"], &["eve"])].concat();
    files.program.write("users.json", &text);
    files.program.run(&ONCE).exits(0);
    assert_eq!(files.store.users("us"), Some(owned(&["ann"])));
}

#[test]
fn a_file_that_is_itself_a_mount_point_and_was_replaced_behind_it_is_an_error() {
    let files = Files::new();
    files.allow(&["ann"], &[]);
    files.program.write("host.json", &document(&["bob"], &[]));
    let replaced = "mount --bind host.json users.json; rm host.json; touch host.json";
    if let Some(output) = files.program.run_among_mounts(replaced, &ONCE) {
        output.exits(1).says(
            "file users.json cannot be read: it is itself a mount point, and what was mounted",
        );
    }
}

#[test]
fn a_file_that_is_being_written_is_waited_for_until_the_timeout() {
    let files = Files::new();
    files.program.write("users.json", "{\"app\":{\"rb");
    let output = files.program.run(&["sync", "--timeout", "100ms"]);
    output
        .exits(1)
        .says("file users.json is cut off (line 1 column 11)");
    let sync = files.program.spawn(&ONCE);
    let retries = || sync.stderr().contains("reading failed source=files");
    files.stage.wait_until("it has read the file", retries);
    files.allow(&["ann"], &["eve"]);
    let output = sync.wait_exit(Duration::from_secs(10)).exits(0);
    // The first pass has created it, and the server tells no users of it.
    output.reports("us ? 1 user set");
}

#[test]
fn serve_follows_a_change_and_sends_nothing_where_the_users_are_the_same() {
    let files = Files::new();
    files.allow(&["ann"], &[]);
    let daemon = files.program.serve(&[]);
    daemon.wait_healthy();
    files.wait_for("us", &["ann"]);
    // Of the same length, so that the time of the change is all that tells.
    for user in ["bob", "eve", "zoe"] {
        files.allow(&[user], &[]);
        files.wait_for("us", &[user]);
    }
    let sent = files.updates();
    files.program.write("users.json", &evaluated(&["zoe"], &[]));
    let passes = || daemon.process.stderr().matches("cause=changed").count() >= 4;
    files
        .stage
        .wait_within(SOON, "it has read the file", passes);
    assert_eq!(files.updates(), sent);
    assert_eq!(daemon.status()["sources"][0]["type"], "file");
}

#[test]
fn serve_keeps_what_is_there_while_the_file_is_cut_off_or_gone() {
    let files = Files::new();
    files.allow(&["ann"], &["ann"]);
    let daemon = files.program.serve(&[]);
    daemon.wait_healthy();
    // Healthy is also who has yet to tell the users.
    files.wait_for("us", &["ann"]);
    files.wait_for("tax", &["ann"]);
    let sent = files.updates();
    let whole = document(&["ann"], &["ann"]);
    files.program.write("users.json", &whole[..whole.len() - 3]);
    daemon.wait_failing();
    let reasons = daemon.get("/health").text();
    assert!(
        reasons.contains("source files: reading: answer not understood"),
        "{reasons}"
    );
    files.allow(&["bob"], &["ann"]);
    files.wait_for("us", &["bob"]);
    daemon.wait_healthy();
    files.program.remove("users.json");
    daemon.wait_failing();
    let reasons = daemon.get("/health").text();
    assert!(
        reasons.contains("source files: reading: the file cannot be read"),
        "{reasons}"
    );
    files.allow(&["bob"], &["ann"]);
    daemon.wait_healthy();
    assert_eq!(files.updates(), sent + 1, "nobody lost anything meanwhile");
    daemon.terminate().exits(0);
}

#[test]
fn serve_starts_without_the_file_and_takes_it_when_it_comes() {
    let files = Files::new();
    let daemon = files.program.serve(&[]);
    daemon.wait_failing();
    assert_eq!(daemon.get("/health/started").status, 503);
    files.allow(&["ann"], &[]);
    files.wait_for("us", &["ann"]);
    daemon.wait_healthy();
}

#[test]
fn check_config_reads_the_file_with_online_alone() {
    let files = Files::new();
    files.program.run(&["check-config"]).exits(0);
    let online = ["check-config", "--online"];
    let output = files.program.run(&online).exits(1);
    output
        .says("file                     failed: file users.json cannot be read: no such file")
        .says(
            "rule data.app.rbac.us    failed: not asked: the file failed (the file cannot be read)",
        );
    files
        .program
        .write("users.json", r#"{"app":{"rbac":{"us":["ann"]}}}"#);
    let output = files.program.run(&online).exits(1);
    output
        .says("source files     file                     ok: 31 bytes\n")
        .says("toggle us        rule data.app.rbac.us    ok: 1 user\n")
        .says("toggle tax       rule data.app.rbac.tax   failed: rule data.app.rbac.tax is undefined: is its policy loaded, and its name spelled correctly?\n");
    let output = Files::at("-").program.run(&online).exits(0);
    output.says("file           ok: standard input (sync reads it)");
}
