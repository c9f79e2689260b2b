//! The instructions of a semantic patch.

use serde::Deserialize;
use serde_json::{Value, json};

use super::create::is_tag;
use super::flag::{Flag, Variation};
use super::targets::USER;

/// The instructions of a semantic patch that optoggles has a use for. Any other kind, and any
/// parameter that the kind does not have, is refused.
#[derive(Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(super) enum Instruction {
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
    ClearTargets {
        variation_id: String,
    },
    ReplaceTargets {
        targets: Vec<Targets>,
    },
    /// optoggles removes them all, so only an empty list is accepted.
    ReplaceRules {
        rules: [Value; 0],
    },
    /// The same.
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
    ArchiveFlag {},
    RestoreFlag {},
}

/// Keys of contexts, and the variation that they get.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Targets {
    #[serde(default = "user")]
    context_kind: String,
    variation_id: String,
    values: Vec<String>,
}

impl Instruction {
    /// Does it. A flag that it failed on must be thrown away.
    pub(super) fn apply(self, flag: &mut Flag, environment: Option<&str>) -> Result<(), String> {
        let Flag {
            name,
            description,
            tags,
            archived,
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
            Self::ClearTargets { variation_id } => config?.clear_targets(index(&variation_id)?),
            Self::ReplaceTargets { targets } => {
                let config = config?;
                config.targets.clear();
                config.context_targets.clear();
                for new in targets {
                    let variation = index(&new.variation_id)?;
                    config.add_targets(&new.context_kind, variation, new.values)?;
                }
            }
            Self::ReplaceRules { rules: [] } => config?.rules.clear(),
            Self::ReplacePrerequisites { prerequisites: [] } => config?.prerequisites.clear(),
            Self::UpdateName { value } => *name = checked_name(value)?,
            Self::UpdateDescription { value } => *description = value,
            Self::AddTags { values } => tags.extend(checked_tags(values)?),
            Self::RemoveTags { values } => {
                let gone = checked_tags(values)?;
                tags.retain(|tag| !gone.contains(tag));
            }
            Self::ArchiveFlag {} => *archived = true,
            Self::RestoreFlag {} => *archived = false,
        }
        Ok(())
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

fn checked_name(name: String) -> Result<String, String> {
    match name.trim().is_empty() {
        true => Err("a flag needs a name".into()),
        false => Ok(name),
    }
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
