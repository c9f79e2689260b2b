//! LaunchDarkly's own description of its API, where it is at hand, as the judge of requests and of
//! the stand-in's answers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::sync::Once;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::super::wire::{Answer, Request};
use super::SEMANTIC_PATCH;
use super::query::Query;

pub(crate) struct Description {
    document: Value,
    /// What was made of its schemas, by their text: to make one takes longer than to use it.
    validators: RefCell<HashMap<String, Validator>>,
}

impl Description {
    /// The description is not part of this project: `OPTOGGLES_LAUNCHDARKLY_OPENAPI` names a file with it
    /// (<https://app.launchdarkly.com/api/v2/openapi.json>). Without the variable, nothing is judged by it.
    pub(crate) fn find() -> Option<Description> {
        const VARIABLE: &str = "OPTOGGLES_LAUNCHDARKLY_OPENAPI";
        static SKIPPED: Once = Once::new();
        let Some(path) = std::env::var_os(VARIABLE) else {
            SKIPPED.call_once(|| eprintln!("{VARIABLE} is not set: requests are not judged by it"));
            return None;
        };
        let text = fs::read_to_string(path).unwrap();
        Some(Description {
            document: serde_json::from_str(&text).unwrap(),
            validators: RefCell::default(),
        })
    }

    pub(crate) fn problems(&self, request: &Request) -> Vec<String> {
        let Some(operation) = self.operation(request) else {
            // The part of the description that the tests were written with leaves it out.
            if request.line().starts_with("GET /api/v2/projects?") {
                return Vec::new();
            }
            return vec![format!("there is no {}", request.line())];
        };
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let (_, query) = request.path.split_once('?').unwrap_or_default();
        let query = Query::parse(query);
        let unknown = query.names().filter(|name| {
            let is_it = |one: &Value| one["in"] == "query" && one["name"] == *name;
            !parameters.iter().any(is_it)
        });
        let mut problems: Vec<String> =
            unknown.map(|name| format!("no parameter {name}")).collect();
        if request.header("content-type") == Some(SEMANTIC_PATCH) {
            // Semantic patches have no schema: they are described in prose alone.
            let prose = operation["description"].as_str().unwrap_or_default();
            problems.extend(Prose(prose).problems(&request.json()));
        } else if !operation["requestBody"].is_null() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            problems.extend(self.misfits(schema, &request.json()));
        }
        problems
    }

    pub(crate) fn problems_of_answer(&self, request: &Request, answer: &Answer) -> Vec<String> {
        let status = answer.status.to_string();
        let response = self.operation(request).map(|it| &it["responses"][&status]);
        match response.filter(|response| !response.is_null()) {
            Some(response) => {
                let body = serde_json::from_slice(&answer.body).unwrap();
                self.misfits(&response["content"]["application/json"]["schema"], &body)
            }
            None => vec![format!("{} is never answered {status}", request.line())],
        }
    }

    fn operation(&self, request: &Request) -> Option<&Value> {
        let path = request.path.split('?').next()?;
        let paths = self.document["paths"].as_object()?;
        let (_, found) = paths.iter().find(|(template, _)| fits(template, path))?;
        found.get(request.method.to_lowercase())
    }

    fn misfits(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut validators = self.validators.borrow_mut();
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            // References point into the document, so its schemas come along.
            let whole = json!({ "allOf": [schema], "components": self.document["components"] });
            let options = jsonschema::options().with_draft(Draft::Draft4);
            options.build(&whole).unwrap()
        });
        let errors = validator.iter_errors(value);
        errors
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect()
    }
}

/// Whether a path is one of those that a template (`/flags/{key}`) stands for.
fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(one, other)| one.starts_with('{') || one == other)
}

/// The description of a PATCH.
///
/// A kind of instruction has a heading `#### kind`, and below it a list of its parameters:
/// `` - `name`: (Optional) … ``. Above the kinds of one section stands what they require.
struct Prose<'a>(&'a str);

struct Kind<'a> {
    /// Each with whether it is optional.
    parameters: Vec<(&'a str, bool)>,
    in_environment: bool,
}

impl Prose<'_> {
    fn problems(&self, patch: &Value) -> Vec<String> {
        let names = patch
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name);
        let unknown = names.filter(|name| !self.0.contains(&format!("* `{name}` (")));
        let mut problems: Vec<String> = unknown.map(|name| format!("no property {name}")).collect();
        let instructions = patch["instructions"].as_array();
        for instruction in instructions.into_iter().flatten() {
            let name = instruction["kind"].as_str().unwrap_or_default();
            match self.kind(name) {
                Some(kind) => {
                    problems.extend(kind.problems(instruction));
                    if kind.in_environment && !patch["environmentKey"].is_string() {
                        problems.push(format!("{name} requires environmentKey"));
                    }
                }
                None => problems.push(format!("no kind {name}")),
            }
        }
        if instructions.is_none_or(|instructions| instructions.is_empty()) {
            problems.push("no instructions".into());
        }
        problems
    }

    fn kind(&self, name: &str) -> Option<Kind<'_>> {
        let (before, after) = self.0.split_once(&format!("\n#### {name}\n"))?;
        let section = before.rsplit("<details>").next()?;
        let own = after.split("\n#### ").next()?.split("</details>").next()?;
        // Two ways to say it: the parameters of neither are required then.
        let either = own.lines().any(|line| line.trim() == "or");
        let parameters = own.lines().filter_map(|line| {
            let (name, text) = line.trim().strip_prefix("- `")?.split_once("`:")?;
            Some((name, either || text.trim().starts_with("(Optional)")))
        });
        Some(Kind {
            parameters: parameters.collect(),
            in_environment: section.contains("instructions require the `environmentKey`"),
        })
    }
}

impl Kind<'_> {
    fn problems(&self, instruction: &Value) -> Vec<String> {
        let members = instruction.as_object().into_iter().flatten();
        let names = members
            .map(|(name, _)| name.as_str())
            .filter(|name| *name != "kind");
        let known = |name: &str| self.parameters.iter().any(|(known, _)| *known == name);
        let unknown = names.filter(|name| !known(name));
        let missing = self
            .parameters
            .iter()
            .filter(|(name, optional)| !optional && instruction[*name].is_null());
        let unknown = unknown.map(|name| format!("no parameter {name} in {instruction}"));
        let missing = missing.map(|(name, _)| format!("{name} is missing in {instruction}"));
        unknown.chain(missing).collect()
    }
}
