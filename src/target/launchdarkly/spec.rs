//! What a toggle's `spec` says to LaunchDarkly.

use serde::Deserialize;
use serde_json::Value;

use super::flag::{Flag, refuse};
use super::patch::Instruction;
use crate::config::Toggle;
use crate::error::Failure;

/// The `spec` of a toggle.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Spec {
    #[serde(skip)]
    pub(super) key: String,
    pub(super) name: String,
    pub(super) proj_key: String,
    pub(super) environments: Vec<String>,
    pub(super) description: Option<String>,
    pub(super) tags: Option<Vec<String>>,
}

impl Spec {
    /// Reads it from the configuration, which was checked.
    ///
    /// # Errors
    ///
    /// Where the configuration was made in another way.
    pub(super) fn of(toggle: &Toggle) -> Result<Spec, String> {
        let spec = serde_json::from_value(Value::Object(toggle.spec.clone()));
        let mut spec: Spec =
            spec.map_err(|error| format!("toggle {}: spec: {error}", toggle.key))?;
        spec.key = toggle.key.clone();
        if let Some(tags) = &mut spec.tags {
            tags.sort_unstable();
            tags.dedup();
        }
        Ok(spec)
    }

    /// Whether a flag's name, description and tags are those of the `spec`.
    pub(super) fn describes(&self, flag: &Flag) -> bool {
        self.description_patch(flag).is_empty()
    }

    /// What makes them so. What the `spec` does not mention is left as it is.
    pub(super) fn description_patch(&self, flag: &Flag) -> Vec<Instruction> {
        let mut patch = Vec::new();
        if self.name != flag.name {
            let value = self.name.clone();
            patch.push(Instruction::UpdateName { value });
        }
        if let Some(value) = self
            .description
            .clone()
            .filter(|it| *it != flag.description)
        {
            patch.push(Instruction::UpdateDescription { value });
        }
        if let Some(desired) = &self.tags {
            let without = |tags: &[String], others: &[String]| -> Vec<String> {
                let missing = tags.iter().filter(|tag| !others.contains(tag));
                missing.cloned().collect()
            };
            let (added, removed) = (without(desired, &flag.tags), without(&flag.tags, desired));
            if !added.is_empty() {
                patch.push(Instruction::AddTags { values: added });
            }
            if !removed.is_empty() {
                patch.push(Instruction::RemoveTags { values: removed });
            }
        }
        patch
    }

    pub(super) fn has_no_environment(&self, environment: &str) -> Failure {
        refuse(format!(
            "the project {} has no environment {environment}: correct `environments` of the toggle \
             {}, or create it in LaunchDarkly",
            self.proj_key, self.key
        ))
    }
}
