//! The LaunchDarkly target, against a stand-in that holds flags as they do; their own evaluation
//! engine is the judge of who gets what.

mod alone;
mod any;
mod changes;
mod describes;
mod environments;
mod faults;
mod limit;
mod mistakes;
mod online;
mod owner;
mod pace;
mod repairs;
mod segments;
mod stand_in;

use std::sync::MutexGuard;

use crate::support::Stage;
use crate::support::launchdarkly::{Description, LaunchDarkly, Platform, path_of};
use crate::support::opa::{Opa, rule_of};
use crate::support::opal::Opal;
use crate::support::output::Output;
use crate::support::program::{Daemon, Program};
use crate::support::wire::Request;

/// The access token; it may never be printed.
const TOKEN: &str = "api-token-of-the-tests-77b0";

/// The environments that the toggles are kept in; the project has another one.
const ENVIRONMENTS: [&str; 2] = ["production", "test"];

/// Everything around the program.
struct Flags {
    opal: Opal,
    opa: Opa,
    launchdarkly: LaunchDarkly,
    program: Program,
    stage: Stage,
}

/// A world that is being described.
struct Plan {
    keys: Vec<String>,
    settings: String,
    target: String,
    spec: String,
}

impl Flags {
    /// Toggles of one source, each with the rule of its name.
    fn of(keys: &[&str]) -> Plan {
        Plan {
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            settings: String::new(),
            target: String::new(),
            spec: "name = \"{key}\"\nproj_key = \"default\"\n\
                   environments = [\"production\", \"test\"]\n"
                .to_owned(),
        }
    }

    fn platform(&self) -> MutexGuard<'_, Platform> {
        self.launchdarkly.platform()
    }

    #[track_caller]
    fn sync(&self, args: &[&str]) -> Output {
        self.program.run(&[&["sync"], args].concat())
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

    #[track_caller]
    fn wait_until_registered(&self) {
        let is_registered = || !self.opal.keys().is_empty();
        self.stage
            .wait_until("the source is registered", is_registered);
    }

    /// The policy changes, and OPAL says so.
    fn change(&self, key: &str, users: &[&str]) {
        self.opa.allow(key, users);
        assert!(!self.opal.call_back().is_empty());
    }

    /// Whether the flag is on for these and not for those, in every listed environment.
    fn is_on_for(&self, key: &str, users: &[&str], others: &[&str]) -> bool {
        let platform = self.platform();
        let mut all = ENVIRONMENTS.iter();
        all.all(|environment| platform.is_on_for("default", key, environment, users, others))
    }

    #[track_caller]
    fn wait_until_on_for(&self, key: &str, users: &[&str], others: &[&str]) {
        let what = format!("{key} is on for {users:?} and not for {others:?}");
        self.stage
            .wait_until(&what, || self.is_on_for(key, users, others));
    }

    /// How many requests of a method there were, for a flag or (`*`) for any.
    fn count(&self, method: &str, key: &str) -> usize {
        let path = match key {
            "*" => "*".to_owned(),
            key => format!("{}*", path_of("default", key)),
        };
        self.launchdarkly.http.count(&format!("{method} {path}"))
    }

    fn requests(&self, method: &str) -> Vec<Request> {
        let seen = self.launchdarkly.http.seen(&format!("{method} *"));
        seen.into_iter().map(|seen| seen.request).collect()
    }
}

impl Drop for Flags {
    fn drop(&mut self) {
        if !std::thread::panicking()
            && let Some(description) = Description::find()
        {
            for seen in self.launchdarkly.http.seen("*") {
                let problems = description.problems(&seen.request);
                assert!(problems.is_empty(), "{}: {problems:?}", seen.request.line());
            }
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

    /// A line of the target.
    fn target(mut self, line: &str) -> Plan {
        self.target += &format!("{line}\n");
        self
    }

    /// The spec of all toggles; `{key}` stands for the toggle's key.
    fn spec(mut self, spec: &str) -> Plan {
        self.spec = format!("{spec}\n");
        self
    }

    /// Starts the stand-ins and writes the configuration.
    fn build(self) -> Flags {
        let stage = Stage::new();
        stage.add_secret(TOKEN);
        let opa = Opa::start(&stage, None);
        let opal = Opal::start(&stage, None, &opa.http.url(), None);
        let launchdarkly = LaunchDarkly::start(&stage, TOKEN);
        launchdarkly
            .platform()
            .add_project("default", &["production", "test", "staging"]);
        let config = self.config(&opal, &launchdarkly);
        Flags {
            program: Program::new(&stage, &config, &[("LAUNCHDARKLY_TOKEN", TOKEN)]),
            opal,
            opa,
            launchdarkly,
            stage,
        }
    }

    fn config(&self, opal: &Opal, launchdarkly: &LaunchDarkly) -> String {
        let mut config = format!(
            "bind = \"127.0.0.1:{{port}}\"\n{}[[sources]]\nid = \"main\"\nurl = \"{}\"\n\
             advertised_address = \"127.0.0.1:{{port}}\"\n[target]\ntype = \"launchdarkly\"\n\
             token = \"${{LAUNCHDARKLY_TOKEN}}\"\nbase_url = \"{}\"\n{}",
            self.settings,
            opal.http.url(),
            launchdarkly.http.url(),
            self.target
        );
        for key in &self.keys {
            config += &format!(
                "[[toggles]]\nkey = {key:?}\nusers_policy = {{ source = \"main\", \
                 package = \"app.rbac\", rule = \"{}\" }}\n[toggles.spec]\n{}",
                rule_of(key),
                self.spec.replace("{key}", key)
            );
        }
        config
    }
}
