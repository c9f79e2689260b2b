//! Semantic patches: all of it or nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::wire::{Answer, Request};
use super::flag::{Flag, USER, Variation};
use super::platform::{Project, is_tag};
use super::{SEMANTIC_PATCH, refusal};

/// The body of a semantic patch. The comment only appears in the flag's history.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Patch {
    environment_key: Option<String>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    instructions: Vec<Instruction>,
}

impl Project {
    pub(super) fn patch(&mut self, key: &str, request: &Request) -> Result<Answer, Answer> {
        let flag = self.flags.get_mut(key);
        let flag = flag.ok_or_else(|| refusal(404, "Unknown feature flag key"))?;
        if request.header("content-type") != Some(SEMANTIC_PATCH) {
            return Err(refusal(400, "the stand-in takes semantic patches only"));
        }
        let patch: Patch = serde_json::from_slice(&request.body)
            .map_err(|error| refusal(400, error.to_string()))?;
        if patch.instructions.is_empty() {
            return Err(refusal(400, "no instructions"));
        }
        let place = patch.environment_key.as_deref();
        let approval = place.map(|place| self.environments.get(place));
        if approval.is_some_and(|known| known.is_none()) {
            return Err(refusal(404, "Unknown environment key"));
        }
        let mut patched = flag.clone();
        for instruction in patch.instructions {
            let applied = instruction.apply(&mut patched, place);
            applied.map_err(|why| refusal(400, why))?;
        }
        let changed =
            |place: &&str| patched.environments.get(*place) != flag.environments.get(*place);
        if let Some(place) = place.filter(changed) {
            if let Some(Some(refused)) = approval.flatten() {
                return Err(refused.clone());
            }
            patched.environment(place).version += 1;
        }
        if patched != *flag {
            patched.version += 1;
            *flag = patched;
        }
        Ok(Answer::json(200, &flag.show(&self.key, None, false)))
    }
}

/// The instructions of a semantic patch that optoggles has a use for. Any other kind, and any
/// parameter that the kind does not have, is refused.
#[derive(Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Instruction {
    TurnFlagOn {},
    TurnFlagOff {},
    UpdateFallthroughVariationOrRollout {
        variation_id: String,
    },
    UpdateOffVariation {
        variation_id: String,
    },
    AddTargets(Targets),
    RemoveTargets(Targets),
    ReplaceTargets {
        targets: Vec<Targets>,
    },
    ReplaceRules {
        rules: Vec<NewRule>,
    },
    /// optoggles removes them all, so only an empty list is accepted.
    ReplacePrerequisites {
        prerequisites: [Value; 0],
    },
    UpdateName {
        value: String,
    },
    UpdateDescription {
        value: String,
    },
    AddTags {
        values: Vec<String>,
    },
    RemoveTags {
        values: Vec<String>,
    },
}

/// Keys of contexts, and the variation that they get.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Targets {
    #[serde(default = "user")]
    context_kind: String,
    variation_id: String,
    values: Vec<String>,
}

impl Instruction {
    /// Does it. A flag that it failed on must be thrown away.
    fn apply(self, flag: &mut Flag, environment: Option<&str>) -> Result<(), String> {
        let Flag {
            name,
            description,
            tags,
            variations,
            environments,
            ..
        } = flag;
        let config = environment.and_then(|key| environments.get_mut(key));
        let config = config.ok_or("environmentKey is required");
        let index = |id: &str| index_of(variations, id);
        match self {
            Self::TurnFlagOn {} => config?.on = true,
            Self::TurnFlagOff {} => config?.on = false,
            Self::UpdateFallthroughVariationOrRollout { variation_id } => {
                config?.fallthrough = json!({ "variation": index(&variation_id)? });
            }
            Self::UpdateOffVariation { variation_id } => {
                config?.off_variation = Some(index(&variation_id)?);
            }
            Self::AddTargets(new) => {
                let new = new.some()?;
                let variation = index(&new.variation_id)?;
                config?.add_targets(&new.context_kind, variation, new.values)?;
            }
            Self::RemoveTargets(old) => {
                let old = old.some()?;
                let variation = index(&old.variation_id)?;
                config?.remove_targets(&old.context_kind, variation, &old.values);
            }
            Self::ReplaceTargets { targets } => {
                let config = config?;
                config.targets.clear();
                config.context_targets.clear();
                for new in targets {
                    let variation = index(&new.variation_id)?;
                    config.add_targets(&new.context_kind, variation, new.values)?;
                }
            }
            Self::ReplaceRules { rules } => {
                let rules = rules
                    .into_iter()
                    .map(|rule| rule.show(index(&rule.variation_id)?));
                config?.rules = rules.collect::<Result<_, String>>()?;
            }
            Self::ReplacePrerequisites { prerequisites: [] } => config?.prerequisites.clear(),
            Self::UpdateName { value } if value.trim().is_empty() => {
                return Err("a flag needs a name".into());
            }
            Self::UpdateName { value } => *name = value,
            Self::UpdateDescription { value } => *description = value,
            Self::AddTags { values } => tags.extend(checked_tags(values)?),
            Self::RemoveTags { values } => {
                let gone = checked_tags(values)?;
                tags.retain(|tag| !gone.contains(tag));
            }
        }
        Ok(())
    }
}

/// A rule with one clause, as optoggles makes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewRule {
    variation_id: String,
    description: String,
    clauses: [Clause; 1],
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Clause {
    context_kind: String,
    attribute: String,
    op: String,
    negate: bool,
    values: Vec<String>,
}

impl NewRule {
    fn show(&self, variation: usize) -> Result<Value, String> {
        let mut clause = json!(self.clauses[0]);
        clause["_id"] = json!("clause");
        Ok(json!({
            "_id": "rule",
            "ref": "rule",
            "description": self.description,
            "variation": variation,
            "trackEvents": false,
            "clauses": [clause],
        }))
    }
}

impl Targets {
    /// A request without users should not have been sent.
    fn some(self) -> Result<Targets, String> {
        match self.values.is_empty() {
            true => Err("values must not be empty".into()),
            false => Ok(self),
        }
    }
}

fn index_of(variations: &[Variation], id: &str) -> Result<usize, String> {
    let found = variations.iter().position(|variation| variation.id == id);
    found.ok_or_else(|| format!("no variation has the id {id:?}"))
}

fn checked_tags(tags: Vec<String>) -> Result<Vec<String>, String> {
    match !tags.is_empty() && tags.iter().all(|tag| is_tag(tag)) {
        true => Ok(tags),
        false => Err("Invalid tags".into()),
    }
}

fn user() -> String {
    USER.to_owned()
}
