//! A flag as LaunchDarkly shows it, and the semantic patches that correct it: what
//! differs, and nothing else.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spec::Spec;
use crate::error::{Failure, Kind};
use crate::http::Object;
use crate::json::Members;
use crate::plan::{Environment, Present};
use crate::users::Users;

/// A flag in an answer. What the description of the API does not promise is optional.
#[derive(Deserialize)]
pub(super) struct FlagAnswer {
    pub(super) key: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    archived: bool,
    variations: Vec<Object<Variation>>,
    #[serde(default)]
    environments: Members<Object<Config>>,
    /// Some environments were not shown.
    #[serde(skip)]
    has_gap: bool,
}

#[derive(Deserialize)]
struct Variation {
    #[serde(rename = "_id", default)]
    id: String,
    value: Value,
}

/// A flag in one environment. Variations are referred to by their index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    on: bool,
    fallthrough: Option<Object<Fallthrough>>,
    off_variation: Option<usize>,
    targets: Option<Vec<Object<Target>>>,
    context_targets: Option<Vec<Object<Target>>>,
    rules: Option<Vec<IgnoredAny>>,
    prerequisites: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Fallthrough {
    variation: Option<usize>,
    rollout: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    values: Arc<Users>,
    variation: usize,
    context_kind: Option<String>,
}

/// What a flag needs to be as it should be.
pub(super) struct Flag {
    /// The id of the variation `true`.
    on: String,
    /// What brings name, description and tags in line with the `spec`; none while that is being sent.
    pub(super) description: Option<Vec<Instruction>>,
    /// In the order of `spec`; none for one that the flag does not have, or that is being changed.
    pub(super) environments: Vec<Option<State>>,
}

/// A flag in one environment, and what puts it in order.
pub(super) struct State {
    /// The individual targets of kind user of the variation `true`.
    targets: Arc<Users>,
    /// What removes individual targets that should not be there.
    strays: Vec<Instruction>,
    /// What puts right all but the individual targets.
    repairs: Vec<Instruction>,
    /// Who is served `true`, where that is certain.
    users: Option<Arc<Users>>,
}

impl FlagAnswer {
    /// Whether a list showed its targets and rules: without `summary=0` it does not, as if there were none.
    pub(super) fn is_whole(&self) -> bool {
        let whole = |config: &Config| config.targets.is_some() && config.rules.is_some();
        !self.has_gap && self.environments.values().all(|config| whole(config))
    }

    /// Takes over other environments of this flag from another list. It may not be there, where a flag was
    /// created or deleted in between.
    pub(super) fn take_environments(&mut self, other: Option<FlagAnswer>) {
        match other {
            Some(mut other) => self.environments.append(&mut other.environments),
            None => self.has_gap = true,
        }
    }

    /// The flag, unless it is another one, or has to be changed by hand before it can be what `spec` says.
    pub(super) fn flag(self, spec: &Spec) -> Result<Flag, Failure> {
        if self.key != spec.key {
            let words = format!("the answer is not about the flag {}", spec.key);
            return Err(Failure::new(Kind::Answer, words));
        }
        if self.archived {
            return Err(refuse(format!(
                "the flag {} is archived: restore it in LaunchDarkly, or remove the toggle from the \
                 configuration",
                self.key
            )));
        }
        let variations @ [(_, on), _] = self.variations()?;
        let mut environments: Vec<Option<State>> = Vec::new();
        for key in &spec.environments {
            let config = self.environments.get(key);
            let state = config.map(|config| config.state(variations, &environments));
            environments.push(state);
        }
        Ok(Flag {
            on: on.to_owned(),
            description: Some(self.description(spec)),
            environments,
        })
    }

