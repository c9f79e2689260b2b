//! SIGHUP: the configuration is read again.

mod differences;
mod gone;
mod in_flight;
mod lasting;
mod phases;
mod refused;

use crate::support::World;
use crate::support::program::Daemon;

/// What the log says when a configuration was taken over.
const RELOADED: &str = "reloaded sources=";

impl World {
    /// Changes the configuration of a daemon that runs, and waits until it has taken it over.
    #[track_caller]
    pub(crate) fn reload(&self, daemon: &Daemon, change: impl FnOnce(&str) -> String) {
        let before = reloads(daemon);
        let config = change(self.program.config());
        self.program.reload(daemon, &config);
        self.wait_until("the configuration is taken over", || {
            reloads(daemon) > before
        });
    }
}

fn reloads(daemon: &Daemon) -> usize {
    daemon.process.stderr().matches(RELOADED).count()
}

/// A toggle in TOML, with the rule of its name.
fn toggle(key: &str, source: &str) -> String {
    format!(
        "[[toggles]]\nkey = \"{key}\"\nusers_policy = {{ source = \"{source}\", package = \
         \"app.rbac\", rule = \"{}\" }}\n",
        crate::support::opa::rule_of(key)
    )
}

/// A configuration without the second source and its toggle.
pub(crate) fn without_other(config: &str) -> String {
    let (before, rest) = config.split_once("[[sources]]\nid = \"other\"").unwrap();
    let (_, target) = rest.split_once("[target]").unwrap();
    let (target, _) = target.split_once("[[toggles]]\nkey = \"beta\"").unwrap();
    format!("{before}[target]{target}")
}
