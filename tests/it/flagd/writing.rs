//! What is written, and when.

use std::os::unix::fs::MetadataExt;

use super::*;

#[test]
fn a_pass_writes_a_file_of_flags_that_are_on_for_exactly_the_users() {
    let flags = Flags::new();
    flags.allow(&["bob", "ann", "bob"], &[]);
    let output = flags.sync();
    output
        .reports("us +2 2 users created")
        .reports("tax = 0 users created");
    assert_eq!(
        flags.json(),
        json!({
            "$schema": "https://flagd.dev/schema/v0/flags.json",
            "flags": { "tax": flag(&[]), "us": flag(&["ann", "bob"]) },
        })
    );
}

#[test]
fn the_file_is_replaced_only_where_something_changes() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    flags.sync();
    let inode = || flags.path().metadata().unwrap().ino();
    let first = inode();
    let output = flags.sync();
    output.sums_up("2 toggles: 2 unchanged");
    assert_eq!(inode(), first);
    flags.allow(&["ann", "bob"], &[]);
    flags.sync();
    assert_ne!(inode(), first);
    let left = flags.path().parent().unwrap().read_dir().unwrap();
    let left: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("optoggles-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_thousand_new_toggles_are_a_few_writes() {
    let keys: Vec<String> = (0..1000).map(|number| format!("toggle_{number}")).collect();
    let toggle = |key: &String| {
        format!(
            "[[toggles]]\nkey = \"{key}\"\n\
             users_policy = {{ source = \"files\", package = \"app\", rule = \"{key}\" }}\n"
        )
    };
    let more: String = keys.iter().map(toggle).collect();
    let flags = Flags::with("", &more);
    let users = keys.iter().map(|key| (key.clone(), json!(["ann"])));
    let mut app = Value::from_iter(users);
    app["rbac"] = json!({ "us": [], "tax": [] });
    flags
        .program
        .write("users.json", &json!({ "app": app }).to_string());
    let output = flags.program.run(&["-v", "sync"]).exits(0);
    let writes = output.stderr.matches("wrote file").count();
    assert!((1..50).contains(&writes), "{writes}");
    assert!(flags.is_on_for("toggle_999", &["ann"]));
}

#[test]
fn one_user_more_is_one_line_more_for_a_commit() {
    let flags = Flags::new();
    flags.allow(&["ann", "eve"], &["ann"]);
    flags.sync();
    let before = flags.text();
    flags.allow(&["ann", "bob", "eve"], &["ann"]);
    flags.sync();
    let after = flags.text();
    let lines: Vec<&str> = after.lines().collect();
    let new: Vec<&&str> = lines.iter().filter(|line| line.contains("bob")).collect();
    assert_eq!(new.len(), 1);
    assert_eq!(after.replacen(&format!("{}\n", new[0]), "", 1), before);
}

#[test]
fn metadata_of_the_spec_are_those_of_the_flag() {
    let spec = "[toggles.spec.metadata]\nteam = \"growth\"\nrank = 3\nlive = true";
    let flags = Flags::with("", spec);
    flags.allow(&["ann"], &[]);
    flags.sync();
    let metadata = json!({ "team": "growth", "rank": 3, "live": true });
    assert_eq!(flags.json()["flags"]["us"]["metadata"], metadata);
    flags.by_hand(|flags| {
        flags["us"]["metadata"] = json!({ "team": "other" });
        flags["tax"]["metadata"] = json!({ "owner": "money" });
    });
    let output = flags.sync();
    output
        .reports("us = 1 user updated (metadata)")
        .reports("tax = 0 users unchanged");
    assert_eq!(flags.json()["flags"]["us"]["metadata"], metadata);
    let kept = json!({ "owner": "money" });
    assert_eq!(flags.json()["flags"]["tax"]["metadata"], kept);
}

#[test]
fn explain_does_not_take_the_users_of_a_disabled_flag_for_those_who_have_it() {
    let flags = Flags::new();
    flags.allow(&["ann"], &[]);
    flags.sync();
    let explain = || flags.program.run(&["explain", "us", "ann"]);
    explain()
        .exits(0)
        .says("us for ann: on, as the rule says\n");
    flags.by_hand(|flags| flags["us"]["state"] = json!("DISABLED"));
    explain()
        .exits(1)
        .says("\n  flagd   ?     something other than");
}

#[test]
fn whatever_was_changed_by_hand_is_put_back() {
    let flags = Flags::new();
    flags.allow(&["ann", "bob"], &["eve"]);
    flags.sync();
    let right = flags.json();
    for change in [
        |us: &mut Value| us["state"] = json!("DISABLED"),
        |us: &mut Value| us["defaultVariant"] = json!("on"),
        |us: &mut Value| us["variants"] = json!({ "on": false, "off": true }),
        |us: &mut Value| us["variants"]["third"] = json!(true),
        |us: &mut Value| us["targeting"] = json!({}),
        |us: &mut Value| us["targeting"]["if"][0]["in"][1] = json!(["mallory"]),
        |us: &mut Value| us["targeting"]["if"][0]["in"][1][1] = json!(7),
        |us: &mut Value| us["targeting"]["if"][1] = json!("off"),
        |us: &mut Value| us["targeting"]["if"][2] = json!("on"),
        |us: &mut Value| us["targeting"]["if"][0]["in"][0] = json!({ "var": "email" }),
        |us: &mut Value| us["targeting"]["or"] = json!([true]),
    ] {
        flags.by_hand(|flags| change(&mut flags["us"]));
        let output = flags.sync();
        output.sums_up("2 toggles: 1 updated, 1 unchanged");
        assert_eq!(flags.json(), right);
    }
    flags.by_hand(|flags| *flags = json!({}));
    flags.sync().sums_up("2 toggles: 2 created");
    assert_eq!(flags.json(), right);
}

#[test]
fn serve_follows_the_policy_and_looks_for_changes_by_hand() {
    let flags = Flags::with("resync_interval = \"1s\"", "");
    flags.allow(&["ann"], &[]);
    let daemon = flags.program.serve(&[]);
    daemon.wait_healthy();
    flags.allow(&["ann", "bob"], &["eve"]);
    let follows = || flags.is_on_for("us", &["ann", "bob"]) && flags.is_on_for("tax", &["eve"]);
    let what = "both changes are in the file";
    flags.stage.wait_until(what, follows);
    flags.by_hand(|flags| flags["us"]["state"] = json!("DISABLED"));
    flags.stage.wait_until("the flag is put back", follows);
    fs::remove_file(flags.path()).unwrap();
    flags.stage.wait_until("the file is back", follows);
    daemon.terminate().exits(0);
}
