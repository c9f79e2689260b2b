//! What a toggle's `spec` says to LaunchDarkly.

use serde::Deserialize;
use serde_json::Value;

use crate::config::Toggle;

#[derive(Deserialize)]
pub(super) struct Spec {
    #[serde(skip)]
    pub(super) key: String,
    /// Says in the audit log who asks for a change.
    #[serde(skip)]
    pub(super) comment: String,
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
        spec.comment = format!("optoggles: {}", toggle.users_policy);
        if let Some(tags) = &mut spec.tags {
            tags.sort_unstable();
            tags.dedup();
        }
        Ok(spec)
    }

    pub(super) fn has_no_environment(&self, environment: &str) -> String {
        format!(
            "the project {} has no environment {environment}: correct `environments` of the toggle \
             {}, or create it in LaunchDarkly",
            self.proj_key, self.key
        )
    }
}
