//! What the limit counts from: what the target tells, and what was sent before.

use serde_json::json;

use crate::support::program::{Daemon, Program};
use crate::support::{Stage, World};

#[test]
fn a_toggle_of_which_the_server_tells_no_users_is_one_whose_users_are_not_known() {
    for members in [json!({}), json!({ "users": null })] {
        let world = World::of(&["us"]).readable();
        let world = world.setting("max_removal = \"50%\"").build();
        world.store.put_members("us", members);
        world.opa.allow("us", &[]);
        let held = "us held: it would leave no users, and it is not known who has the toggle";
        world.sync(&[]).exits(1).reports_start(held);
        assert_eq!(world.updates("us"), 0);
        world.opa.allow("us", &["ann"]);
        world.sync(&[]).exits(0).reports("us ? 1 user set");
        assert!(world.store.has("us", &["ann"]));
    }
}

#[test]
fn a_toggle_that_was_created_without_users_is_known_to_have_none() {
    let world = World::of(&["us"]).readable().build();
    world.opa.allow("us", &[]);
    world.sync(&[]).exits(0).reports("us = 0 users created");
    world.sync(&[]).exits(0).reports("us = 0 users unchanged");
}

#[test]
fn an_answer_about_another_toggle_is_a_failure_that_says_so() {
    let world = World::of(&["us"]).readable().build();
    let other = json!({ "key": "them", "users": ["ann", "bob"] });
    world.store.put_members("us", other);
    world.opa.allow("us", &[]);
    let output = world.sync(&[]).exits(1);
    output.says("us   failed: GET ").says("has another `key`");
    assert_eq!(world.updates("us"), 0);
}

/// A toggle that four have, of whom a change to one is held; and then another configuration.
#[track_caller]
fn is_held_after(first: impl FnOnce(&str) -> String, then: impl FnOnce(&str) -> String) {
    let world = World::of(&["us"])
        .readable()
        .setting("max_removal = \"50%\"")
        .build();
    let everybody = ["ann", "bob", "cid", "dan"];
    world.opa.allow("us", &everybody);
    let daemon = world.serve_in_step();
    let reload = |config: &str| {
        let reloads = || daemon.process.stderr().matches("reloaded sources=").count();
        let before = reloads();
        world.program.reload(&daemon, config);
        world.wait_until("it is taken over", || reloads() > before);
    };
    let config = first(world.program.config());
    reload(&config);
    world.wait_until("it is in sync with all of them", || {
        daemon
            .process
            .stderr()
            .contains("pass source=main cause=reload")
    });
    world.change("us", &["ann"]);
    daemon.wait_failing();
    let queries = world.queries("us");
    reload(&then(&config));
    world.wait_until("OPA is asked again", || world.queries("us") > queries);
    let is_held = |daemon: &Daemon| daemon.toggle("us")["state"] == "held";
    world.wait_until("it is held", || is_held(&daemon));
    world.stays("it is held", || is_held(&daemon));
    assert!(world.store.has("us", &everybody));
}

#[test]
fn a_target_that_is_read_no_longer_or_with_another_header_keeps_what_is_held() {
    is_held_after(str::to_owned, |config| {
        let config = config.replace("read = true", "read = false");
        config.replace("extra_headers = {", "extra_headers = { X-Team = \"a\",")
    });
}

#[test]
fn a_target_whose_address_is_spelled_otherwise_keeps_what_is_held() {
    let unread = |config: &str| config.replace("read = true", "read = false");
    let localhost = |config: &str, name: &str| {
        let (before, target) = config.split_once("[target]").unwrap();
        format!("{before}[target]{}", target.replace("127.0.0.1", name))
    };
    is_held_after(unread, |config| {
        config.replace("/api/toggles\"", "/api/toggles/\"")
    });
    is_held_after(
        |config| localhost(&unread(config), "localhost"),
        |config| config.replace("//localhost:", "//LocalHost:"),
    );
    is_held_after(unread, |config| localhost(config, "ann:secret@127.0.0.1"));
}

/// The flags of a file that flagd reads, edited by hand, and a rule that allows nobody any more.
#[track_caller]
fn is_held_in_a_file(edit: impl FnOnce(&mut serde_json::Value)) {
    let stage = Stage::new();
    let config = "bind = \"127.0.0.1:{port}\"\nmax_removal = \"50%\"\n\
                  [[sources]]\nid = \"files\"\ntype = \"file\"\npath = \"users.json\"\n\
                  [target]\ntype = \"flagd\"\npath = \"flags.json\"\n[[toggles]]\nkey = \"us\"\n\
                  users_policy = { source = \"files\", package = \"app\", rule = \"us\" }\n";
    let program = Program::new(&stage, config, &[]);
    let allow = |users: &[&str]| {
        let document = json!({ "app": { "us": users } });
        program.write("users.json", &document.to_string());
    };
    let once = ["sync"];
    allow(&["ann", "bob"]);
    program.run(&once).exits(0);
    let text = std::fs::read_to_string(program.path("flags.json")).unwrap();
    let mut flags: serde_json::Value = serde_json::from_str(&text).unwrap();
    edit(&mut flags["flags"]["us"]);
    let edited = flags.to_string();
    program.write("flags.json", &edited);
    allow(&[]);
    program.run(&once).exits(1).reports_start("us held: ");
    let text = std::fs::read_to_string(program.path("flags.json")).unwrap();
    assert_eq!(text, edited);
}

#[test]
fn a_flag_in_a_file_that_somebody_edited_is_not_taken_from_all() {
    is_held_in_a_file(|flag| {
        let ours = flag["targeting"]["if"][0].take();
        let admin = json!({ "==": [{ "var": "role" }, "admin"] });
        flag["targeting"]["if"][0] = json!({ "or": [ours, admin] });
    });
    is_held_in_a_file(|flag| flag["state"] = json!("DISABLED"));
    is_held_in_a_file(|flag| flag["defaultVariant"] = json!("on"));
}
