//! The owner's mark, and the flags that carry it and are no longer in the configuration.

use std::os::unix::fs::symlink;

use super::*;

const MARK: &str = "payments";

const PEOPLE: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// With an owner.
fn owned(top: &str, us: &str) -> Flags {
    let mut flags = Flags::with(top, us);
    let target = "type = \"flagd\"\n";
    let config = flags.program.config();
    let config = config.replace(target, &format!("{target}owner = \"{MARK}\"\n"));
    flags.program.set_config(&config);
    flags
}

/// The configuration without `tax`, which is its last toggle.
fn without_tax(flags: &Flags) -> String {
    let config = flags.program.config();
    let (kept, _) = config.split_once("[[toggles]]\nkey = \"tax\"").unwrap();
    kept.to_owned()
}

/// As `flag`, with the mark.
fn marked(users: &[&str]) -> Value {
    let mut flag = flag(users);
    flag["metadata"] = json!({ "optoggles": MARK });
    flag
}

#[test]
fn flags_carry_the_mark_beside_their_metadata() {
    let spec = "[toggles.spec.metadata]\nteam = \"growth\"";
    let flags = owned("", spec);
    flags.allow(&["ann"], &["bob"]);
    let mut tax = flag(&["bob"]);
    tax["metadata"] = json!({ "rank": 1.50, "team": "money" });
    let mut us = flag(&["ann"]);
    us["metadata"] = json!({ "rank": 3 });
    let foreign = flag(&["zoe"]);
    let text = json!({ "flags": { "tax": tax, "us": us, "foreign": foreign } });
    flags.write(&text.to_string());
    let output = flags.sync();
    output.sums_up("2 toggles: 2 updated");
    tax["metadata"]["optoggles"] = json!(MARK);
    us["metadata"] = json!({ "team": "growth", "optoggles": MARK });
    let expected = json!({ "tax": tax, "us": us, "foreign": foreign });
    assert_eq!(flags.json()["flags"], expected);
    flags.sync().sums_up("2 toggles: 2 unchanged");
    flags.by_hand(|flags| *flags = json!({}));
    flags.sync().sums_up("2 toggles: 2 created");
    assert_eq!(flags.json()["flags"]["tax"], marked(&["bob"]));
}

#[test]
fn a_flag_that_leaves_is_for_nobody_and_all_else_stays_as_it_was_written() {
    let mut flags = owned("", "");
    flags.allow(&["ann"], &["bob", "cid"]);
    flags.sync();
    let foreign = "{\"state\" : \"DISABLED\", \"metadata\":{\"optoggles\":\"growth\",\"n\":1e2}}";
    let text = flags.text();
    let (head, tail) = text.split_once("\"flags\": {").unwrap();
    flags.write(&format!("{head}\"flags\": {{\"foreign\": {foreign},{tail}"));
    let all = flags.program.config().to_owned();
    flags.program.set_config(&without_tax(&flags));
    let before = flags.text();
    let output = flags.program.run(&["sync", "--dry-run", "--exit-code"]);
    output.exits(3).reports("tax -2 0 users would be retired");
    assert_eq!(flags.text(), before);
    let output = flags.sync();
    output
        .reports("tax -2 0 users retired")
        .sums_up("2 toggles: 1 unchanged, 1 retired");
    assert_eq!(flags.json()["flags"]["tax"], marked(&[]));
    assert_eq!(flags.json()["flags"]["us"], marked(&["ann"]));
    assert!(flags.text().contains(foreign), "{}", flags.text());
    let after = flags.text();
    flags.sync().sums_up("1 toggle: 1 unchanged");
    assert_eq!(flags.text(), after);
    flags.program.set_config(&all);
    flags.sync().reports("tax +2 2 users updated");
    assert_eq!(flags.json()["flags"]["tax"], marked(&["bob", "cid"]));
}

