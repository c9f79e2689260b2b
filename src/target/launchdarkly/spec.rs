//! What a toggle's `spec` says to LaunchDarkly.

use serde::Deserialize;
use serde_json::Value;

use super::flag::refuse;
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

    pub(super) fn has_no_environment(&self, environment: &str) -> Failure {
        refuse(format!(
            "the project {} has no environment {environment}: correct `environments` of the toggle \
             {}, or create it in LaunchDarkly",
            self.proj_key, self.key
        ))
    }
}
