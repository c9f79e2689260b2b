//! Something is wrong with the whole of OPAL, OPA or the target.

use std::fmt;

use serde_json::json;

use super::{SOON, Wrong, at_once, nothing_stale_was_sent};
use crate::support::opa::Opa;
use crate::support::program::Daemon;
use crate::support::{Server, World};

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Opal,
    Opa,
    Target,
}

/// What is wrong, and with whom.
#[derive(Clone, Copy)]
struct Case(Peer, Wrong);

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.0, self.1)
    }
}

fn cases(of: Peer) -> Vec<Case> {
    let reading = Wrong::READING.iter().filter(|_| of != Peer::Target);
    let all = Wrong::WRITING.iter().chain(reading);
    all.map(|wrong| Case(of, *wrong)).collect()
}

impl Case {
    fn server(self, world: &World) -> &Server {
        match self.0 {
            Peer::Opal => &world.opal.http,
            Peer::Opa => &world.opa.http,
            Peer::Target => &world.store.http,
        }
    }

    fn begin(self, world: &World) {
        // A registration that is answered with a 2xx is one, whatever else the answer says.
        let reading = Wrong::READING.contains(&self.1);
        let which = if reading { "GET *" } else { "*" };
        self.1.begin(self.server(world), which);
    }

    fn end(self, world: &World) {
        self.1.end(self.server(world));
    }

    /// Waits until `/health` says that it fails, and what. Of an OPA that was ready a moment ago, that
    /// is a toggle at first.
    fn is_told(self, world: &World, daemon: &Daemon) {
        let name = match self.0 {
            Peer::Opal | Peer::Opa => "source main: ",
            Peer::Target => "toggle us: ",
        };
        world.wait_until(&format!("/health is 500 because of {name}"), || {
            let health = daemon.get("/health");
            health.status == 500 && health.text().contains(name)
        });
    }

    /// Everything is well, and the target has this user.
    fn is_over(self, world: &World, daemon: &Daemon, user: &str) {
        if self.0 == Peer::Target && user != "v0" {
            // An update has failed: no word of health before one has succeeded.
            daemon.wait_healthy();
            assert!(world.store.has("us", &[user]));
        }
        world.wait_for_users("us", &[user]);
        daemon.wait_healthy();
        assert_eq!(daemon.get("/health/started").status, 200);
        assert_eq!(world.opal.keys().len(), 1);
        nothing_stale_was_sent(world, "us");
    }
}

fn world(settings: &[&str]) -> World {
    let plan = World::of(&["us"]).setting(SOON);
    let settings = settings.iter();
    let world = settings.fold(plan, |plan, line| plan.setting(line)).build();
    world.opa.allow("us", &["v0"]);
    world
}

fn start(case: Case) {
    let world = world(&[]);
    case.begin(&world);
    let daemon = world.serve();
    case.is_told(&world, &daemon);
    // Of OPA nothing is needed to register, nor to create toggles.
    if case.0 != Peer::Opa {
        assert_eq!(daemon.get("/health/started").status, 503);
    }
    case.end(&world);
    case.is_over(&world, &daemon, "v0");
}

fn callback(case: Case) {
    let world = world(&[]);
    let daemon = world.serve_in_step();
    case.begin(&world);
    world.change("us", &["v1"]);
    is_told_and_arrives(case, &world, &daemon);
}

fn retry(case: Case) {
    let world = world(&[]);
    let daemon = world.serve_in_step();
    case.begin(&world);
    // OPAL is asked again when OPA cannot be reached.
    let moved = (case.0 == Peer::Opal).then(|| {
        world.opa.http.stop();
        Opa::start(&world.stage, None)
    });
    world.change("us", &["v1"]);
    let failed_again = || daemon.process.stderr().contains("count=2");
    world.wait_until("it has failed again", failed_again);
    case.is_told(&world, &daemon);
    match &moved {
        None => world.change("us", &["v2"]),
        Some(opa) => {
            let url = opa.http.url();
            opa.allow("us", &["v2"]);
            let config = json!({"type": "OPA", "url": url, "auth_type": "none"});
            world.opal.set_config(config);
        }
    }
    assert_eq!(daemon.health(), 500, "it goes on failing");
    case.end(&world);
    case.is_over(&world, &daemon, "v2");
}

fn resync(case: Case) {
    let world = world(&["resync_interval = \"1s\""]);
    let daemon = world.serve_in_step();
    case.begin(&world);
    world.opa.allow("us", &["v1"]);
    is_told_and_arrives(case, &world, &daemon);
}

/// Nobody needs OPAL to learn of `v1`.
fn is_told_and_arrives(case: Case, world: &World, daemon: &Daemon) {
    if case.0 == Peer::Opal {
        world.wait_for_users("us", &["v1"]);
        assert_eq!(daemon.health(), 200);
    } else {
        case.is_told(world, daemon);
    }
    case.end(world);
    case.is_over(world, daemon, "v1");
}

fn at_every_moment(of: Peer) {
    let cases = cases(of);
    at_once("at the start", &cases, start);
    at_once("at a callback", &cases, callback);
    at_once("at a retry", &cases, retry);
    at_once("at a resync", &cases, resync);
}

#[test]
fn whatever_opal_does_wrong_is_told_and_once_it_is_over_all_is_well() {
    at_every_moment(Peer::Opal);
}

#[test]
fn whatever_opa_does_wrong_is_told_and_once_it_is_over_all_is_well() {
    at_every_moment(Peer::Opa);
}

#[test]
fn whatever_the_target_does_wrong_is_told_and_once_it_is_over_all_is_well() {
    at_every_moment(Peer::Target);
}
