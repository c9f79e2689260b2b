//! What a toggle's `spec` says to LaunchDarkly.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::mark::Mark;
use super::flag::USER;
use super::segment::Slot;
use crate::config::{self, Form, Key, Shared, Toggle, ValueKind, is_id};
use crate::plan::{Environment, Present};

/// The keys of a toggle's `spec`.
pub(super) const SPEC: config::Spec = config::Spec::Keys(&[
    Key::required("name", ValueKind::Filled, "\"US only\"").says("The flag's name."),
    Key::required("proj_key", ValueKind::Word(&PROJECT), "\"default\"").says("The project's key."),
    Key::required(
        "environments",
        ValueKind::Set(&ENVIRONMENT),
        "[\"production\", \"test\"]",
    )
    .says("The keys of the environments in which the flag is kept. Others are left alone."),
    Key::default("context_kind", ValueKind::Word(&KIND), "\"user\"").says(
        "The kind of the contexts whose keys the rule lists, such as `organization`.",
    ),
    Key::optional("segment", ValueKind::Word(&SEGMENT), "\"us-users\"").says(
        "Keep the users in this segment of each environment, instead of as individual targets of the \
         flag. Toggles that follow the same rule can share it.",
    ),
    Key::optional("description", ValueKind::Text, "\"set by policy\"")
        .says("Left alone where it is not set."),
    Key::optional("tags", ValueKind::Words(&TAG), "[\"policy\"]")
        .says("Left alone where they are not set."),
]);

pub(super) const FLAG: Form = key("LaunchDarkly flag key");
const PROJECT: Form = Form {
    is_met: |text| is_id(text) && text.len() <= 100,
    code: "invalid-key",
    what: "LaunchDarkly project key",
    of: "at most 100 letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
};
const ENVIRONMENT: Form = key("LaunchDarkly environment key");
const SEGMENT: Form = key("LaunchDarkly segment key");
const KIND: Form = Form {
    is_met: |text| is_id(text) && !["kind", "multi"].contains(&text),
    code: "invalid-key",
    what: "LaunchDarkly context kind",
    of: "letters, digits, `.`, `_` and `-`, begins with a letter or digit, and is neither `kind` nor `multi`",
};
const TAG: Form = Form {
    // Unlike a key, it may begin with any of these.
    is_met: |text| (1..=64).contains(&text.len()) && is_id(&format!("a{text}")),
    code: "invalid-key",
    what: "LaunchDarkly tag",
    of: "1 to 64 letters, digits, `.`, `_` and `-`",
};

const fn key(what: &'static str) -> Form {
    Form {
        is_met: is_id,
        code: "invalid-key",
        what,
        of: "letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
    }
}

/// The segment, which has the keys of one kind.
pub(super) fn shares(spec: &Map<String, Value>) -> Option<Shared> {
    let text = |name: &str| spec.get(name).and_then(Value::as_str);
    let (project, segment) = (text("proj_key")?, text("segment")?);
    let kind = text("context_kind").unwrap_or(USER);
    Some(("segment", format!("{project}/{segment}"), kind.to_owned()))
}

#[derive(Deserialize)]
pub(super) struct Spec {
    #[serde(skip)]
    pub(super) key: String,
    /// What LaunchDarkly's audit log shows of a change.
    #[serde(skip)]
    pub(super) comment: String,
    pub(super) name: String,
    pub(super) proj_key: String,
    pub(super) environments: Vec<String>,
    #[serde(default = "user")]
    pub(super) context_kind: String,
    pub(super) segment: Option<String>,
    /// Where the segment is kept, for each environment.
    #[serde(skip)]
    pub(super) slots: Vec<usize>,
    pub(super) description: Option<String>,
    pub(super) tags: Option<Vec<String>>,
    #[serde(skip)]
    pub(super) mark: Mark,
    /// It has left the configuration, and is only turned off.
    #[serde(skip)]
    pub(super) is_retired: bool,
}

fn user() -> String {
    USER.to_owned()
}

impl Spec {
    /// Reads it from the configuration, which was checked.
    pub(super) fn of(toggle: &Toggle, mark: &Mark, comment: String) -> Result<Spec, String> {
        let spec = serde_json::from_value(Value::Object(toggle.spec.clone()));
        let mut spec: Spec =
            spec.map_err(|error| format!("toggle {}: spec: {error}", toggle.key))?;
        spec.comment = comment;
        spec.key = toggle.key.clone();
        spec.mark = mark.clone();
        spec.is_retired = toggle.rule.is_none();
        if let Some(tags) = &mut spec.tags {
            tags.sort_unstable();
            tags.dedup();
        }
        Ok(spec)
    }

    /// Finds its segment in each environment among those of other toggles, or adds it.
    pub(super) fn take_slots(&mut self, slots: &mut Vec<Slot>) {
        let Some(segment) = &self.segment else {
            return;
        };
        for environment in &self.environments {
            let is_it = |slot: &Slot| {
                slot.project == self.proj_key
                    && slot.environment == *environment
                    && slot.key == *segment
            };
            let known = slots.iter().position(is_it);
            self.slots.push(known.unwrap_or(slots.len()));
            if known.is_none() {
                slots.push(Slot {
                    project: self.proj_key.clone(),
                    environment: environment.clone(),
                    key: segment.clone(),
                    kind: self.context_kind.clone(),
                    comment: self.comment.clone(),
                    state: Mutex::default(),
                });
            }
        }
    }

    /// The tags of a new flag, with the mark of its owner.
    pub(super) fn all_tags(&self) -> Vec<String> {
        let tags = self.tags.iter().flatten().cloned();
        BTreeSet::from_iter(tags.chain(self.mark.tag()))
            .into_iter()
            .collect()
    }

    /// The flag in messages.
    pub(super) fn about(&self) -> String {
        format!("flag {} of project {}", self.key, self.proj_key)
    }

    /// A flag that is retired, and is off because it is gone.
    pub(super) fn gone(&self) -> Present {
        let off = |_| Ok(Environment::of(Arc::default()));
        Present {
            described: true,
            environments: self.environments.iter().map(off).collect(),
        }
    }

    pub(super) fn has_no_environment(&self, environment: &str) -> String {
        format!(
            "the project {} has no environment {environment}: correct `environments`, or create \
             it in LaunchDarkly",
            self.proj_key
        )
    }
}
