//! The configuration, as the rest of the program sees it: checked, interpolated, with defaults.
//!
//! The words are those of `optoggles.toml`; the file itself is read in the modules below.

pub(crate) mod draft;
mod interpolate;
mod keys;
pub(crate) mod load;
mod mask;
mod nearest;
pub(crate) mod report;
mod retired;
mod section;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::secret::{Secret, Secrets};

pub(crate) use keys::{
    Catalog, Form, Key, OWNER, PeerType, Shared, Spec, TLS, TargetType, ValueKind, is_id,
};
pub(crate) use retired::{Marked, Retires};
pub(crate) use section::{Context, Section, Setting, Settings};

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
    pub(crate) bind: Bind,
    /// Time between resyncs; none: no resyncs.
    pub(crate) resync_interval: Option<Duration>,
    pub(crate) http_timeout: Duration,
    /// A line for each change of users goes there.
    pub(crate) audit_log: Option<PathBuf>,
    /// The end of a single pass: files that hang are given up then.
    pub(crate) until: Option<Instant>,
    /// Requests in flight at once, to each source and to each target; at least 1.
    pub(crate) concurrency: usize,
    pub(crate) sources: Vec<Source>,
    pub(crate) targets: Vec<Target>,
    /// Those that toggles follow, each once.
    pub(crate) rules: Vec<Rule>,
    pub(crate) toggles: Vec<Toggle>,
    /// That of the file, which holds for toggles without their own.
    pub(crate) max_removal: MaxRemoval,
    pub(crate) retires: Retires,
    /// What references brought in.
    pub(crate) secrets: Arc<Secrets>,
}

