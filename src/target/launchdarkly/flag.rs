//! A flag as LaunchDarkly tells it, and what of it is not as it should be.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::patch::Instruction;
use super::spec::Spec;
use crate::error::{Failure, Kind};
use crate::http::Object;
use crate::plan::{Environment, Memo, Observed, Present};
use crate::users::Users;

/// A flag in an answer. What the description of the API does not promise is optional.
#[derive(Deserialize)]
pub(super) struct Told {
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
    environments: HashMap<String, Object<Config>>,
}

#[derive(Deserialize)]
struct Variation {
    #[serde(rename = "_id", default)]
    id: String,
    value: Value,
}

/// A flag in one environment. Variations are told by their index.
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
    values: Users,
    variation: usize,
    context_kind: Option<String>,
}

/// What has to be known of a flag to change it.
pub(super) struct Flag {
    /// The id of the variation `true`.
    pub(super) on: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    /// In the order of `spec`.
    pub(super) environments: Vec<State>,
}

/// How a flag was found in one environment.
pub(super) struct State {
    /// The individual targets of kind user of the variation `true`.
    pub(super) targets: Arc<Users>,
    /// Individual targets that should not be there.
    pub(super) strays: Vec<Stray>,
    /// What else has to be put right.
    pub(super) repairs: Vec<Instruction>,
    /// Who is served `true`, where that can be told.
    holders: Option<Arc<Users>>,
}

/// Individual targets of another kind, or of the variation `false`.
pub(super) struct Stray {
    pub(super) kind: Option<String>,
    pub(super) variation: String,
    pub(super) values: Arc<Users>,
}

/// The two variations of a boolean flag, found by their values.
struct Variations<'a> {
    on: (usize, &'a str),
    off: (usize, &'a str),
}

impl Told {
    /// What the engine has to know of the flag.
    ///
    /// # Errors
    ///
    /// Where it is another flag, or can never be what `spec` wants, until somebody changes something
    /// by hand.
    pub(super) fn observed(self, spec: &Spec) -> Result<Observed, Failure> {
        if self.key != spec.key {
            let words = format!("the answer is not about the flag {}", spec.key);
            return Err(Failure::new(Kind::Answer, words));
        }
        let flag = self.flag(spec)?;
        let environments = flag.environments.iter().map(|state| Environment {
            users: state.holders.clone(),
            named: Some(Arc::clone(&state.targets))
                .filter(|named| state.holders.as_ref() != Some(named)),
            in_order: state.is_in_order(),
        });
        Ok(Observed::Present(Present {
            described: spec.describes(&flag),
            environments: environments.collect(),
            memo: Memo::new(flag),
        }))
    }

    /// Whether a list told of its targets and rules: without `summary=0` it does not, and that
    /// looks as if there were none.
    pub(super) fn is_whole(&self) -> bool {
        let whole = |config: &Config| config.targets.is_some() && config.rules.is_some();
        self.environments.values().all(|config| whole(config))
    }

    fn flag(mut self, spec: &Spec) -> Result<Flag, Failure> {
        if self.archived {
            return Err(refuse(format!(
                "the flag {} is archived: restore it in LaunchDarkly, or take the toggle out of \
                 the configuration",
                self.key
            )));
        }
        let variations = self.variations()?;
        let mut environments: Vec<State> = Vec::new();
        for key in &spec.environments {
            let config = self.environments.get(key);
            let config = config.ok_or_else(|| spec.has_no_environment(key))?;
            let mut state = config.state(&variations);
            // Of equal sets one is kept: they can be large.
            let known = environments.iter().map(|state: &State| &state.targets);
            if let Some(known) = known.into_iter().find(|known| **known == state.targets) {
                state.share(Arc::clone(known));
            }
            environments.push(state);
        }
        let on = variations.on.1.to_owned();
        self.tags.sort_unstable();
        Ok(Flag {
            on,
            name: self.name,
            description: self.description,
            tags: self.tags,
            environments,
        })
    }

    fn variations(&self) -> Result<Variations<'_>, Failure> {
        let find = |value: bool| {
            let mut all = self.variations.iter().enumerate();
            let found = all.find(|(_, variation)| variation.value == Value::Bool(value));
            found.map(|(index, variation)| (index, variation.id.as_str()))
        };
        match (find(true), find(false), self.variations.len()) {
            (Some(on), Some(off), 2) if on.1 == off.1 || on.1.is_empty() || off.1.is_empty() => {
                let words = format!(
                    "the flag {} comes without an id for each of its variations",
                    self.key
                );
                Err(Failure::new(Kind::Answer, words))
            }
            (Some(on), Some(off), 2) => Ok(Variations { on, off }),
            _ => Err(refuse(format!(
                "the flag {} is not boolean: give the toggle another key, or delete the flag in \
                 LaunchDarkly, so that it is created anew",
                self.key
            ))),
        }
    }
}

