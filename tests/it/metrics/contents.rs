//! What is in a scrape, and what is not: nobody's name, no token, no URL; never more than there is
//! to tell.

use serde_json::{Map, json};

use super::{Scrape, wait_for};
use crate::support::program::Program;
use crate::support::{Fault, Stage, World};

/// How many toggles are many.
const MANY: usize = 1000;

#[test]
fn a_scrape_shows_no_user_no_token_and_no_url() {
    let world = World::of(&["us"])
        .setting("max_removal = \"50%\"")
        .source_setting("opa_url = \"{opa-with-password}\"")
        .build();
    world.opa.set_token(None);
    world.opa.allow("us", &["ann-hidden", "bob-hidden"]);
    let daemon = world.serve_in_step();
    world.store.http.next(1, "PATCH *", Fault::status(401));
    world.change("us", &["ann-hidden", "bob-hidden", "cid-hidden"]);
    let refused = r#"optoggles_requests_total{method="PATCH",peer="target",status="401"}"#;
    wait_for(&world, &daemon, refused, 1.0);
    daemon.wait_healthy();
    world.change("us", &["cid-hidden"]);
    daemon.wait_failing();
    let wrong = [("authorization", "Bearer brought-along")];
    daemon.post("/opa_update/brought-along", &wrong);
    let text = Scrape::of(&daemon).text;
    let authorization = world.opal.authorization();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    for hidden in [
        "-hidden",
        "://",
        "127.0.0.1",
        "/api/toggles",
        "/v1/data",
        "-of-the-tests-",
        "pass-of-ann",
        "brought-along",
        "stand-in says",
        token,
    ] {
        assert!(!text.contains(hidden), "a scrape shows {hidden}: {text}");
    }
}

#[test]
fn every_metric_has_a_help_and_a_type_and_a_name_by_the_conventions() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let scrape = Scrape::of(&daemon);
    let names = scrape.metrics();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let help = format!("# HELP {name} ");
        assert!(scrape.text.contains(&help), "{name} has no help");
        let counts = scrape.text.contains(&format!("# TYPE {name} counter"));
        assert_eq!(counts, name.ends_with("_total"), "{name}");
        let ours = name.starts_with("optoggles_") || name == "process_start_time_seconds";
        assert!(ours, "{name}");
    }
}

/// A thousand toggles with users and flags in files; the flags are as they should be.
fn many() -> (Stage, Program) {
    let stage = Stage::new();
    let mut config = "bind = \"127.0.0.1:{port}\"\n[[sources]]\nid = \"files\"\n\
                      type = \"file\"\npath = \"users.json\"\n[target]\ntype = \"flagd\"\n\
                      path = \"flags.json\"\n"
        .to_owned();
    let (mut rules, mut flags) = (Map::new(), Map::new());
    for number in 0..MANY {
        config += &format!(
            "[[toggles]]\nkey = \"feature \\\"{number}\\\"\"\nusers_policy = {{ source = \
             \"files\", package = \"app.rbac\", rule = \"rule_{number}\" }}\n"
        );
        let users = json!(["ann", "bob"]);
        let is_one = json!([{ "in": [{ "var": "targetingKey" }, users] }, "on", "off"]);
        let flag = json!({
            "state": "ENABLED",
            "variants": { "on": true, "off": false },
            "defaultVariant": "off",
            "targeting": { "if": is_one },
        });
        flags.insert(format!("feature \"{number}\""), flag);
        rules.insert(format!("rule_{number}"), users);
    }
    let program = Program::new(&stage, &config, &[]);
    let users = json!({ "app": { "rbac": rules } });
    program.write("users.json", &users.to_string());
    program.write("flags.json", &json!({ "flags": flags }).to_string());
    (stage, program)
}

#[test]
fn a_thousand_toggles_are_told_in_a_bounded_answer() {
    let (stage, program) = many();
    let daemon = program.serve(&[]);
    stage.wait_until("all has succeeded once", || {
        let scrape = Scrape::of(&daemon);
        scrape.series("optoggles_toggle_last_success_timestamp_seconds") == MANY
    });
    let scrape = Scrape::of(&daemon);
    for what in ["users", "in_sync", "held", "last_success_timestamp_seconds"] {
        let name = format!("optoggles_toggle_{what}");
        assert_eq!(scrape.series(&name), MANY, "{name}");
    }
    let key = r#"optoggles_toggle_users{source="files",toggle="feature \"999\""}"#;
    assert_eq!(scrape.get(key), Some(2.0));
    // Four series a toggle, and what there is of all of them together.
    let (series, bytes) = (scrape.samples.len(), scrape.text.len());
    assert!(series < 4 * MANY + 100, "{series} series");
    assert!(bytes < 500 * MANY, "{bytes} bytes");
}