    /// What brings name, description and tags in line with the `spec`, where it mentions them.
    fn description(&self, spec: &Spec) -> Vec<Instruction> {
        let mut patch = Vec::new();
        if self.name != spec.name {
            let value = spec.name.clone();
            patch.push(Instruction::UpdateName { value });
        }
        if let Some(value) = &spec.description
            && *value != self.description
        {
            let value = value.clone();
            patch.push(Instruction::UpdateDescription { value });
        }
        if let Some(tags) = &spec.tags {
            let without = |tags: &[String], others: &[String]| -> Vec<String> {
                let left = tags.iter().filter(|tag| !others.contains(tag));
                left.cloned().collect()
            };
            let (added, mut removed) = (without(tags, &self.tags), without(&self.tags, tags));
            removed.sort_unstable();
            if !added.is_empty() {
                patch.push(Instruction::AddTags { values: added });
            }
            if !removed.is_empty() {
                patch.push(Instruction::RemoveTags { values: removed });
            }
        }
        patch
    }

    /// The two variations of a boolean flag, `true` first, each by its index and its id.
    fn variations(&self) -> Result<[(usize, &str); 2], Failure> {
        let find = |value: bool| {
            let mut all = self.variations.iter().enumerate();
            let found = all.find(|(_, variation)| variation.value == Value::Bool(value));
            found.map(|(index, variation)| (index, variation.id.as_str()))
        };
        match (find(true), find(false), self.variations.len()) {
            (Some(on), Some(off), 2) if on.1 == off.1 || on.1.is_empty() || off.1.is_empty() => {
                let words = format!("the variations of the flag {} have no ids", self.key);
                Err(Failure::new(Kind::Answer, words))
            }
            (Some(on), Some(off), 2) => Ok([on, off]),
            _ => Err(refuse(format!(
                "the flag {} is not boolean: give the toggle another key, or delete the flag in \
                 LaunchDarkly to have it created again",
                self.key
            ))),
        }
    }
}

impl Config {
    fn state(&self, [on, off]: [(usize, &str); 2], others: &[Option<State>]) -> State {
        let mut targets = Users::default();
        let mut strays = Vec::new();
        let mut nobody_else = true;
        let all = self.targets.iter().chain(&self.context_targets).flatten();
        // Entries without values mark an order, and mean nothing here.
        for target in all.filter(|target| !target.values.is_empty()) {
            let kind = target.context_kind.as_deref().unwrap_or("user");
            let (is_user, is_on) = (kind == "user", target.variation == on.0);
            if is_user && is_on {
                targets = targets.and(&target.values);
                continue;
            }
            nobody_else &= !is_on;
            strays.push(Instruction::RemoveTargets(Targets {
                context_kind: target.context_kind.clone().filter(|_| !is_user),
                variation_id: if is_on { on.1 } else { off.1 }.to_owned(),
                values: Arc::clone(&target.values),
            }));
        }
        // Equal sets are shared: they can be large.
        let mut known = others.iter().flatten().map(|state| &state.targets);
        let known = known.find(|known| ***known == targets).cloned();
        let targets = known.unwrap_or_else(|| Arc::new(targets));
        let is_any =
            |list: &Option<Vec<IgnoredAny>>| list.as_ref().is_some_and(|it| !it.is_empty());
        // First what can serve `true` to others while it is on, or `false` to targets.
        let mut repairs = Vec::new();
        if is_any(&self.prerequisites) {
            repairs.push(Instruction::ReplacePrerequisites { prerequisites: [] });
        }
        if is_any(&self.rules) {
            repairs.push(Instruction::ReplaceRules { rules: [] });
        }
        let falls_to_off =
            |it: &Object<Fallthrough>| it.variation == Some(off.0) && it.rollout.is_none();
        if !self.fallthrough.as_ref().is_some_and(falls_to_off) {
            repairs.push(Instruction::UpdateFallthroughVariationOrRollout {
                variation_id: off.1.to_owned(),
            });
        }
        let is_direct = nobody_else && repairs.is_empty();
        let is_off_right = self.off_variation == Some(off.0);
        if !is_off_right {
            repairs.push(Instruction::UpdateOffVariation {
                variation_id: off.1.to_owned(),
            });
        }
        if !self.on {
            repairs.push(Instruction::TurnFlagOn);
        }
        State {
            users: match self.on {
                true if is_direct => Some(Arc::clone(&targets)),
                false if is_off_right => Some(Arc::default()),
                _ => None,
            },
            targets,
            strays,
            repairs,
        }
    }
}

