//! Being told to stop, whatever is going on.

use std::time::Duration;

use rustix::process::Signal;

use super::at_once;
use crate::support::opa::{READY, query_of};
use crate::support::program::Daemon;
use crate::support::store::patch_of;
use crate::support::{Fault, World};

/// What is going on when the signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    OpalIsDown,
    OpalHangs,
    OpalDoesNotRegister,
    TargetIsDown,
    CreationHangs,
    PassInFlight,
    ReadinessHangs,
    QueryHangs,
    QueryWaitsForItsRetry,
    UpdateHangs,
    UpdateWaitsForItsRetry,
    TargetIsPaused,
    LeaveHangs,
    LeaveIsRefused,
}

use Phase::*;

/// Requests that hang would do so for longer than the program may take to end.
const LONG: &str = "http_timeout = \"30s\"";

/// In these a request is out that changes something, and that nobody will ever answer.
const HANGING: [Phase; 3] = [CreationHangs, UpdateHangs, LeaveHangs];

/// In these it has nothing to wait for: answers, where they come, are of no use any more.
const QUICK: [Phase; 10] = [
    OpalIsDown,
    ReadinessHangs,
    QueryHangs,
    OpalDoesNotRegister,
    TargetIsDown,
    PassInFlight,
    QueryWaitsForItsRetry,
    UpdateWaitsForItsRetry,
    TargetIsPaused,
    LeaveIsRefused,
];

/// `serve`, in this phase.
fn serve_until(phase: Phase, world: &World) -> Daemon {
    world.opa.allow("us", &["ann"]);
    match phase {
        OpalIsDown | OpalHangs | OpalDoesNotRegister | TargetIsDown | CreationHangs => {
            start_until(phase, world)
        }
        LeaveHangs | LeaveIsRefused => {
            let daemon = world.serve_in_step();
            match phase {
                LeaveHangs => world.opal.http.always("*", Fault::Hang),
                _ => world.opal.http.stop(),
            }
            daemon
        }
        _ => run_until(phase, world),
    }
}

fn start_until(phase: Phase, world: &World) -> Daemon {
    let (opal, store) = (&world.opal.http, &world.store.http);
    match phase {
        OpalIsDown => opal.stop(),
        OpalHangs => opal.always("*", Fault::Hang),
        OpalDoesNotRegister => opal.always("POST *", Fault::status(500)),
        TargetIsDown => store.stop(),
        _ => store.always("POST *", Fault::Hang),
    }
    let daemon = world.serve();
    match phase {
        OpalHangs => world.wait_until("OPAL hangs", || opal.count("*") > 0),
        CreationHangs => world.wait_until("the creation hangs", || store.count("*") > 0),
        _ => daemon.wait_failing(),
    }
    daemon
}

fn run_until(phase: Phase, world: &World) -> Daemon {
    let (opa, store) = (&world.opa.http, &world.store.http);
    let daemon = world.serve_in_step();
    let (which, server, fault) = match phase {
        PassInFlight => {
            let soon = Fault::Delay(Duration::from_millis(300));
            (query_of("us"), opa, soon)
        }
        ReadinessHangs => (READY.to_owned(), opa, Fault::Hang),
        QueryHangs => (query_of("us"), opa, Fault::Hang),
        QueryWaitsForItsRetry => (query_of("us"), opa, Fault::status(503)),
        UpdateHangs => (patch_of("us"), store, Fault::Hang),
        UpdateWaitsForItsRetry => (patch_of("us"), store, Fault::status(503)),
        _ => (patch_of("us"), store, Fault::retry_after(429, "300")),
    };
    let before = server.count(&which);
    server.always(&which, fault);
    world.change("us", &["bob"]);
    match phase {
        QueryWaitsForItsRetry | UpdateWaitsForItsRetry | TargetIsPaused => daemon.wait_failing(),
        _ => world.wait_until("it is asked", || server.count(&which) > before),
    }
    daemon
}

/// Registrations are taken back where OPAL answers.
fn has_left(phase: Phase, world: &World) {
    if ![OpalIsDown, OpalHangs, LeaveHangs, LeaveIsRefused].contains(&phase) {
        assert!(world.opal.keys().is_empty());
    }
}

fn ends_at_once(phase: Phase) {
    let world = World::of(&["us"]).setting(LONG).build();
    let daemon = serve_until(phase, &world);
    daemon.process.signal(Signal::TERM);
    daemon.process.wait_exit(Duration::from_secs(4)).exits(0);
    has_left(phase, &world);
}

fn ends_within_ten_seconds(phase: Phase) {
    let world = World::of(&["us"]).setting(LONG).build();
    let daemon = serve_until(phase, &world);
    daemon.terminate().exits(0);
    has_left(phase, &world);
}

fn ends_at_the_second_signal(phase: Phase) {
    let world = World::of(&["us"]).setting(LONG).build();
    let daemon = serve_until(phase, &world);
    daemon.process.signal(Signal::TERM);
    world.wait_until("it is stopping", || {
        daemon.process.stderr().contains("stopping signal=")
    });
    world.stays("it waits", || daemon.process.is_running());
    daemon.process.signal(Signal::INT);
    daemon.process.wait_exit(Duration::from_secs(3)).exits(1);
}

#[test]
fn it_ends_at_once_where_nothing_is_in_flight() {
    at_once("", &QUICK, ends_at_once);
}

#[test]
fn it_ends_within_ten_seconds_whatever_hangs() {
    at_once("", &HANGING, ends_within_ten_seconds);
}

#[test]
fn a_second_signal_ends_it_whatever_hangs() {
    at_once("", &HANGING, ends_at_the_second_signal);
}