#[test]
fn serve_retires_after_a_reload_and_what_is_turned_on_again() {
    let flags = owned("resync_interval = \"1s\"", "");
    flags.allow(&["ann"], &["bob"]);
    let daemon = flags.program.serve(&[]);
    daemon.wait_healthy();
    let all = flags.program.config().to_owned();
    flags.program.reload(&daemon, &without_tax(&flags));
    let is = |users: &[&str]| {
        let text = fs::read(flags.path()).unwrap();
        let flags: Value = serde_json::from_slice(&text).unwrap();
        flags["flags"]["tax"] == marked(users)
    };
    flags.stage.wait_until("it is for nobody", || is(&[]));
    let state = || daemon.toggle("tax")["state"].clone();
    let is_retired = || state() == "retired";
    flags.stage.wait_until("/status says so", is_retired);
    flags.by_hand(|flags| flags["tax"] = marked(&["eve"]));
    flags.stage.wait_until("it is for nobody again", || is(&[]));
    flags.program.reload(&daemon, &all);
    flags.stage.wait_until("it is back", || is(&["bob"]));
    flags
        .stage
        .wait_until("/status says so", || state() == "in sync");
    daemon.wait_healthy();
    daemon.terminate().exits(0);
}

#[test]
fn a_flag_of_another_owner_is_left_alone_and_named() {
    let flags = owned("", "");
    flags.allow(&["ann"], &["bob"]);
    let mut us = flag(&["zoe"]);
    us["metadata"] = json!({ "optoggles": "growth" });
    flags.write(&json!({ "flags": { "us": us } }).to_string());
    let words = "the flag us in file flags.json belongs to the owner growth: remove it from one of";
    let output = flags.program.run(&ONCE).exits(1);
    output
        .reports_start(&format!("us failed: {words}"))
        .reports("tax +1 1 user created");
    assert_eq!(flags.json()["flags"]["us"], us);
    let output = flags.program.run(&["check-config", "--online"]).exits(1);
    output.says(words);
}

#[test]
fn many_users_are_held_and_a_flag_that_is_not_boolean_fails_alone() {
    let mut flags = owned("", "");
    flags.allow(&["ann"], &PEOPLE);
    flags.sync();
    flags.program.set_config(&without_tax(&flags));
    let text = json!({ "variants": { "a": "x" }, "metadata": { "optoggles": MARK } });
    flags.by_hand(|flags| flags["text"] = text.clone());
    let output = flags.program.run(&ONCE).exits(1);
    output
        .reports("us = 1 user unchanged")
        .reports_start("tax held: it left the configuration: it would remove 12 of 12 users")
        .reports_start("text failed: the flag text in file flags.json is not boolean");
    assert_eq!(flags.json()["flags"]["text"], text);
    assert_eq!(flags.json()["flags"]["tax"], marked(&PEOPLE));
    let force = ["sync", "--force", "--toggle", "tax"];
    let output = flags.program.run(&force).exits(0);
    output.sums_up("1 toggle: 1 retired");
    assert_eq!(flags.json()["flags"]["tax"], marked(&[]));
}

#[test]
fn targets_with_one_file_retire_no_flag_of_each_other_whatever_they_call_it() {
    for name in ["flags.json", "link/flags.json"] {
        share_the_file(name);
    }
}

fn share_the_file(name: &str) {
    let mut flags = owned("", "");
    symlink(".", flags.program.path("link")).unwrap();
    let config = flags.program.config();
    let (head, rest) = config.split_once("[target]\n").unwrap();
    let (target, toggles) = rest.split_once("[[toggles]]\n").unwrap();
    let toggles = toggles.replace("key = \"us\"", "target = \"a\"\nkey = \"us\"");
    let toggles = toggles.replace("key = \"tax\"", "target = \"b\"\nkey = \"tax\"");
    let config = format!(
        "{head}[[targets]]\nid = \"a\"\n{target}[[targets]]\nid = \"b\"\n{}[[toggles]]\n{toggles}",
        target.replace("flags.json", name)
    );
    flags.program.set_config(&config);
    flags.allow(&["ann"], &["bob"]);
    flags.sync().sums_up("2 toggles: 2 created");
    flags.sync().sums_up("2 toggles: 2 unchanged");
    let output = flags.program.run(&["sync", "--toggle", "a/tax"]);
    output
        .exits(2)
        .complains("the configuration has no toggle `a/tax`");
    assert_eq!(flags.json()["flags"]["tax"], marked(&["bob"]));
}

#[test]
fn a_key_that_looks_like_a_name_with_a_target_is_told_apart() {
    let flags = owned("", "");
    flags.allow(&["ann"], &["bob"]);
    flags.sync();
    flags.by_hand(|flags| flags["flagd/us"] = marked(&["eve"]));
    let output = flags.sync();
    output
        .reports("us = 1 user unchanged")
        .reports("flagd/flagd/us -1 0 users retired");
}
