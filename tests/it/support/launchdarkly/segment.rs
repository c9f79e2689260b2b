//! Segments as LaunchDarkly holds, shows and patches them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::wire::{Answer, Request};
use super::flag::USER;
use super::platform::{Project, is_key};
use super::{SEMANTIC_PATCH, refusal, refusal_with};

/// The most operations on targets of one patch.
const BATCH: usize = 1_500;

/// A segment in one environment; a test can make of it what it likes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Segment {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Of kind user.
    pub(crate) included: BTreeSet<String>,
    pub(crate) excluded: BTreeSet<String>,
    /// Of other kinds.
    pub(crate) included_contexts: Vec<Contexts>,
    pub(crate) excluded_contexts: Vec<Contexts>,
    pub(crate) rules: Vec<Value>,
    pub(crate) unbounded: bool,
    pub(crate) version: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contexts {
    pub(crate) values: BTreeSet<String>,
    pub(crate) context_kind: String,
}

/// The members of a new segment that the stand-in takes: those that optoggles has a use for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSegment {
    key: String,
    name: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Patch {
    environment_key: String,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    instructions: Vec<Instruction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Instruction {
    kind: String,
    rule_id: Option<String>,
    context_kind: Option<String>,
    values: Option<Vec<String>>,
}

impl Segment {
    /// The keys of a kind that are included, or else excluded.
    pub(crate) fn list(&mut self, kind: &str, included: bool) -> &mut BTreeSet<String> {
        let (users, contexts) = match included {
            true => (&mut self.included, &mut self.included_contexts),
            false => (&mut self.excluded, &mut self.excluded_contexts),
        };
        if kind == USER {
            return users;
        }
        let place = contexts.iter().position(|it| it.context_kind == kind);
        let place = place.unwrap_or_else(|| {
            contexts.push(Contexts {
                values: BTreeSet::new(),
                context_kind: kind.to_owned(),
            });
            contexts.len() - 1
        });
        &mut contexts[place].values
    }

    fn show(&self) -> Answer {
        let mut shown = json!(self);
        shown["creationDate"] = json!(1_700_000_000_000_u64);
        shown["lastModifiedDate"] = json!(1_700_000_000_000_u64);
        shown["deleted"] = json!(false);
        shown["generation"] = json!(1);
        shown["tags"] = json!([]);
        shown["_links"] = json!({});
        Answer::json(200, &shown)
    }

    fn apply(&mut self, instruction: Instruction) -> Result<usize, String> {
        let Instruction {
            kind,
            rule_id,
            context_kind,
            values,
        } = instruction;
        if kind == "removeRule" {
            let id = rule_id.ok_or("ruleId is missing")?;
            let place = self.rules.iter().position(|rule| rule["_id"] == id);
            self.rules.remove(place.ok_or("Unknown rule")?);
            return Ok(0);
        }
        let (verb, list) = kind
            .split_once("Included")
            .map(|(verb, list)| ((verb, true), list))
            .or_else(|| {
                kind.split_once("Excluded")
                    .map(|(verb, list)| ((verb, false), list))
            })
            .ok_or_else(|| format!("no kind {kind}"))?;
        let of = match (list, context_kind) {
            ("Users", None) => USER.to_owned(),
            ("Targets", Some(kind)) => kind,
            _ => return Err(format!("{kind}: contextKind")),
        };
        let values = values.filter(|values| !values.is_empty());
        let values = values.ok_or("values must not be empty")?;
        let count = values.len();
        let (verb, included) = verb;
        let others = self.list(&of, !included).clone();
        let keys = self.list(&of, included);
        match verb {
            "add" if values.iter().any(|value| others.contains(value)) => {
                return Err("a key would be both included and excluded".into());
            }
            "add" => keys.extend(values),
            "remove" => keys.retain(|key| !values.contains(key)),
            _ => return Err(format!("no kind {kind}")),
        }
        Ok(count)
    }
}

impl Project {
    fn segment(&mut self, place: &str, key: &str) -> Result<&mut Segment, Answer> {
        let segment = self.segments.get_mut(&(place.to_owned(), key.to_owned()));
        segment.ok_or_else(|| refusal(404, "Unknown segment key"))
    }

    pub(super) fn read_segment(&mut self, place: &str, key: &str) -> Result<Answer, Answer> {
        self.segment(place, key).map(|segment| segment.show())
    }

    pub(super) fn create_segment(
        &mut self,
        place: &str,
        request: &Request,
    ) -> Result<Answer, Answer> {
        let new = serde_json::from_slice(&request.body);
        let new: NewSegment = new.map_err(|error| refusal(400, error.to_string()))?;
        if !self.environments.contains_key(place) {
            return Err(refusal(404, "Unknown environment key"));
        }
        if !is_key(&new.key) || new.name.trim().is_empty() {
            return Err(refusal(400, "Invalid key or name"));
        }
        if self.segment(place, &new.key).is_ok() {
            // Seen by users of their Terraform provider; not in the description.
            return Err(refusal_with(409, "key_exists", "Duplicate segment key"));
        }
        let segment = Segment {
            key: new.key.clone(),
            name: new.name,
            description: new.description,
            version: 1,
            ..Segment::default()
        };
        let shown = segment.show();
        self.segments.insert((place.to_owned(), new.key), segment);
        Ok(Answer {
            status: 201,
            ..shown
        })
    }

    pub(super) fn patch_segment(
        &mut self,
        place: &str,
        key: &str,
        request: &Request,
    ) -> Result<Answer, Answer> {
        let segment = self.segment(place, key)?;
        if request.header("content-type") != Some(SEMANTIC_PATCH) {
            return Err(refusal(400, "the stand-in takes semantic patches only"));
        }
        let patch: Patch = serde_json::from_slice(&request.body)
            .map_err(|error| refusal(400, error.to_string()))?;
        if patch.environment_key != place || patch.instructions.is_empty() {
            return Err(refusal(400, "environmentKey, or instructions"));
        }
        if segment.unbounded {
            return Err(refusal(400, "a big segment"));
        }
        let mut patched = segment.clone();
        let mut operations = 0;
        for instruction in patch.instructions {
            operations += patched
                .apply(instruction)
                .map_err(|why| refusal(400, why))?;
        }
        if operations > BATCH {
            return Err(refusal(400, "the batch limit is 1500"));
        }
        patched.version += 1;
        *segment = patched;
        Ok(segment.show())
    }
}