impl Config {
    /// The same for these toggles alone and what they use; where none is named, for all. Where `one_each`, a
    /// name may not be that of several; where `retires`, it may be one that has left the configuration. Fails
    /// with each name that is wrong, on a line of its own.
    pub(crate) fn only(
        mut self,
        names: &[String],
        one_each: bool,
        retires: bool,
    ) -> Result<Config, String> {
        let mut chosen: BTreeSet<ToggleId> = BTreeSet::new();
        let mut wrong = Vec::new();
        let mut left = BTreeMap::new();
        let may_have_left = retires && self.targets.iter().any(Target::has_owner);
        for name in names {
            match &self.called(name)[..] {
                [] if may_have_left => drop(left.insert(name.clone(), self.no_toggle(name))),
                [] => wrong.push(self.no_toggle(name)),
                several @ [_, _, ..] if one_each => wrong.push(self.several_toggles(name, several)),
                found => chosen.extend(found),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        if !names.is_empty() {
            self.retires = match left.is_empty() {
                true => Retires::NONE,
                false => Retires::Called {
                    names: left,
                    kept: self.places(|_| true),
                },
            };
            keep(&mut self.toggles, &chosen);
        }
        let looks = self.retires != Retires::NONE;
        let targets = 0..self.targets.len();
        let mut owned: Vec<TargetId> = targets
            .filter(|id| looks && self.targets[*id].has_owner())
            .collect();
        let toggles = &mut self.toggles;
        let rules = toggles.iter_mut().filter_map(|it| it.rule.as_mut());
        keep_used(&mut self.rules, rules);
        let targets = toggles.iter_mut().map(|it| &mut it.target);
        keep_used(&mut self.targets, targets.chain(&mut owned));
        let rules = &mut self.rules;
        keep_used(&mut self.sources, rules.iter_mut().map(|it| &mut it.source));
        Ok(self)
    }

    /// The source of a toggle's rule.
    pub(crate) fn source_of(&self, toggle: &Toggle) -> Option<&Source> {
        let rule = toggle.rule?;
        Some(&self.sources[self.rules[rule].source])
    }

    /// The toggle that is meant as `target/key`, else those of this key.
    fn called(&self, name: &str) -> Vec<ToggleId> {
        let ids = 0..self.toggles.len();
        let is_meant = |id: &ToggleId| {
            let toggle = &self.toggles[*id];
            name.split_once('/') == Some((&*self.targets[toggle.target].id, &*toggle.key))
        };
        match ids.clone().find(is_meant) {
            Some(id) => vec![id],
            None => ids.filter(|id| self.toggles[*id].key == name).collect(),
        }
    }

    pub(crate) fn rules_of(&self, source: &Source) -> Vec<Rule> {
        let rules = self.rules.iter();
        let ours = rules.filter(|rule| self.sources[rule.source].id == source.id);
        ours.cloned().collect()
    }

    /// The toggles of a target, with their ids.
    pub(crate) fn toggles_at(&self, target: TargetId) -> impl Iterator<Item = (ToggleId, &Toggle)> {
        let toggles = self.toggles.iter().enumerate();
        toggles.filter(move |(_, toggle)| toggle.target == target)
    }

    /// Where a toggle is: its target's place, and its key.
    pub(crate) fn place_of(&self, id: ToggleId) -> (String, &str) {
        let toggle = &self.toggles[id];
        (self.targets[toggle.target].place.clone(), &toggle.key)
    }

    /// A toggle as logs and reports name it.
    pub(crate) fn name_of(&self, id: ToggleId) -> &str {
        &self.toggles[id].name
    }

    /// The same without its target: its key, unless that alone could mean another toggle.
    pub(crate) fn name_at_target(&self, id: ToggleId) -> &str {
        let Toggle { name, target, .. } = &self.toggles[id];
        let rest = name.strip_prefix(&*self.targets[*target].id);
        rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
    }

    /// Whether a target, or the audit log, shows by which revision OPA decided.
    pub(crate) fn shows_revision(&self) -> bool {
        self.audit_log.is_some() || self.targets.iter().any(|target| target.kind.shows_revision)
    }

    /// What messages call things by, and where they are, wherever it comes from.
    fn names(&self) -> BTreeSet<String> {
        let sources = self.sources.iter().map(|it| (&it.id, &it.settings));
        let targets = self.targets.iter().map(|it| (&it.id, &it.settings));
        let peers = sources.chain(targets);
        let peers = peers.flat_map(|(id, settings)| settings.hosts().chain([id.clone()]));
        let rules = self.rules.iter();
        let rules = rules.flat_map(|it| [it.package.clone(), it.rule.clone()]);
        let keys = self.toggles.iter().map(|it| it.key.clone());
        peers.chain(rules).chain(keys).collect()
    }

    /// Says that there is no such toggle, and which one may be meant.
    fn no_toggle(&self, name: &str) -> String {
        const MOST: usize = 10;
        let known: Vec<&str> = self.toggles.iter().map(|toggle| &*toggle.name).collect();
        let keys = self.toggles.iter().map(|toggle| &*toggle.key);
        let all = known.iter().copied().chain(keys);
        let hint = match nearest::nearest(name, all) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.len() > MOST => {
                format!("it is not one of the {} in the file", known.len())
            }
            None => format!("it has: {}", known.join(", ")),
        };
        format!(
            "the configuration has no toggle `{}`: {hint}",
            name.escape_debug()
        )
    }

    fn several_toggles(&self, name: &str, ids: &[ToggleId]) -> String {
        let names: Vec<&str> = ids.iter().map(|id| self.name_of(*id)).collect();
        let (name, names) = (name.escape_debug(), names.join(", "));
        format!("the toggle `{name}` is at several targets: write one of {names}")
    }
}

/// A toggle's name: with the target too where the key alone could mean another toggle.
fn name_of(target: &str, key: &str, is_alone: bool) -> String {
    match is_alone && !key.starts_with(&format!("{target}/")) {
        true => key.to_owned(),
        false => format!("{target}/{key}"),
    }
}

/// Keeps the things with these indices.
fn keep<T>(things: &mut Vec<T>, used: &BTreeSet<usize>) {
    let mut id = 0..;
    things.retain(|_| id.next().is_some_and(|id| used.contains(&id)));
}

/// Keeps the things that are used, by their indices, and corrects these.
fn keep_used<'u, T>(things: &mut Vec<T>, uses: impl Iterator<Item = &'u mut usize>) {
    let uses: Vec<&mut usize> = uses.collect();
    let used: BTreeSet<usize> = uses.iter().map(|id| **id).collect();
    for id in uses {
        *id = used.range(..*id).count();
    }
    keep(things, &used);
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

/// A feature management platform that holds toggles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// Like that of a source; of `[target]`, the name of its type.
    pub(crate) id: String,
    /// Its place in the file, such as `target` or `targets[1]`.
    pub(crate) key: String,
    pub(crate) kind: &'static TargetType,
    pub(crate) settings: Settings,
    /// Where it is; with which credentials it is asked does not matter. Empty if its type has no place.
    pub(crate) place: String,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Toggle {
    /// Unique within its target.
    pub(crate) key: String,
    /// Unique: `key`, or `target/key` where the file has several targets.
    pub(crate) name: String,
    pub(crate) target: TargetId,
    /// None: it has left the configuration, and is to be off for everybody.
    pub(crate) rule: Option<RuleId>,
    pub(crate) spec: Map<String, Value>,
    /// The most of its users that may be removed at once: its own limit, else that of the file.
    pub(crate) max_removal: MaxRemoval,
}

impl Toggle {
    /// What tells it from others of its target.
    pub(crate) fn place(&self) -> Marked {
        Marked {
            key: self.key.clone(),
            spec: self.spec.clone(),
        }
    }
}

impl fmt::Debug for Toggle {
    /// Leaves `spec` out: interpolation can bring secrets there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Toggle({} at target {})", self.key, self.target)
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
        self.allows(FROM, FROM, 0)
    }
}

