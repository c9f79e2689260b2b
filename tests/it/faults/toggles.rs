//! Something is wrong with one toggle alone, at OPA or at a target that can be read: each toggle of
//! one daemon has a fault of its own, and one has none and must not notice.

use serde_json::Value;

use super::{SOON, Wrong, nothing_stale_was_sent};
use crate::support::World;
use crate::support::opa::query_of;
use crate::support::program::Daemon;
use crate::support::store::path_of;

/// The toggle with which nothing is wrong.
const FINE: &str = "fine";

/// Where it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The query of the toggle's rule.
    Rule,
    /// All that the target is asked about the toggle.
    Target,
    /// Reading it at the target.
    Reading,
}

impl Place {
    fn faults(self) -> Vec<Wrong> {
        let faults = match self {
            Place::Rule => [&Wrong::WRITING[..], &Wrong::READING].concat(),
            Place::Target => Wrong::WRITING.to_vec(),
            // A `users` of another type is replaced: there is nothing to fail.
            Place::Reading => vec![Wrong::CutJson, Wrong::List],
        };
        // A server that refuses connections does so for all toggles.
        let of_one = |wrong: &Wrong| *wrong != Wrong::Refused;
        faults.into_iter().filter(of_one).collect()
    }
}

struct Matrix {
    place: Place,
    /// Each toggle's key, and what is wrong with it.
    rows: Vec<(String, Wrong)>,
    world: World,
}

impl Matrix {
    fn of(place: Place, settings: &[&str]) -> Matrix {
        let row = |wrong| (format!("{wrong:?}").to_lowercase(), wrong);
        let rows: Vec<(String, Wrong)> = place.faults().into_iter().map(row).collect();
        let keys = rows.iter().map(|(key, _)| key.as_str());
        let keys: Vec<&str> = keys.chain([FINE]).collect();
        let plan = World::of(&keys).readable().setting(SOON);
        let settings = settings.iter();
        let plan = settings.fold(plan, |plan, line| plan.setting(line));
        let world = plan.build();
        let matrix = Matrix { place, rows, world };
        matrix.allow("v0");
        matrix
    }

    fn begin(&self) {
        let (opa, store) = (&self.world.opa.http, &self.world.store.http);
        for (key, wrong) in &self.rows {
            match self.place {
                Place::Rule => wrong.begin(opa, &query_of(key)),
                Place::Target => wrong.begin(store, &format!("* {}", path_of(key))),
                Place::Reading => wrong.begin(store, &format!("GET {}", path_of(key))),
            }
        }
    }

    fn end(&self) {
        for (_, wrong) in &self.rows {
            wrong.end(&self.world.opa.http);
            wrong.end(&self.world.store.http);
        }
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(key, _)| key.as_str())
    }

    /// The policy allows this user everything.
    fn allow(&self, user: &str) {
        for key in self.keys().chain([FINE]) {
            self.world.opa.allow(key, &[user]);
        }
    }

    /// The same, and OPAL calls back.
    fn change(&self, user: &str) {
        self.allow(user);
        self.world.change(FINE, &[user]);
    }

    /// Every toggle but one fails, and is named.
    #[track_caller]
    fn all_fail_but_one(&self, daemon: &Daemon) {
        for key in self.keys() {
            self.world.wait_until(&format!("{key} fails"), || {
                daemon.toggle(key)["state"] == "failing"
            });
        }
        let health = daemon.get("/health");
        assert_eq!(health.status, 500);
        for key in self.keys() {
            let named = health.text().contains(&format!("toggle {key}: "));
            assert!(named, "{key} is not in {}", health.text());
            let toggle = daemon.toggle(key);
            assert_ne!(toggle["last_error"], Value::Null, "{toggle}");
        }
        let fine = daemon.toggle(FINE);
        assert_eq!(fine["last_error"], Value::Null, "{fine}");
    }

    /// All is well, and this user has everything.
    #[track_caller]
    fn is_over(&self, daemon: &Daemon, user: &str) {
        for key in self.keys() {
            self.world.wait_for_users(key, &[user]);
        }
        daemon.wait_healthy();
        for key in self.keys().chain([FINE]) {
            nothing_stale_was_sent(&self.world, key);
        }
    }
}

fn start(place: Place) {
    let matrix = Matrix::of(place, &[]);
    if place != Place::Rule {
        // What is there is asked for under its own path; what is not is created at a common one.
        matrix
            .keys()
            .for_each(|key| matrix.world.store.put(key, &["old"]));
    }
    matrix.begin();
    let daemon = matrix.world.serve();
    matrix.all_fail_but_one(&daemon);
    matrix.world.wait_for_users(FINE, &["v0"]);
    matrix.end();
    matrix.is_over(&daemon, "v0");
}

fn callback(place: Place) {
    let matrix = Matrix::of(place, &[]);
    let daemon = matrix.world.serve_in_step();
    matrix.begin();
    matrix.change("v1");
    matrix.world.wait_for_users(FINE, &["v1"]);
    matrix.all_fail_but_one(&daemon);
    // The one goes on.
    matrix.world.change(FINE, &["v2"]);
    matrix.world.wait_for_users(FINE, &["v2"]);
    matrix
        .world
        .stays("it goes on failing", || daemon.health() == 500);
    matrix.end();
    matrix.is_over(&daemon, "v1");
}

fn resync(place: Place) {
    let matrix = Matrix::of(place, &["resync_interval = \"1s\""]);
    let daemon = matrix.world.serve_in_step();
    matrix.begin();
    matrix.allow("v1");
    matrix.world.wait_for_users(FINE, &["v1"]);
    matrix.all_fail_but_one(&daemon);
    matrix.end();
    matrix.is_over(&daemon, "v1");
}

#[test]
fn a_rule_that_goes_wrong_fails_its_toggle_alone() {
    for moment in [start, callback, resync] {
        moment(Place::Rule);
    }
}

#[test]
fn a_toggle_that_goes_wrong_at_the_target_fails_alone() {
    for moment in [start, callback, resync] {
        moment(Place::Target);
    }
}

#[test]
fn a_toggle_that_cannot_be_read_fails_alone() {
    start(Place::Reading);
    resync(Place::Reading);
}
