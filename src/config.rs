//! The configuration, as the rest of the program sees it: checked, interpolated, with defaults.
//!
//! The words are those of `optoggles.toml`; the file itself is read in the modules below.

mod interpolate;
mod keys;
pub(crate) mod load;
mod mask;
mod nearest;
pub(crate) mod report;
mod section;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::secret::Secret;

pub(crate) use keys::{Catalog, Form, Key, PeerType, Spec, TLS, TargetType, ValueKind};
pub(crate) use section::{Context, Section, Setting, Settings};

/// Everything that `optoggles.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where `serve` listens.
    pub(crate) bind: Bind,
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
    let hint = match nearest::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.len() > MOST => format!("it is not one of the {} in the file", known.len()),
        None => format!("it has: {}", known.join(", ")),
    };
    format!(
        "the configuration has no toggle `{}`: {hint}",
        key.escape_debug()
    )
}

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// A host name or IP address (an IPv6 one without brackets); empty: every interface.
    pub(crate) host: String,
    /// 0: one that is free.
    pub(crate) port: u16,
}

/// Where the users of toggles come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// `[A-Za-z0-9][A-Za-z0-9._-]*`, unique.
    pub(crate) id: String,
    /// The name of its type.
    pub(crate) kind: &'static str,
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

/// `max_removal`: the most users that may be removed from a toggle at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum MaxRemoval {
    /// Nothing is said: half of those who have it, where they are ten or more. A share says nothing of
    /// fewer.
    #[default]
    Unset,
    /// So many percent of those who have it.
    Percent(f64),
    /// So many users, and never all of them.
    Users(usize),
    /// Anybody may be removed.
    Off,
}

/// From how many users on the limit holds where the configuration says nothing.
const FROM: usize = 10;

impl MaxRemoval {
    /// Whether so many of those who have a toggle may be removed, after which so many are left.
    pub(crate) fn allows(self, removed: usize, of: usize, left: usize) -> bool {
        match self {
            MaxRemoval::Unset => of < FROM || removed * 2 <= of,
            MaxRemoval::Percent(percent) => removed as f64 * 100.0 <= percent * of as f64,
            MaxRemoval::Users(users) => removed == 0 || (removed <= users && left > 0),
            MaxRemoval::Off => true,
        }
    }

    /// Whether everybody may be removed, however many these are.
    pub(crate) fn allows_everybody(self) -> bool {
        match self {
            MaxRemoval::Percent(percent) => percent >= 100.0,
            MaxRemoval::Off => true,
            MaxRemoval::Unset | MaxRemoval::Users(_) => false,
        }
    }
}

impl fmt::Display for MaxRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxRemoval::Unset => f.write_str("\"50%\""),
            MaxRemoval::Percent(percent) => write!(f, "\"{percent}%\""),
            MaxRemoval::Users(users) => write!(f, "{users}"),
            MaxRemoval::Off => f.write_str("\"off\""),
        }
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

/// What of an old configuration a new one no longer mentions, in sentences for the log: at the target it
/// stays as it is.
pub(crate) fn left_behind(old: &Config, new: &Config) -> Vec<String> {
    let mut left = Vec::new();
    if old.target.place() != new.target.place() {
        left.push("the target has changed: the toggles at the old one stay as they are".into());
    }
    for source in &old.sources {
        if !new.sources.iter().any(|it| it.id == source.id) {
            left.push(format!("source {} is no longer used", source.id));
        }
    }
    for toggle in &old.toggles {
        let key = &toggle.key;
        match new.toggles.iter().find(|it| it.key == *key) {
            None => left.push(format!(
                "toggle {key} is no longer kept: at the target it stays as it is; turn it off or \
                 delete it there"
            )),
            Some(now) => left.extend((new.target.kind.left_behind)(toggle, now)),
        }
    }
    left
}

impl Target {
    /// Where it is; with which credentials it is asked does not matter.
    pub(crate) fn place(&self) -> String {
        let (key, settings) = (self.kind.place, &self.settings);
        let place = match (settings.address(key), settings.path(key)) {
            (Ok(address), _) => address.spelled_alike().to_string(),
            (_, path) => path
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
        };
        format!("{} {place}", self.kind.peer.name)
    }
}
