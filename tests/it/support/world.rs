//! The common case: OPAL, OPA, a REST target and a configuration in which each toggle has a rule.

use std::time::Duration;

use super::opa::{Opa, query_of, rule_of};
use super::opal::Opal;
use super::output::Output;
use super::process::Process;
use super::program::{Daemon, Program};
use super::stage::Stage;
use super::store::{Store, patch_of};

/// The tokens of the common case; none of them may ever be printed.
pub(crate) const OPAL_TOKEN: &str = "opal-token-of-the-tests-5d1c";
/// OPAL gives this one out.
pub(crate) const OPA_TOKEN: &str = "opa-token-of-the-tests-9e27";
/// In the target's `extra_headers`.
pub(crate) const FLAGS_TOKEN: &str = "flags-token-of-the-tests-31ab";

pub(crate) struct World {
    pub(crate) opal: Opal,
    pub(crate) opa: Opa,
    /// The second source, where one was asked for.
    pub(crate) other: Option<Other>,
    pub(crate) store: Store,
    pub(crate) program: Program,
    pub(crate) stage: Stage,
}

pub(crate) struct Other {
    pub(crate) opal: Opal,
    pub(crate) opa: Opa,
}

#[derive(Default)]
pub(crate) struct Plan {
    toggles: Vec<(String, &'static str)>,
    specs: Vec<(String, String)>,
    read: bool,
    settings: String,
    source_settings: String,
    plain_opa: bool,
    memory: bool,
}

impl World {
    /// Toggles of one source; each has the rule of its name and no spec.
    pub(crate) fn of(keys: &[&str]) -> Plan {
        Plan {
            toggles: keys.iter().map(|&key| (key.to_owned(), "main")).collect(),
            ..Plan::default()
        }
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        self.stage.wait_until(what, condition);
    }

    #[track_caller]
    pub(crate) fn wait_for_users(&self, key: &str, users: &[&str]) {
        let what = format!("{key} has {users:?}");
        self.wait_until(&what, || self.store.has(key, users));
    }

    #[track_caller]
    pub(crate) fn sync(&self, args: &[&str]) -> Output {
        self.program.run(&[&["sync"], args].concat())
    }

    pub(crate) fn spawn_sync(&self, args: &[&str]) -> Process {
        self.program.spawn(&[&["sync"], args].concat())
    }

    #[track_caller]
    pub(crate) fn serve(&self) -> Daemon {
        self.program.serve(&[])
    }

    /// `serve`, as soon as everything is in step.
    #[track_caller]
    pub(crate) fn serve_in_step(&self) -> Daemon {
        let daemon = self.serve();
        daemon.wait_healthy();
        let toggles = daemon.status()["toggles"].as_array().unwrap().clone();
        for toggle in toggles {
            let key = toggle["key"].as_str().unwrap();
            self.wait_until(&format!("{key} is in sync"), || {
                daemon.toggle(key)["state"] == "in sync"
            });
        }
        daemon
    }

    /// The policy changes: these users, and OPAL says so.
    #[track_caller]
    pub(crate) fn change(&self, key: &str, users: &[&str]) {
        self.opa.allow(key, users);
        let answers = self.opal.call_back();
        assert!(
            answers.iter().all(|answer| answer.status == 202) && !answers.is_empty(),
            "the callback was answered {answers:?}"
        );
    }

    pub(crate) fn queries(&self, key: &str) -> usize {
        self.opa.http.count(&query_of(key))
    }

    pub(crate) fn updates(&self, key: &str) -> usize {
        self.store.http.count(&patch_of(key))
    }

    /// The sets of users that were sent for a toggle, in order.
    pub(crate) fn sent(&self, key: &str) -> Vec<Vec<String>> {
        let seen = self.store.http.seen(&patch_of(key));
        let users = seen.iter().map(|seen| seen.request.json()["users"].clone());
        users
            .filter_map(|users| serde_json::from_value(users).ok())
            .collect()
    }

    /// Fails if the condition ends within a moment in which nothing should happen.
    #[track_caller]
    pub(crate) fn stays(&self, what: &str, condition: impl FnMut() -> bool) {
        let moment = Duration::from_millis(300);
        self.stage.holds_for(moment, what, condition);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stage.show_if_failing();
    }
}

impl Plan {
    pub(crate) fn readable(mut self) -> Plan {
        self.read = true;
        self
    }

    pub(crate) fn spec(mut self, key: &str, spec: &str) -> Plan {
        self.specs.push((key.to_owned(), spec.to_owned()));
        self
    }

