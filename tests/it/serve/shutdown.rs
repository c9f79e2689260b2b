//! Being told to stop.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::store::patch_of;
use crate::support::{Hold, Server, World};

fn serving() -> World {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    world
}

#[test]
fn either_signal_unregisters_and_exits_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = serving();
        let daemon = world.serve_in_step();
        let start = Instant::now();
        daemon.process.signal(signal);
        daemon.process.wait_exit(Duration::from_secs(3)).exits(0);
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "nothing to wait for"
        );
        assert!(world.opal.keys().is_empty());
        assert_eq!(world.opal.http.count("DELETE *"), 1);
    }
}

#[test]
fn all_sources_are_left() {
    let world = World::of(&["us"]).and_other(&["beta"]).build();
    let other = world.other.as_ref().unwrap();
    world.opa.allow("us", &["ann"]);
    other.opa.allow("beta", &["ann"]);
    let daemon = world.serve_in_step();
    // Both wait for each other: only a program that leaves all at once gets away.
    let holds = [&world.opal.http, &other.opal.http].map(|opal| opal.hold("GET /callbacks/*"));
    daemon.process.signal(Signal::TERM);
    let asked = |server: &Server| server.count("GET /callbacks/*") == 1;
    world.wait_until("both are asked", || {
        asked(&world.opal.http) && asked(&other.opal.http)
    });
    holds.iter().for_each(Hold::release);
    daemon.process.wait_exit(Duration::from_secs(3)).exits(0);
    assert!(world.opal.keys().is_empty() && other.opal.keys().is_empty());
}

#[test]
fn a_registration_of_somebody_else_is_left_alone() {
    let world = serving();
    let daemon = world.serve_in_step();
    let key = world.opal.keys().concat();
    world.opal.take_over(&key);
    daemon.terminate().exits(0);
    assert_eq!(world.opal.keys(), [key]);
    assert_eq!(world.opal.http.count("DELETE *"), 0);
}

#[test]
fn requests_in_flight_end_before_the_program_does() {
    let world = serving();
    let daemon = world.serve_in_step();
    let hold = world.store.http.hold_next(&patch_of("us"));
    world.change("us", &["bob"]);
    world.wait_until("an update is in flight", || world.updates("us") == 2);
    daemon.process.signal(Signal::TERM);
    world.wait_until("it has left OPAL", || world.opal.keys().is_empty());
    world.stays("it waits for the update", || daemon.process.is_running());
    hold.release();
    let output = daemon.process.wait_exit(Duration::from_secs(3)).exits(0);
    assert_eq!(
        world.store.http.answered(&patch_of("us")),
        2,
        "{}",
        output.picture()
    );
}
