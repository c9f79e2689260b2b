//! The toggles that have left the configuration, and that their target is to turn off.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Config, Target, TargetId, Toggle, keep, name_of};

/// Which toggles are retired, of those that carry the mark of their target's `owner` and are not in the
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Retires {
    All,
    /// Those with these names, as a user writes them.
    Called {
        /// Each with what to say if no toggle has it.
        names: BTreeMap<String, String>,
        /// What the configuration keeps, chosen or not.
        kept: BTreeSet<Place>,
    },
}

impl Retires {
    pub(crate) const NONE: Retires = Retires::Called {
        names: BTreeMap::new(),
        kept: BTreeSet::new(),
    };
}

/// Where a toggle is: its target's place, its key, and its project, if it has one.
type Place = (String, String, Option<String>);

/// A toggle at a target that carries the mark of its `owner`.
#[derive(Clone, Debug, PartialEq)]
pub struct Marked {
    pub(crate) key: String,
    /// What the target needs to turn it off.
    pub(crate) spec: Map<String, Value>,
}

impl Marked {
    /// At a target without projects.
    pub(crate) fn plain(key: &str) -> Marked {
        Marked {
            key: key.to_owned(),
            spec: Map::new(),
        }
    }
}

impl Config {
    /// The same, with other toggles to retire at a target.
    pub(crate) fn retiring(mut self, target: TargetId, found: Vec<Marked>) -> Config {
        let found = self.to_retire(target, found);
        let is_other = |it: &Toggle| it.rule.is_some() || it.target != target;
        self.toggles.retain(is_other);
        for Marked { key, spec } in &found {
            let id = &self.targets[target].id;
            let plain = name_of(id, key, self.targets.len() == 1);
            // Keys are unique within a project.
            let project = self.targets[target].kind.project_of(spec);
            let names = [
                plain.clone(),
                format!("{plain} ({})", project.unwrap_or(id)),
            ];
            let is_free = |name: &String| self.toggles.iter().all(|it| it.name != *name);
            let [_, full] = names.clone();
            self.toggles.push(Toggle {
                key: key.clone(),
                name: names.into_iter().find(is_free).unwrap_or(full),
                target,
                rule: None,
                spec: spec.clone(),
                max_removal: self.max_removal,
            });
        }
        self
    }

    /// The toggles to retire, and nothing else. Of those that a name can mean, it means the one that has it.
    pub(crate) fn retired_only(mut self) -> Config {
        self.toggles.retain(|toggle| toggle.rule.is_none());
        if let Retires::Called { names, .. } = &self.retires {
            let names = names.keys();
            let named: BTreeSet<&str> = self.toggles.iter().map(|it| &*it.name).collect();
            let is_meant = |it: &Toggle| {
                names.clone().any(|name| match named.contains(&**name) {
                    true => it.name == *name,
                    false => self.is_called(it.target, &it.place(), name),
                })
            };
            let ids = self.toggles.iter().enumerate();
            let meant = ids
                .filter(|(_, it)| is_meant(it))
                .map(|(id, _)| id)
                .collect();
            keep(&mut self.toggles, &meant);
        }
        self.rules.clear();
        self.sources.clear();
        self.retires = Retires::NONE;
        self
    }

    /// The toggles to retire that are known at a target.
    pub(crate) fn retired_at(&self, target: TargetId) -> Vec<Marked> {
        let toggles = self.toggles_at(target);
        let retired = toggles.filter(|(_, toggle)| toggle.rule.is_none());
        retired.map(|(_, toggle)| toggle.place()).collect()
    }

    /// Of the toggles that carry the mark of a target's owner, those to retire. Another target at the same place
    /// can keep them, or retire them.
    pub(crate) fn to_retire(&self, target: TargetId, mut found: Vec<Marked>) -> Vec<Marked> {
        let kept = self.places(|it| it.rule.is_some() || it.target != target);
        let place = self.targets[target].place.clone();
        found.retain(|it| {
            let place = self.place_within(target, place.clone(), it);
            let is_called = match &self.retires {
                Retires::All => true,
                Retires::Called { names, kept } => {
                    let is_it = |name: &String| self.is_called(target, it, name);
                    !kept.contains(&place) && names.keys().any(is_it)
                }
            };
            is_called && !kept.contains(&place)
        });
        found
    }

    /// Whether a user means this toggle, which is to be retired, by a name: its key, with the target or the
    /// project where that alone could mean another one.
    fn is_called(&self, target: TargetId, toggle: &Marked, name: &str) -> bool {
        let Target { id, kind, .. } = &self.targets[target];
        let rest = name.strip_prefix(&**id);
        let rest = rest.and_then(|rest| rest.strip_prefix('/'));
        let project = kind.project_of(&toggle.spec).unwrap_or(id);
        let full = format!("{} ({project})", toggle.key);
        let is_it = |name: &str| name == toggle.key || name == full;
        is_it(name) || rest.is_some_and(is_it)
    }

    /// What is said of the names that turn out to be those of no toggle to retire, if `found` has all of these.
    pub(crate) fn misnamed(&self, found: &Config) -> Vec<&str> {
        let Retires::Called { names, .. } = &self.retires else {
            return Vec::new();
        };
        let retired = found.toggles.iter().filter(|it| it.rule.is_none());
        let retired: Vec<(TargetId, Marked)> = retired.map(|it| (it.target, it.place())).collect();
        let is_there = |name: &str| {
            let mut retired = retired.iter();
            retired.any(|(target, it)| found.is_called(*target, it, name))
        };
        let wrong = names.iter().filter(|(name, _)| !is_there(name));
        wrong.map(|(_, words)| &**words).collect()
    }

    /// Where these toggles are.
    pub(super) fn places(&self, is_meant: impl Fn(&&Toggle) -> bool) -> BTreeSet<Place> {
        let places: Vec<String> = self.targets.iter().map(|it| it.place.clone()).collect();
        let kept = self.toggles.iter().filter(is_meant);
        let place =
            |it: &Toggle| self.place_within(it.target, places[it.target].clone(), &it.place());
        kept.map(place).collect()
    }

    fn place_within(&self, target: TargetId, place: String, toggle: &Marked) -> Place {
        let project = self.targets[target].kind.project_of(&toggle.spec);
        (place, toggle.key.clone(), project.map(str::to_owned))
    }
}
