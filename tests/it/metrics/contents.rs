//! What is in a scrape, and what is not: no user, no token, no URL.

use super::{Scrape, wait_for};
use crate::support::{Fault, World};

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
    let refused = r#"optoggles_requests_total{method="PATCH",peer="target restapi",status="401"}"#;
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