impl Config {
    fn state(&self, variations: &Variations) -> State {
        let (on, off) = (variations.on, variations.off);
        let mut targets = Users::default();
        let mut strays = Vec::new();
        let all = self.targets.iter().chain(&self.context_targets).flatten();
        // Entries without values mark an order, and mean nothing here.
        for target in all.filter(|target| !target.values.is_empty()) {
            let is_user = target
                .context_kind
                .as_deref()
                .is_none_or(|kind| kind == "user");
            if is_user && target.variation == on.0 {
                targets = targets.and(&target.values);
                continue;
            }
            let is_on = target.variation == on.0;
            strays.push(Stray {
                kind: target.context_kind.clone().filter(|_| !is_user),
                variation: if is_on { on.1 } else { off.1 }.to_owned(),
                values: Arc::new(target.values.clone()),
            });
        }
        let targets = Arc::new(targets);
        let repairs = self.repairs(variations);
        let nobody_else = strays.iter().all(|stray| stray.variation != on.1);
        let serves_targets = self.serves_targets_alone(variations) && nobody_else;
        let holders = match self.on {
            true => serves_targets.then(|| Arc::clone(&targets)),
            false => (self.off_variation == Some(off.0)).then(Arc::default),
        };
        State {
            targets,
            strays,
            repairs,
            holders,
        }
    }

    /// What is wrong beside the targets.
    fn repairs(&self, variations: &Variations) -> Vec<Instruction> {
        let off = || variations.off.1.to_owned();
        let mut repairs = Vec::new();
        if has_any(self.prerequisites.as_ref()) {
            repairs.push(Instruction::ReplacePrerequisites { prerequisites: [] });
        }
        if has_any(self.rules.as_ref()) {
            repairs.push(Instruction::ReplaceRules { rules: [] });
        }
        if !self.falls_through_to(variations.off.0) {
            let variation_id = off();
            repairs.push(Instruction::UpdateFallthroughVariationOrRollout { variation_id });
        }
        if self.off_variation != Some(variations.off.0) {
            let variation_id = off();
            repairs.push(Instruction::UpdateOffVariation { variation_id });
        }
        if !self.on {
            repairs.push(Instruction::TurnFlagOn);
        }
        repairs
    }

    /// Whether, while it is on, nobody but individual targets can get `true`, and they do.
    fn serves_targets_alone(&self, variations: &Variations) -> bool {
        self.falls_through_to(variations.off.0)
            && !has_any(self.rules.as_ref())
            && !has_any(self.prerequisites.as_ref())
    }

    fn falls_through_to(&self, variation: usize) -> bool {
        let fallthrough = self.fallthrough.as_ref();
        fallthrough.is_some_and(|it| it.variation == Some(variation) && it.rollout.is_none())
    }
}

impl State {
    fn is_in_order(&self) -> bool {
        self.strays.is_empty() && self.repairs.is_empty()
    }

    fn share(&mut self, targets: Arc<Users>) {
        if self.holders.as_ref() == Some(&self.targets) {
            self.holders = Some(Arc::clone(&targets));
        }
        self.targets = targets;
    }
}

fn has_any<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

/// A failure that lasts until somebody changes something by hand.
pub(super) fn refuse(words: String) -> Failure {
    Failure::new(Kind::Misfit, words)
}
