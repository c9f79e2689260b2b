//! A feature as the stand-in keeps it, and whom Unleash's engine lets through.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use unleash_yggdrasil::{Context, EngineState, UpdateMessage};

use super::stand_in::{Limits, empty, refusal};
use crate::support::wire::Answer;

/// The constraint of each segment.
const SEGMENT: &str = r#"{"contextName": "userId", "operator": "IN", "values": ["zoe"]}"#;

#[derive(Default)]
pub(super) struct Feature {
    pub(super) project: String,
    pub(super) kind: String,
    pub(super) description: Option<String>,
    pub(super) stale: bool,
    pub(super) impression_data: bool,
    pub(super) archived: bool,
    /// The type and the value of each tag.
    pub(super) tags: BTreeSet<(String, String)>,
    /// The feature that has to be on too.
    pub(super) parent: Option<String>,
    pub(super) environments: BTreeMap<String, Environment>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    pub(super) enabled: bool,
    pub(super) strategies: Vec<Value>,
}

impl Feature {
    pub(super) fn new(project: &str, places: &[String]) -> Feature {
        let environments = places.iter().map(|it| (it.clone(), Environment::default()));
        Feature {
            project: project.to_owned(),
            kind: "permission".to_owned(),
            environments: environments.collect(),
            ..Feature::default()
        }
    }

    pub(super) fn describe(&mut self, text: &Value) {
        self.description = text.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    }

    pub(super) fn show(&self, name: &str) -> Value {
        json!({
            "name": name, "description": self.description, "type": self.kind, "project": self.project,
            "stale": self.stale, "impressionData": self.impression_data,
        })
    }

    pub(super) fn tag(&mut self, value: &str) {
        self.tags.insert(("simple".to_owned(), value.to_owned()));
    }

    pub(super) fn show_tags(&self) -> Value {
        let tags = self.tags.iter();
        tags.map(|(kind, value)| json!({ "type": kind, "value": value }))
            .collect()
    }

    /// In an answer to a search.
    pub(super) fn show_found(&self, name: &str) -> Value {
        let places = self.environments.iter();
        let places = places.map(|(place, it)| {
            json!({ "name": place, "enabled": it.enabled, "type": place, "sortOrder": 1 })
        });
        let mut shown = self.show(name);
        shown["environments"] = places.collect();
        shown["tags"] = self.show_tags();
        shown["favorite"] = json!(false);
        shown["segments"] = json!([]);
        shown["dependencyType"] = Value::Null;
        shown["archivedAt"] = Value::Null;
        shown["createdAt"] = json!("2026-11-29T23:11:47.908Z");
        shown["createdBy"] = json!({ "id": -42, "name": "admin", "imageUrl": "" });
        shown
    }

    pub(super) fn dependencies(&self) -> Value {
        let parents = self.parent.iter();
        parents
            .map(|it| json!({ "feature": it, "enabled": true, "variants": [] }))
            .collect()
    }

    /// Without ids and disabled strategies; the constraints of segments are among the others.
    /// Environments that do not exist are shown too.
    pub(super) fn show_to_sdks(&self, name: &str, place: &str) -> Value {
        let environment = self.environments.get(place).cloned().unwrap_or_default();
        let strategies = environment
            .strategies
            .iter()
            .filter(|it| it["disabled"] != true);
        let strategies = strategies.map(|it| {
            let segments = list(it, "segments").into_iter();
            let inlined = segments.map(|_| serde_json::from_str(SEGMENT).unwrap());
            let constraints: Vec<Value> = list(it, "constraints").into_iter().chain(inlined).collect();
            let (name, parameters) = (&it["name"], &it["parameters"]);
            json!({ "name": name, "constraints": constraints, "parameters": parameters, "variants": it["variants"] })
        });
        let mut shown = self.show(name);
        shown["strategies"] = strategies.collect();
        shown["enabled"] = json!(environment.enabled);
        shown["variants"] = json!([]);
        if self.parent.is_some() {
            shown["dependencies"] = self.dependencies();
        }
        shown
    }
}

impl Environment {
    pub(super) fn show(&self, place: &str) -> Value {
        json!({ "name": place, "enabled": self.enabled, "strategies": self.strategies })
    }

    /// Where nothing lets a user through, Unleash adds a strategy that lets everyone through.
    pub(super) fn turn_on(&mut self, id: &str, name: &str) -> Answer {
        self.enabled = true;
        self.settle();
        if !self.enabled {
            self.strategies
                .push(strategy(id, name, &json!({ "name": "flexibleRollout" })));
        }
        self.enabled = true;
        empty(200)
    }