    pub(crate) fn setting(mut self, line: &str) -> Plan {
        self.settings = format!("{}{line}\n", self.settings);
        self
    }

    /// A line in the first source; `{opa}` stands for the URL of its OPA,
    /// `{opa-with-password}` for the same with the password `pass-of-ann`.
    pub(crate) fn source_setting(mut self, line: &str) -> Plan {
        self.source_settings = format!("{}{line}\n", self.source_settings);
        self
    }

    pub(crate) fn plain_opa(mut self) -> Plan {
        self.plain_opa = true;
        self
    }

    /// With each toggle in the memory of `serve` too, which evaluates it without a token.
    pub(crate) fn and_memory(mut self) -> Plan {
        self.memory = true;
        self
    }

    pub(crate) fn and_other(mut self, keys: &[&str]) -> Plan {
        let other = keys.iter().map(|&key| (key.to_owned(), "other"));
        self.toggles.extend(other);
        self
    }

    /// Starts the stand-ins and writes the configuration.
    pub(crate) fn build(self) -> World {
        let stage = Stage::new();
        for secret in [OPAL_TOKEN, OPA_TOKEN, FLAGS_TOKEN] {
            stage.add_secret(secret);
        }
        let opa = Opa::start(&stage, Some(OPA_TOKEN));
        let opal = Opal::start(&stage, Some(OPAL_TOKEN), &opa.http.url(), Some(OPA_TOKEN));
        let store = Store::start(&stage, Some(FLAGS_TOKEN));
        let with_other = self.toggles.iter().any(|(_, source)| *source == "other");
        let other = with_other.then(|| {
            let opa = Opa::start(&stage, None);
            let opal = Opal::start(&stage, Some(OPAL_TOKEN), &opa.http.url(), None);
            Other { opal, opa }
        });
        let config = self.config(&opal, &opa, other.as_ref(), &store);
        let tokens = [
            ("OPAL_TOKEN", OPAL_TOKEN),
            ("OPA_TOKEN", OPA_TOKEN),
            ("FLAGS_TOKEN", FLAGS_TOKEN),
        ];
        World {
            program: Program::new(&stage, &config, &tokens),
            opal,
            opa,
            other,
            store,
            stage,
        }
    }

    fn config(&self, opal: &Opal, opa: &Opa, other: Option<&Other>, store: &Store) -> String {
        let mut config = format!("bind = \"127.0.0.1:{{port}}\"\n{}", self.settings);
        config += &if self.plain_opa {
            let (url, lines) = (opa.http.url(), &self.source_settings);
            format!(
                "[[sources]]\nid = \"main\"\ntype = \"opa\"\nurl = \"{url}\"\n\
                 token = \"${{OPA_TOKEN}}\"\n{lines}"
            )
        } else {
            let url = opa.http.url();
            let with_password = url.replace("://", "://ann:pass-of-ann@");
            let lines = self.source_settings.replace("{opa}", &url);
            source(
                "main",
                opal,
                &lines.replace("{opa-with-password}", &with_password),
            )
        };
        if let Some(other) = other {
            config += &source("other", &other.opal, "");
        }
        config += match self.memory {
            true => {
                "[[targets]]\nid = \"memory\"\ntype = \"openfeature\"\n[[targets]]\nid = \"store\"\n"
            }
            false => "[target]\n",
        };
        config += &format!(
            "type = \"restapi\"\nendpoint_url = \"{}\"\nread = {}\n\
             extra_headers = {{ Authorization = \"Bearer ${{FLAGS_TOKEN}}\" }}\n",
            store.url(),
            self.read
        );
        for (key, source) in &self.toggles {
            let rule = rule_of(key);
            let toggle = |target| {
                format!(
                    "[[toggles]]\nkey = {key:?}\n{target}users_policy = {{ source = \"{source}\", \
                     package = \"app.rbac\", rule = \"{rule}\" }}\n"
                )
            };
            config += &match self.memory {
                true => toggle("target = \"memory\"\n") + &toggle("target = \"store\"\n"),
                false => toggle(""),
            };
            config += "[toggles.spec]\n";
            let spec = self.specs.iter().find(|(name, _)| name == key);
            config += &spec.map_or(String::new(), |(_, spec)| format!("{spec}\n"));
        }
        config
    }
}

fn source(id: &str, opal: &Opal, lines: &str) -> String {
    let url = opal.http.url();
    format!(
        "[[sources]]\nid = \"{id}\"\ntype = \"opal\"\nurl = \"{url}\"\n\
         token = \"${{OPAL_TOKEN}}\"\nadvertised_address = \"127.0.0.1:{{port}}\"\n{lines}"
    )
}
