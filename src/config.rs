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

/// A source, by its index in the configuration.
pub(crate) type SourceId = usize;

/// A target, by its index in the configuration.
pub(crate) type TargetId = usize;

/// A rule, by its index in the configuration.
pub(crate) type RuleId = usize;

/// A toggle, by its index in the configuration.
pub(crate) type ToggleId = usize;

/// Everything that `optoggles.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where `serve` listens.
    pub bind: Bind,
    /// Time between resyncs; none: no resyncs.
    pub(crate) resync_interval: Option<Duration>,
    pub(crate) http_timeout: Duration,
    /// Requests in flight at once, to each source and to each target; at least 1.
    pub(crate) concurrency: usize,
    pub(crate) sources: Vec<Source>,
    pub(crate) targets: Vec<Target>,
    /// Those that toggles follow, each once.
    pub(crate) rules: Vec<Rule>,
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
        let toggles = &mut self.toggles;
        keep_used(&mut self.rules, toggles.iter_mut().map(|it| &mut it.rule));
        keep_used(
            &mut self.targets,
            toggles.iter_mut().map(|it| &mut it.target),
        );
        let rules = &mut self.rules;
        keep_used(&mut self.sources, rules.iter_mut().map(|it| &mut it.source));
        Ok(self)
    }

    pub(crate) fn rules_of(&self, source: &Source) -> Vec<Rule> {
        let rules = self.rules.iter();
        let ours = rules.filter(|rule| self.sources[rule.source].id == source.id);
        ours.cloned().collect()
    }

    /// Where a target stands in the file, such as `targets[1]`.
    pub(crate) fn key_of_target(&self, id: TargetId) -> String {
        match &self.targets[..] {
            [_] => "target".to_owned(),
            _ => format!("targets[{id}]"),
        }
    }

    /// The toggles of a target, with their ids.
    pub(crate) fn toggles_at(&self, target: TargetId) -> impl Iterator<Item = (ToggleId, &Toggle)> {
        let toggles = self.toggles.iter().enumerate();
        toggles.filter(move |(_, toggle)| toggle.target == target)
    }

    /// A toggle as logs and reports name it: `key`, or `target/key` where there are several targets.
    pub(crate) fn name_of(&self, id: ToggleId) -> String {
        let toggle = &self.toggles[id];
        match &self.targets[..] {
            [_] => toggle.key.clone(),
            targets => format!("{}/{}", targets[toggle.target].id, toggle.key),
        }
    }
}

/// Keeps the things that are used, by their indices, and corrects these.
fn keep_used<'u, T>(things: &mut Vec<T>, uses: impl Iterator<Item = &'u mut usize>) {
    let uses: Vec<&mut usize> = uses.collect();
    let used: BTreeSet<usize> = uses.iter().map(|id| **id).collect();
    for id in uses {
        *id = used.range(..*id).count();
    }
    let mut id = 0..;
    things.retain(|_| id.next().is_some_and(|id| used.contains(&id)));
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

/// A feature management platform that holds toggles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// As that of a source; of `[target]`, the name of its type.
    pub(crate) id: String,
    pub(crate) kind: &'static TargetType,
    pub(crate) settings: Settings,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Toggle {
    /// Unique within its target.
    pub(crate) key: String,
    pub(crate) target: TargetId,
    pub(crate) rule: RuleId,
    pub(crate) spec: Map<String, Value>,
    /// The most of its users that may be removed at once: its own limit, else that of the file.
    pub(crate) max_removal: MaxRemoval,
}

impl fmt::Debug for Toggle {
    /// Leaves the values of `spec` out: interpolation can bring secrets there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toggle")
            .field("key", &self.key)
            .field("target", &self.target)
            .field("rule", &self.rule)
            .field("spec", &self.spec.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// A rule of a source's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The index of its source in [`Config::sources`].
    pub(crate) source: SourceId,
    /// Such as `app.rbac`.
    pub(crate) package: String,
    pub(crate) rule: String,
}

impl Rule {
    /// Whether another rule of the same source, in another configuration perhaps, is this one.
    pub(crate) fn is_same_at_its_source(&self, other: &Rule) -> bool {
        (&self.package, &self.rule) == (&other.package, &other.rule)
    }
}

impl fmt::Display for Rule {
    /// As Rego names it: `data.app.rbac.us_users`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data.{}.{}", self.package, self.rule)
    }
}
