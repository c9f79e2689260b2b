//! A reload while something else goes on.

use super::toggle;
use crate::support::store::patch_of;
use crate::support::{Fault, World};

/// The same with one toggle more.
fn one_more(config: &str) -> String {
    format!("{config}{}", toggle("new", "main"))
}

#[test]
fn while_opal_is_down_from_the_start() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world.opa.allow("new", &["eve"]);
    world.opal.http.stop();
    let daemon = world.serve();
    daemon.wait_failing();
    world.reload(&daemon, one_more);
    assert_eq!(daemon.health(), 500, "what fails goes on to fail");
    assert_eq!(daemon.get("/health/started").status, 503);
    world.opal.http.start();
    world.wait_for_users("us", &["ann"]);
    world.wait_for_users("new", &["eve"]);
    daemon.wait_healthy();
}

#[test]
fn while_opa_is_not_ready_after_a_restart() {
    let plan = World::of(&["us"]);
    let world = plan.source_setting("wait_until_ready = true").build();
    world.opa.set_ready(Some(true));
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    // An OPA that has told its readiness once and no longer does was restarted.
    world.opa.set_ready(None);
    world.opa.allow("us", &[]);
    let sent = world.updates("us");
    world.opal.call_back();
    world.reload(&daemon, str::to_owned);
    world.stays("nobody loses anything", || world.updates("us") == sent);
    world.opa.allow("us", &["bob"]);
    world.opa.set_ready(Some(true));
    world.wait_for_users("us", &["bob"]);
}

#[test]
fn many_in_a_row_with_callbacks_in_between() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    for round in 0..20 {
        let config = world.program.config();
        let config = if round % 2 == 0 {
            one_more(config)
        } else {
            config.to_owned()
        };
        world.program.reload(&daemon, &config);
        world.change("us", &[&format!("user-{round}")]);
    }
    world.wait_for_users("us", &["user-19"]);
    daemon.wait_healthy();
    daemon.terminate().exits(0);
    assert!(world.opal.keys().is_empty());
}

#[test]
fn while_it_ends() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    world.store.http.next(1, &patch_of("us"), Fault::Hang);
    world.change("us", &["bob"]);
    daemon.process.signal(rustix::process::Signal::TERM);
    world.program.reload(&daemon, world.program.config());
    daemon
        .process
        .wait_exit(std::time::Duration::from_millis(10_500))
        .exits(0);
}
