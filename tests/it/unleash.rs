//! The Unleash target, against a stand-in that answers as Unleash 7.4.1; Unleash's own evaluation engine is the
//! judge of who gets what.

mod any;
mod changes;
mod description;
mod feature;
mod limits;
mod mistakes;
mod owner;
mod pace;
mod repairs;
mod stand_in;

use std::sync::MutexGuard;

use serde_json::json;

use crate::support::Stage;
use crate::support::opa::{Opa, rule_of};
use crate::support::opal::Opal;
use crate::support::output::Output;
use crate::support::program::{Daemon, Program};
use stand_in::{Limits, Platform, Unleash};

/// The admin token; it may never be printed.
const TOKEN: &str = "*:*.token-of-the-tests-83d1";

const ENVIRONMENTS: [&str; 2] = ["development", "production"];

/// Everything around the program.
struct Flags {
    opal: Opal,
    opa: Opa,
    unleash: Unleash,
    program: Program,
    stage: Stage,
}

/// A world that is being described.
struct Plan {
    keys: Vec<String>,
    settings: String,
    owner: String,
    spec: String,
    token: String,
}

impl Flags {
    /// Toggles of one source, each with the rule of its name, in both environments.
    fn of(keys: &[&str]) -> Plan {
        Plan {
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            settings: String::new(),
            owner: String::new(),
            spec: format!("environments = {ENVIRONMENTS:?}"),
            token: TOKEN.to_owned(),
        }
    }

    /// One toggle, in one environment.
    fn one() -> Plan {
        Flags::of(&["us"]).spec("environments = [\"development\"]")
    }

    fn platform(&self) -> MutexGuard<'_, Platform> {
        self.unleash.platform()
    }

    #[track_caller]
    fn sync(&self) -> Output {
        self.program.run(&["sync"])
    }

    /// The policy changes, and optoggles follows it once.
    #[track_caller]
    fn follow(&self, users: &[&str]) -> Output {
        self.opa.allow("us", users);
        self.sync()
    }

    /// `serve`, as soon as every toggle is in sync.
    #[track_caller]
    fn serve_in_step(&self) -> Daemon {
        let daemon = self.program.serve(&[]);
        self.stage.wait_until("all is in sync", || {
            let status = daemon.status();
            let toggles = status["toggles"].as_array().unwrap();
            toggles.iter().all(|toggle| toggle["state"] == "in sync")
        });
        daemon
    }

    /// The policy changes, and OPAL says so.
    fn change(&self, key: &str, users: &[&str]) {
        self.opa.allow(key, users);
        assert!(!self.opal.call_back().is_empty());
    }

    /// Whether a feature is on for these and not for those, in an environment.
    fn is_on_for(&self, key: &str, place: &str, users: &[&str], others: &[&str]) -> bool {
        let all = [users, others].concat();
        self.platform().served(key, place, &all) == users.iter().copied().collect()
    }

    /// The requests from this one on, as `METHOD PATH` below the project's features.
    fn requests_from(&self, first: usize) -> Vec<String> {
        let seen = self.unleash.http.seen("*").split_off(first);
        let line = |path: &str| path.rsplit("/features/").next().unwrap().to_owned();
        seen.iter()
            .map(|seen| format!("{} {}", seen.request.method, line(&seen.request.path)))
            .collect()
    }

    fn count(&self, which: &str) -> usize {
        self.unleash.http.count(which)
    }
}

impl Drop for Flags {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.platform().misfits, [""; 0]);
        }
        self.stage.show_if_failing();
    }
}

impl Plan {
    /// A line at the top of the configuration.
    fn setting(mut self, line: &str) -> Plan {
        self.settings = format!("{}{line}\n", self.settings);
        self
    }

    /// The spec of all toggles.
    fn spec(mut self, spec: &str) -> Plan {
        self.spec = spec.to_owned();
        self
    }

    fn owner(mut self, owner: &str) -> Plan {
        self.owner = format!("owner = {owner:?}\n");
        self
    }

    fn token(mut self, token: &str) -> Plan {
        self.token = token.to_owned();
        self
    }

    /// Starts the stand-ins and writes the configuration.
    fn build(self) -> Flags {
        let stage = Stage::new();
        stage.add_secret(&self.token);
        let opa = Opa::start(&stage, None);
        let opal = Opal::start(&stage, None, &opa.http.url(), None);
        let unleash = Unleash::start(&stage);
        let config = self.config(&opal.http.url(), &unleash.http.url());
        Flags {
            program: Program::new(&stage, &config, &[("UNLEASH_TOKEN", &self.token)]),
            opal,
            opa,
            unleash,
            stage,
        }
    }

    fn config(&self, opal: &str, unleash: &str) -> String {
        let mut config = format!(
            "bind = \"127.0.0.1:{{port}}\"\n{}[[sources]]\nid = \"main\"\nurl = \"{opal}\"\n\
             advertised_address = \"127.0.0.1:{{port}}\"\n[target]\ntype = \"unleash\"\n\
             token = \"${{UNLEASH_TOKEN}}\"\nurl = \"{unleash}\"\n{}",
            self.settings, self.owner
        );
        for key in &self.keys {
            config += &format!(
                "[[toggles]]\nkey = {key:?}\nusers_policy = {{ source = \"main\", \
                 package = \"app.rbac\", rule = \"{}\" }}\n[toggles.spec]\n{}\n",
                rule_of(key),
                self.spec
            );
        }
        config
    }
}

/// The names of so many users, in order.
fn users(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers
        .map(|number| format!("user{number:05}@example.com"))
        .collect()
}

fn refs(users: &[String]) -> Vec<&str> {
    users.iter().map(String::as_str).collect()
}