impl fmt::Display for MaxRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxRemoval::Unset => f.write_str("the default max_removal = \"50%\""),
            MaxRemoval::Percent(percent) => write!(f, "max_removal = \"{percent}%\""),
            MaxRemoval::Users(users) => write!(f, "max_removal = {users}"),
            MaxRemoval::Off => f.write_str("max_removal = \"off\""),
        }
    }
}

/// A rule of a source's policy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(crate) source: SourceId,
    /// Such as `app.rbac`.
    pub(crate) package: String,
    pub(crate) rule: String,
    /// What OPA evaluates it with, if anything.
    pub(crate) input: Option<Value>,
}

impl fmt::Debug for Rule {
    /// Leaves `input` out: interpolation can bring secrets there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({self} of source {})", self.source)
    }
}

impl fmt::Display for Rule {
    /// As Rego names it: `data.app.rbac.us_users`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data.{}.{}", self.package, self.rule)
    }
}

/// What of an old configuration a new one no longer mentions, in sentences for the log: at the target it
/// stays as it is, unless that is in memory.
pub(crate) fn left_behind(old: &Config, new: &Config) -> Vec<String> {
    let mut left = Vec::new();
    let successors = successors(&old.targets, &new.targets);
    let targets = old.targets.iter().zip(&successors);
    for (Target { id, kind, .. }, _) in targets.filter(|(_, successor)| successor.is_none()) {
        left.push(match new.targets.iter().any(|it| it.id == *id) {
            _ if kind.is_served => format!("target {id} is no longer answered for"),
            true => format!("target {id} has changed: the toggles at the old one stay as they are"),
            false => format!("target {id} is no longer used: its toggles stay as they are"),
        });
    }
    for source in &old.sources {
        if !new.sources.iter().any(|it| it.id == source.id) {
            left.push(format!("source {} is no longer used", source.id));
        }
    }
    let toggles = new.toggles.iter();
    let toggles: HashMap<(TargetId, &str), &Toggle> =
        toggles.map(|it| ((it.target, &*it.key), it)).collect();
    for (id, toggle) in old.toggles.iter().enumerate() {
        // All toggles of a target that is left behind stay as they are.
        let Some(target) = successors[toggle.target] else {
            continue;
        };
        let (name, kind) = (old.name_of(id), old.targets[toggle.target].kind);
        left.extend(match toggles.get(&(target, &*toggle.key)) {
            None if kind.is_served => Some(format!("toggle {name} is no longer answered for")),
            None if new.targets[target].has_owner() => Some(format!(
                "toggle {name} has left the configuration: turning it off for everybody"
            )),
            None => Some(format!(
                "toggle {name} is no longer kept: at the target it stays as it is; turn it off or \
                 delete it there"
            )),
            Some(now) => kind.left_behind(&toggle.spec, &now.spec).map(|place| {
                let place = old.secrets.redact(&place);
                let has_moved = kind.project_of(&toggle.spec) != kind.project_of(&now.spec);
                if has_moved && new.targets[target].has_owner() {
                    return format!(
                        "toggle {name} has left {place}: turning it off there for everybody"
                    );
                }
                let kept = format!("toggle {name} is no longer kept in {place}");
                format!("{kept}: there it stays as it is; turn it off there")
            }),
        });
    }
    left
}

/// For each target of an old configuration the one of a new configuration that is at the same place. That
/// alone can mean several, such as accounts at one address: then the settings tell, or else the id.
pub(crate) fn successors(old: &[Target], new: &[Target]) -> Vec<Option<TargetId>> {
    fn same_id(it: &Target, other: &Target) -> bool {
        it.id == other.id
    }
    fn same_settings(it: &Target, other: &Target) -> bool {
        it.settings == other.settings
    }
    let mut found = vec![None; old.len()];
    let rounds: [fn(&Target, &Target) -> bool; 4] = [
        |it, other| same_id(it, other) && same_settings(it, other),
        same_settings,
        same_id,
        |_, _| true,
    ];
    for is_same in rounds {
        for (id, target) in old.iter().enumerate() {
            let is_free = |other: &TargetId| !found.contains(&Some(*other));
            let is_it = |other: &TargetId| {
                let other = &new[*other];
                target.place == other.place && is_same(target, other)
            };
            found[id] = found[id].or_else(|| (0..new.len()).filter(is_free).find(is_it));
        }
    }
    found
}

impl Target {
    /// Whether its toggles are marked, and retired once they have left the configuration.
    pub(crate) fn has_owner(&self) -> bool {
        self.settings.text(OWNER.name).is_ok()
    }

    /// Whether a toggle of one is that of the other too: with other credentials, the same place can be another
    /// account.
    fn overwrites(&self, other: &Target) -> bool {
        let is_same_place = !self.place.is_empty() && self.place == other.place;
        is_same_place
            && [self, other].iter().all(|it| it.settings.is_whole())
            && self.settings.credentials() == other.settings.credentials()
    }
}
