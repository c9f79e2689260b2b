//! Making flags: by request and by hand.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::wire::{Answer, Request};
use super::flag::{ClientSide, Config, Flag, Variation, View};
use super::platform::{Platform, Project};
use super::refusal;

/// The members of a new flag that the stand-in takes: those that optoggles has a use for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewFlag {
    key: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: BTreeSet<String>,
    #[serde(default = "booleans")]
    variations: Vec<Variation>,
    defaults: Option<Defaults>,
    #[serde(default = "yes")]
    temporary: bool,
    client_side_availability: Option<ClientSide>,
}

/// What is served where the flag is on, and where it is off, as indices.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Defaults {
    on_variation: usize,
    off_variation: usize,
}

impl Platform {
    /// A flag with these values, off everywhere.
    pub(crate) fn put(&mut self, project: &str, key: &str, values: &[Value]) -> &mut Flag {
        let body = json!({
            "key": key,
            "name": key,
            "variations": values.iter().map(|value| json!({ "value": value })).collect::<Vec<_>>(),
        });
        let new = serde_json::from_value(body).expect("a new flag");
        let flag = self.make(project, new).expect("a project, and values");
        self.project(project).expect("a project").add(flag, 0);
        self.edit(project, key)
    }

    pub(super) fn create(&mut self, project: &str, request: &Request) -> Result<Answer, Answer> {
        if request.header("content-type") != Some("application/json") {
            return Err(refusal(400, "the body is not application/json"));
        }
        let new = serde_json::from_slice(&request.body);
        let new = new.map_err(|error| refusal(400, error.to_string()))?;
        let flag = self.make(project, new)?;
        let unseen = self.unseen_reads;
        let project = self.project(project)?;
        let (only, summary) = (None, false);
        let shown = flag.show(&project.key, &View { only, summary });
        project.add(flag, unseen);
        Ok(Answer::json(201, &shown))
    }

    fn make(&mut self, project: &str, new: NewFlag) -> Result<Flag, Answer> {
        let project = self.project(project)?;
        new.check(project)?;
        let (on, off) = match new.defaults {
            Some(defaults) => (defaults.on_variation, defaults.off_variation),
            None => (0, new.variations.len() - 1),
        };
        let environments = project.environments.keys();
        let environments = environments.map(|key| (key.clone(), Config::new(on, off)));
        let mut flag = Flag {
            environments: environments.collect(),
            key: new.key,
            name: new.name,
            description: new.description,
            tags: new.tags,
            variations: new.variations,
            archived: false,
            temporary: new.temporary,
            client_side: new.client_side_availability.unwrap_or(ClientSide {
                using_environment_id: false,
                using_mobile_key: true,
            }),
            version: 1,
        };
        for variation in &mut flag.variations {
            self.ids += 1;
            variation.id = format!("{:08x}-6fd2-4f2a-9d3c-0242ac120002", self.ids);
        }
        Ok(flag)
    }
}

impl NewFlag {
    fn check(&self, project: &Project) -> Result<(), Answer> {
        let values: Vec<&Value> = self.variations.iter().map(|one| &one.value).collect();
        let twice = (1..values.len()).any(|index| values[..index].contains(&values[index]));
        let defaults = self.defaults.iter();
        let wrong = if !is_key(&self.key) {
            "Invalid key"
        } else if self.name.trim().is_empty() {
            "Invalid name"
        } else if !self.tags.iter().all(|tag| is_tag(tag)) {
            "Invalid tag"
        } else if values.len() < 2 || twice {
            "there must be two variations or more, each with a value of its own"
        } else if self.variations.iter().any(|one| !one.id.is_empty()) {
            "new variations have no ids"
        } else if defaults
            .map(|it| it.on_variation.max(it.off_variation))
            .any(|it| it >= values.len())
        {
            "the defaults are no variations"
        } else if project.flags.contains_key(&self.key) {
            return Err(refusal(409, "A feature with that key already exists"));
        } else {
            return Ok(());
        };
        Err(refusal(400, wrong))
    }
}

/// LaunchDarkly's alphabet for keys.
fn is_key(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(is_of_keys)
}

/// LaunchDarkly's alphabet for tags, which are short.
pub(super) fn is_tag(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(is_of_keys)
}

fn is_of_keys(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-".contains(character)
}

fn booleans() -> Vec<Variation> {
    [true, false]
        .map(|value| Variation::of(json!(value)))
        .into()
}

fn yes() -> bool {
    true
}
