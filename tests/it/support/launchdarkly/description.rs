//! LaunchDarkly's own description of its API, where it is at hand, as the judge of requests.

mod prose;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::super::wire::Request;
use super::SEMANTIC_PATCH;
use super::query::Query;
use prose::Prose;

pub(crate) struct Description {
    document: Value,
    /// What was made of its schemas, by their text: to make one takes longer than to use it.
    validators: RefCell<HashMap<String, Validator>>,
}

impl Description {
    /// It is not part of this project, and lies beside it on some machines only.
    pub(crate) fn find() -> Option<Description> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = folder.join("../shared/launchdarkly-openapi.json");
        let text = fs::read_to_string(file).ok()?;
        Some(Description {
            document: serde_json::from_str(&text).unwrap(),
            validators: RefCell::default(),
        })
    }

    pub(crate) fn problems(&self, request: &Request) -> Vec<String> {
        let Some(operation) = self.operation(request) else {
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
