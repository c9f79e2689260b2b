//! Every kind of difference between two configurations.

use serde_json::json;

use super::{toggle, without_other};
use crate::support::World;
use crate::support::opa::Opa;
use crate::support::opal::Opal;
use crate::support::store::Store;

#[test]
fn nothing_is_sent_where_nothing_differs() {
    let world = World::of(&["us"]).readable().build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let (asked, sent) = (world.opal.http.count("*"), world.store.http.count("*"));
    let queries = world.queries("us");
    world.reload(&daemon, str::to_owned);
    world.wait_until("a pass is run", || world.queries("us") > queries);
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    assert_eq!(world.opal.http.count("*"), asked, "OPAL is not asked again");
    assert_eq!(world.store.http.count("*"), sent + 1, "but for the change");
    assert_eq!(daemon.get("/health/started").status, 200);
}

#[test]
fn a_new_toggle_is_created_and_one_that_goes_is_left_as_it_is() {
    let world = World::of(&["us", "old"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("old", &["ann"]);
    world.opa.allow("new", &["eve"]);
    let daemon = world.serve_in_step();
    let was = world.updates("old");
    world.reload(&daemon, |config| {
        let (before, _) = config.split_once("[[toggles]]\nkey = \"old\"").unwrap();
        format!("{before}{}", toggle("new", "main"))
    });
    world.wait_for_users("new", &["eve"]);
    world.change("old", &["bob"]);
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    assert_eq!(world.updates("old"), was);
    assert!(world.store.has("old", &["ann"]));
    assert_eq!(daemon.toggle("old"), json!(null));
    let log = daemon.terminate().exits(0);
    log.complains("toggle old is no longer kept: at the target it stays as it is");
}

#[test]
fn a_source_that_goes_is_left_and_a_new_one_is_registered_with() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    world.opa.allow("us", &["ann"]);
    let other = world.other.as_ref().unwrap();
    other.opa.allow("beta", &["ann"]);
    let opa = Opa::start(&world.stage, None);
    let opal = Opal::start(&world.stage, None, &opa.http.url(), None);
    opa.allow("new", &["eve"]);
    let daemon = world.serve_in_step();
    assert_eq!(other.opal.keys().len(), 1);
    world.reload(&daemon, |config| {
        let third = format!(
            "[[sources]]\nid = \"third\"\nurl = \"{}\"\n\
             advertised_address = \"127.0.0.1:{{port}}\"\n[target]",
            opal.http.url()
        );
        without_other(config).replace("[target]", &third) + &toggle("new", "third")
    });
    world.wait_for_users("new", &["eve"]);
    world.wait_until("the old source is left", || other.opal.keys().is_empty());
    assert_eq!(world.opal.keys().len(), 1);
    opa.allow("new", &["zoe"]);
    assert_eq!(opal.call_back()[0].status, 202);
    world.wait_for_users("new", &["zoe"]);
    let authorization = opal.authorization();
    let headers = [("Authorization", authorization.as_str())];
    assert_eq!(daemon.post("/opa_update/other", &headers).status, 404);
    let log = daemon.terminate().exits(0);
    log.complains("source other is no longer used");
    assert!(opal.keys().is_empty() && world.opal.keys().is_empty());
}

#[test]
fn a_source_that_is_elsewhere_now_is_left_where_it_was() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let opa = Opa::start(&world.stage, None);
    let opal = Opal::start(&world.stage, None, &opa.http.url(), None);
    opa.allow("us", &["eve"]);
    let daemon = world.serve_in_step();
    let url = opal.http.url();
    world.reload(&daemon, |config| {
        config
            .replace(&world.opal.http.url(), &url)
            .replace("token = \"${OPAL_TOKEN}\"\n", "")
    });
    world.wait_for_users("us", &["eve"]);
    world.wait_until("the registration moves", || {
        world.opal.keys().is_empty() && opal.keys().len() == 1
    });
}

#[test]
fn a_registration_under_the_same_key_is_replaced_and_not_taken_back() {
    let world = World::of(&["us"])
        .source_setting("instance = \"a\"")
        .build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let registered = world.opal.http.count("POST /callbacks");
    world.reload(&daemon, |config| {
        config.replace(
            "instance = \"a\"",
            "instance = \"a\"\nwait_until_ready = false",
        )
    });
    world.wait_until("it registers again", || {
        world.opal.http.count("POST /callbacks") > registered
    });
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
    assert_eq!(world.opal.http.count("DELETE *"), 0);
    assert_eq!(world.opal.keys(), ["optoggles:main:a"]);
}

#[test]
fn another_rule_and_another_spec_are_taken_over() {
    let world = World::of(&["us"]).spec("us", "name = \"one\"").build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("them", &["zoe"]);
    let daemon = world.serve_in_step();
    world.reload(&daemon, |config| {
        let config = config.replace("name = \"one\"", "name = \"two\"");
        config.replace("rule = \"us\"", "rule = \"them\"")
    });
    world.wait_for_users("us", &["zoe"]);
    world.wait_until("the spec is sent", || {
        world.store.toggle("us").unwrap()["name"] == "two"
    });
}

#[test]
fn another_target_gets_all_toggles_and_the_old_one_keeps_its() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let store = Store::start(&world.stage, None);
    world.reload(&daemon, |config| {
        config.replace(&world.store.url(), &store.url())
    });
    world.wait_until("the new target has it", || store.has("us", &["ann"]));
    world.change("us", &["bob"]);
    world.wait_until("the new target follows", || store.has("us", &["bob"]));
    assert!(world.store.has("us", &["ann"]));
    let log = daemon.terminate().exits(0);
    log.complains("target restapi has changed: the toggles at the old one stay as they are");
}

#[test]
fn another_interval_for_resyncs_counts_from_the_reload() {
    let world = World::of(&["us"])
        .setting("resync_interval = \"0s\"")
        .readable()
        .build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.store.put("us", &["mallory"]);
    world.reload(&daemon, |config| {
        config.replace("resync_interval = \"0s\"", "resync_interval = \"1s\"")
    });
    world.wait_for_users("us", &["ann"]);
}

#[test]
fn a_secret_that_was_rotated_in_its_file_is_read_again() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let config = world
        .program
        .config()
        .replace("${FLAGS_TOKEN}", "${file:flags-token}");
    let token = world.program.path("flags-token");
    std::fs::write(&token, "outdated\n").unwrap();
    let daemon = world.serve();
    world.program.reload(&daemon, &config);
    daemon.wait_failing();
    std::fs::write(&token, format!("{}\n", crate::support::world::FLAGS_TOKEN)).unwrap();
    world.program.reload(&daemon, &config);
    world.wait_for_users("us", &["ann"]);
    daemon.wait_healthy();
}

#[test]
fn sync_without_once_takes_over_another_file_too() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("new", &["eve"]);
    let sync = world.spawn_sync(&["--interval", "1h"]);
    world.wait_for_users("us", &["ann"]);
    let config = format!("{}{}", world.program.config(), toggle("new", "main"));
    world
        .program
        .write("optoggles.toml", &config.replace("{port}", "1"));
    sync.signal(rustix::process::Signal::HUP);
    world.wait_for_users("new", &["eve"]);
    sync.signal(rustix::process::Signal::TERM);
    sync.wait_exit(std::time::Duration::from_secs(10)).exits(0);
}