impl Flag {
    /// What the engine has to know of it, as it was read.
    pub(super) fn present(&self, spec: &Spec) -> Present {
        let environments = self.environments.iter().zip(&spec.environments);
        let observed = |(state, key): (&Option<State>, &String)| match state {
            Some(state) => Ok(state.observed()),
            None => Err(refuse(spec.has_no_environment(key))),
        };
        Present {
            described: self.description.as_ref().is_some_and(Vec::is_empty),
            environments: environments.map(observed).collect(),
        }
    }

    /// An environment that is to be changed, with the id of the variation `true`.
    pub(super) fn take(&mut self, number: usize) -> Option<(String, State)> {
        let state = self.environments.get_mut(number)?.take()?;
        Some((self.on.clone(), state))
    }
}

impl State {
    /// One in which exactly these users have the toggle.
    pub(super) fn of(users: &Arc<Users>) -> State {
        State {
            targets: Arc::clone(users),
            strays: Vec::new(),
            repairs: Vec::new(),
            users: Some(Arc::clone(users)),
        }
    }

    /// What makes the flag be on for exactly these users there, `on` being the id of its variation `true`;
    /// nothing where it is.
    pub(super) fn patch(&self, on: &str, desired: &Arc<Users>) -> Vec<Instruction> {
        let change = desired.change_from(&self.targets);
        let of = |values: Arc<Users>| Targets {
            context_kind: None,
            variation_id: on.to_owned(),
            values,
        };
        // Removals first: a key must never be in two variations.
        let mut differences = self.strays.clone();
        if !change.removed.is_empty() {
            differences.push(Instruction::RemoveTargets(of(Arc::new(change.removed))));
        }
        if !change.added.is_empty() {
            differences.push(Instruction::AddTargets(of(Arc::new(change.added))));
        }
        let all = Some(desired).filter(|users| !users.is_empty());
        let whole = Instruction::ReplaceTargets {
            targets: all.cloned().map(of).into_iter().collect(),
        };
        // Mostly the keys alone are longer than the differences, and the whole set need not be measured.
        let length = size(&differences);
        let replaces =
            desired.bytes() < length && size(&[&whole]) < length && !differences.is_empty();
        let mut patch = if replaces { vec![whole] } else { differences };
        patch.extend(self.repairs.iter().cloned());
        patch
    }

    fn observed(&self) -> Environment {
        let named = Some(&self.targets).filter(|named| self.users.as_ref() != Some(named));
        Environment {
            named: named.cloned(),
            users: self.users.clone(),
            in_order: self.strays.is_empty() && self.repairs.is_empty(),
        }
    }
}

/// A failure that lasts until the flag or the configuration is changed by hand.
pub(super) fn refuse(words: impl Into<String>) -> Failure {
    Failure::new(Kind::Misfit, words)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Patch<'a> {
    /// None for what is the same in every environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment_key: Option<&'a str>,
    /// For LaunchDarkly's audit log.
    pub(super) comment: &'a str,
    pub(super) instructions: &'a [Instruction],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Instruction {
    TurnFlagOn,
    UpdateFallthroughVariationOrRollout { variation_id: String },
    UpdateOffVariation { variation_id: String },
    ReplaceRules { rules: [(); 0] },
    ReplacePrerequisites { prerequisites: [(); 0] },
    AddTargets(Targets),
    RemoveTargets(Targets),
    ReplaceTargets { targets: Vec<Targets> },
    UpdateName { value: String },
    UpdateDescription { value: String },
    AddTags { values: Vec<String> },
    RemoveTags { values: Vec<String> },
}

/// Individual targets of a variation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Targets {
    /// None: user.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_kind: Option<String>,
    variation_id: String,
    values: Arc<Users>,
}

/// How long something is as JSON, in bytes.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}
