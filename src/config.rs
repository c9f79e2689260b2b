//! The configuration, as the rest of the program sees it: checked, interpolated, with defaults.
//!
//! The words are those of `optoggles.toml`; the file itself is read in the modules below.

mod addresses;
mod check;
mod interpolate;
mod keys;
pub(crate) mod leaving;
mod lines;
pub(crate) mod load;
mod mask;
mod nearest;
mod policy;
mod problem;
mod reader;
mod removal;
pub(crate) mod report;
mod section;
mod settings;
mod sources;
mod spec;
mod target;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tls;
mod toggles;
mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::secret::Secret;
pub(crate) use keys::Catalog;
pub(crate) use keys::{Form, Key, SourceType, Spec, TLS, TargetType, ValueKind};
pub(crate) use problem::quote;
pub(crate) use reader::Context;
pub(crate) use removal::MaxRemoval;
pub(crate) use section::Section;
pub(crate) use settings::{Setting, Settings};
pub(crate) use spec::is_telling;
pub(crate) use values::warn_if_plain;

/// Everything that `optoggles.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where `serve` listens.
    pub bind: Bind,
    /// Time between resyncs; none: no resyncs.
    pub(crate) resync_interval: Option<Duration>,
    pub(crate) http_timeout: Duration,
    /// Requests in flight at once, to each source and to the target; at least 1.
    pub(crate) concurrency: usize,
    pub(crate) sources: Vec<Source>,
    pub(crate) target: Target,
    pub(crate) toggles: Vec<Toggle>,
}

impl Config {
    /// The same for these toggles alone, all where none is named, and for the sources they use.
    /// Fails with each key that no toggle has, on a line of its own.
    pub(crate) fn only(mut self, keys: &[String]) -> Result<Config, String> {
        let known: Vec<&str> = self.toggles.iter().map(|toggle| &*toggle.key).collect();
        let unknown = keys.iter().filter(|key| !known.contains(&key.as_str()));
        let unknown: Vec<String> = unknown.map(|key| no_toggle(key, &known)).collect();
        if !unknown.is_empty() {
            return Err(unknown.join("\n"));
        }
        self.toggles
            .retain(|toggle| keys.is_empty() || keys.contains(&toggle.key));
        let rules = self.toggles.iter_mut();
        let rules: Vec<&mut Rule> = rules.map(|toggle| &mut toggle.users_policy).collect();
        let used: BTreeSet<usize> = rules.iter().map(|rule| rule.source).collect();
        for rule in rules {
            rule.source = used.range(..rule.source).count();
        }
        let mut id = 0..;
        self.sources
            .retain(|_| id.next().is_some_and(|id| used.contains(&id)));
        Ok(self)
    }

    pub(crate) fn rules_of(&self, source: &Source) -> Vec<Rule> {
        let rules = self.toggles.iter().map(|toggle| &toggle.users_policy);
        let ours = rules.filter(|rule| self.sources[rule.source].id == source.id);
        ours.cloned().collect()
    }
}

/// Says that there is no such toggle, and which one may be meant.
fn no_toggle(key: &str, known: &[&str]) -> String {
    const MOST: usize = 10;
    let there_are = match nearest::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.len() > MOST => format!("it is not one of the {} in the file", known.len()),
        None => format!("there are: {}", known.join(", ")),
    };
    let key = key.escape_debug();
    format!("there is no toggle `{key}` in the configuration: {there_are}")
}

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// A host name or IP address (an IPv6 one without brackets); empty: every interface.
    pub host: String,
    /// 0: one that is free.
    pub port: u16,
}

/// Where the users of toggles come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// `[A-Za-z0-9][A-Za-z0-9._-]*`, unique.
    pub(crate) id: String,
    pub(crate) kind: &'static SourceType,
    /// What its type and TLS have.
    pub(crate) settings: Settings,
}

/// `ca_file`, `cert_file` and `key_file`: the files' contents, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The certificates to trust instead of the public ones.
    pub(crate) ca: Option<String>,
    pub(crate) identity: Option<Identity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The chain, ours first.
    pub(crate) cert: String,
    pub(crate) key: Secret,
}

/// The feature management platform that holds the toggles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) kind: &'static TargetType,
    pub(crate) settings: Settings,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Toggle {
    /// Its key at the target, unique.
    pub(crate) key: String,
    pub(crate) users_policy: Rule,
    pub(crate) spec: Map<String, Value>,
    /// The most of its users that may be removed at once: its own limit, else that of the file.
    pub(crate) max_removal: MaxRemoval,
}

impl fmt::Debug for Toggle {
    /// Leaves the values of `spec` out: interpolation can bring secrets there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toggle")
            .field("key", &self.key)
            .field("users_policy", &self.users_policy)
            .field("spec", &self.spec.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// A rule of a source's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The index of its source in [`Config::sources`].
    pub(crate) source: usize,
    /// Such as `app.rbac`.
    pub(crate) package: String,
    pub(crate) rule: String,
}

impl fmt::Display for Rule {
    /// As Rego names it: `data.app.rbac.us_users`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data.{}.{}", self.package, self.rule)
    }
}
