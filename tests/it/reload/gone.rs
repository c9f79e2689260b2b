//! Failures of what a reload takes out of the configuration.

use super::toggle;
use crate::support::opa::{READY, query_of};
use crate::support::store::patch_of;
use crate::support::{Fault, World};

/// The configuration without this toggle, which is the last one.
fn without(config: &str, key: &str) -> String {
    let start = format!("[[toggles]]\nkey = \"{key}\"");
    let (before, _) = config.split_once(&start).unwrap();
    before.to_owned()
}

/// What can be wrong with an OPA.
#[derive(Clone, Copy)]
enum Wrong {
    Down,
    Unready,
    Broken,
}

#[test]
fn a_source_whose_last_toggle_goes_while_its_opa_fails_is_well_again() {
    for wrong in [Wrong::Down, Wrong::Unready, Wrong::Broken] {
        let world = World::of(&["us"]).and_other(&["beta"]).build();
        let other = world.other.as_ref().unwrap();
        world.opa.allow("us", &["ann"]);
        other.opa.allow("beta", &["ann"]);
        let daemon = world.serve_in_step();
        match wrong {
            Wrong::Down => other.opa.http.stop(),
            Wrong::Unready => other.opa.http.always(READY, Fault::status(500)),
            Wrong::Broken => other.opa.http.always(&query_of("beta"), Fault::Close),
        }
        other.opal.call_back();
        daemon.wait_failing();
        world.reload(&daemon, |config| without(config, "beta"));
        daemon.wait_healthy();
        world.wait_until("the source is well", || {
            daemon.status()["sources"][1]["state"] == "connected"
        });
        match wrong {
            Wrong::Down => other.opa.http.start(),
            Wrong::Unready | Wrong::Broken => other.opa.http.heal(),
        }
        other.opa.allow("beta", &["zoe"]);
        world.reload(&daemon, str::to_owned);
        world.wait_for_users("beta", &["zoe"]);
        daemon.wait_healthy();
    }
}

#[test]
fn a_pause_goes_on_to_be_told_when_the_toggle_that_met_it_is_gone() {
    let world = World::of(&["us", "gone"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("gone", &["ann"]);
    let daemon = world.serve_in_step();
    let later = Fault::retry_after(429, "60");
    world.store.http.next(1, &patch_of("gone"), later);
    world.change("gone", &["bob"]);
    world.wait_until("the target is paused", || {
        daemon.target()["state"] == "paused"
    });
    world.reload(&daemon, |config| without(config, "gone"));
    // Nothing waits for its end.
    daemon.wait_healthy();
    world.change("us", &["bob"]);
    daemon.wait_failing();
    let health = daemon.get("/health").text();
    assert!(
        health.contains("\"target restapi: paused: answered 429\""),
        "{health}"
    );
    world.reload(&daemon, |config| {
        format!("{}{}", without(config, "gone"), toggle("new", "main"))
    });
    let health = daemon.get("/health").text();
    assert!(
        health.contains("\"target restapi: paused: answered 429\""),
        "{health}"
    );
}
