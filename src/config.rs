//! The configuration, as the rest of the program sees it: checked, interpolated, with defaults.
//!
//! The words are those of `optoggles.toml`; the file itself is read in the modules below.

mod addresses;
mod check;
mod interpolate;
mod keys;
pub mod leaving;
mod lines;
pub mod load;
mod mask;
mod nearest;
mod policy;
mod problem;
mod reader;
mod removal;
pub mod report;
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

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::secret::Secret;
pub use keys::Catalog;
pub(crate) use keys::{Form, Key, SourceType, Spec, TLS, TargetType, ValueKind};
pub(crate) use problem::quote;
pub(crate) use reader::Context;
pub use removal::MaxRemoval;
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
    pub resync_interval: Option<Duration>,
    /// How long a request may take, whole.
    pub http_timeout: Duration,
    /// Requests in flight at once, to each source and to the target; at least 1.
    pub concurrency: usize,
    /// Where users come from, in the order of the file.
    pub sources: Vec<Source>,
    /// Where the toggles are.
    pub target: Target,
    /// The toggles, in the order of the file.
    pub toggles: Vec<Toggle>,
}

impl Config {
    /// The same for these toggles alone, all where none is named, and for the sources they use.
    ///
    /// # Errors
    ///
    /// Names each key that no toggle has, on a line of its own.
    pub fn only(mut self, keys: &[String]) -> Result<Config, String> {
        let known: Vec<&str> = self.toggles.iter().map(|toggle| &*toggle.key).collect();
        let unknown = keys.iter().filter(|key| !known.contains(&key.as_str()));
        let unknown: Vec<String> = unknown.map(|key| no_toggle(key, &known)).collect();
        if !unknown.is_empty() {
            return Err(unknown.join("\n"));
        }
        self.toggles
            .retain(|toggle| keys.is_empty() || keys.contains(&toggle.key));
        let used = |id| {
            self.toggles
                .iter()
                .any(|toggle| toggle.users_policy.source == id)
        };
        let used: Vec<usize> = (0..self.sources.len()).filter(|id| used(*id)).collect();
        for toggle in &mut self.toggles {
            let rule = &mut toggle.users_policy;
            rule.source = used
                .iter()
                .position(|id| *id == rule.source)
                .unwrap_or_default();
        }
        let mut id = 0..;
        self.sources
            .retain(|_| id.next().is_some_and(|id| used.contains(&id)));
        Ok(self)
    }

    /// The rules that toggles have of a source.
    pub fn rules_of(&self, source: &Source) -> Vec<Rule> {
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
pub struct Source {
    /// `[A-Za-z0-9][A-Za-z0-9._-]*`, unique.
    pub id: String,
    pub(crate) kind: &'static SourceType,
    /// What its type and TLS have.
    pub(crate) settings: Settings,
}

/// `ca_file`, `cert_file` and `key_file`: the files' contents, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates to trust instead of the public ones.
    pub ca: Option<String>,
    /// Our own certificate chain and its key.
    pub identity: Option<Identity>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain, ours first.
    pub cert: String,
    /// Its private key.
    pub key: Secret,
}

/// The feature management platform that holds the toggles.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub(crate) kind: &'static TargetType,
    pub(crate) settings: Settings,
}

/// One feature flag.
#[derive(Clone, PartialEq)]
pub struct Toggle {
    /// Its key at the target, unique.
    pub key: String,
    /// Which rule names its users.
    pub users_policy: Rule,
    /// What the target needs to create it.
    pub spec: Map<String, Value>,
    /// The most of its users that may be removed at once: its own limit, else that of the file.
    pub max_removal: MaxRemoval,
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
    pub source: usize,
    /// Such as `app.rbac`.
    pub package: String,
    /// Such as `us_users`.
    pub rule: String,
}

impl fmt::Display for Rule {
    /// As Rego names it: `data.app.rbac.us_users`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data.{}.{}", self.package, self.rule)
    }
}