    pub(super) fn turn_off(&mut self) -> Answer {
        self.enabled = false;
        empty(200)
    }

    pub(super) fn add(
        &mut self,
        id: &str,
        name: &str,
        body: &Value,
        limits: Limits,
    ) -> Result<Answer, Answer> {
        if self.strategies.len() >= limits.strategies {
            return Err(exceeds("strategy", limits.strategies));
        }
        check(body, limits)?;
        let new = strategy(id, name, body);
        let answer = Answer::json(200, &new);
        self.strategies.push(new);
        Ok(answer)
    }

    /// What the body leaves out is gone, apart from three members.
    pub(super) fn rewrite(
        &mut self,
        id: &str,
        name: &str,
        mut body: Value,
        limits: Limits,
    ) -> Result<Answer, Answer> {
        let found = self.strategies.iter_mut().find(|it| it["id"] == id);
        let found = found.ok_or_else(|| no_strategy(id))?;
        check(&body, limits)?;
        for kept in ["title", "disabled", "segments"] {
            if body[kept].is_null() {
                body[kept] = found[kept].take();
            }
        }
        *found = strategy(id, name, &body);
        Ok(Answer::json(200, found))
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<Answer, Answer> {
        let index = self.strategies.iter().position(|it| it["id"] == id);
        self.strategies
            .remove(index.ok_or_else(|| no_strategy(id))?);
        self.settle();
        Ok(empty(200))
    }

    /// Without a strategy that is not disabled, it is turned off.
    pub(super) fn settle(&mut self) {
        self.enabled &= self.strategies.iter().any(|it| it["disabled"] != true);
    }
}

/// A strategy as Unleash keeps it.
pub(super) fn strategy(id: &str, name: &str, body: &Value) -> Value {
    let mut parameters = json!({ "rollout": "100", "stickiness": "default", "groupId": name });
    for (key, value) in body["parameters"].as_object().into_iter().flatten() {
        parameters[key] = value.clone();
    }
    json!({
        "id": id, "name": body["name"], "title": body["title"], "disabled": body["disabled"] == true,
        "constraints": list(body, "constraints"), "parameters": parameters,
        "variants": list(body, "variants"), "segments": list(body, "segments"),
    })
}

fn list(value: &Value, member: &str) -> Vec<Value> {
    value[member].as_array().cloned().unwrap_or_default()
}

/// Whether Unleash takes a strategy.
fn check(body: &Value, limits: Limits) -> Result<(), Answer> {
    if body["name"] != "flexibleRollout" {
        return Err(refusal(
            400,
            format!("Could not find strategy type with name {}", body["name"]),
        ));
    }
    for constraint in list(body, "constraints") {
        let values = list(&constraint, "values");
        if values.is_empty() {
            return Err(refusal(
                400,
                "\"value\" must contain at least 1 items. You provided [].",
            ));
        }
        if values.len() > limits.values {
            return Err(exceeds("constraint values for userId", limits.values));
        }
        for value in values.iter().filter_map(Value::as_str) {
            if value.contains('\0') {
                return Err(refusal(500, "unsupported Unicode escape sequence"));
            }
            if value.is_empty() || value.encode_utf16().count() > 100 {
                let words =
                    "\"values[0]\" length must be less than or equal to 100 characters long";
                return Err(refusal(400, words));
            }
        }
    }
    Ok(())
}

fn exceeds(what: &str, limit: usize) -> Answer {
    let words = format!(
        "Failed to create {what}. You can't create more than the established limit of {limit}."
    );
    refusal(400, words)
}

fn no_strategy(id: &str) -> Answer {
    refusal(404, format!("Could not find strategy with id={id}"))
}

/// Which of these users Unleash's engine lets through, by what SDKs are told.
pub(super) fn served<'u>(list: &Value, name: &str, users: &[&'u str]) -> BTreeSet<&'u str> {
    let list: UpdateMessage = serde_json::from_value(list.clone()).unwrap();
    let engine = EngineState::default();
    let warnings = engine.take_state(list).map(|it| it.len());
    assert_eq!(
        warnings, None,
        "the engine does not understand all strategies"
    );
    let is_served = |user: &&str| {
        let context = Context {
            user_id: Some((*user).to_owned()),
            properties: Some([("tenant".to_owned(), (*user).to_owned())].into()),
            ..Context::default()
        };
        engine.is_enabled(name, &context, &None)
    };
    users.iter().copied().filter(is_served).collect()
}
