//! Unleash's own description of its API (`openapi.jq` tells where it comes from), as the judge of requests and of
//! the stand-in's answers.

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::support::wire::{Answer, Request};

/// The schemas of one request.
struct Bodies {
    method: String,
    /// The parts of its path; those in braces stand for any.
    path: Vec<String>,
    request: Option<Validator>,
    answer: Option<Validator>,
}

static DESCRIPTION: LazyLock<Vec<Bodies>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
    let bodies = document["bodies"].as_object().unwrap();
    let validator = |schema: &Value| {
        // References point into the document, so its schemas come along.
        let whole = json!({ "allOf": [schema], "components": document["components"] });
        let options = jsonschema::options().with_draft(Draft::Draft7);
        (!schema.is_null()).then(|| options.build(&whole).unwrap())
    };
    let read = |(line, schemas): (&String, &Value)| {
        let (method, path) = line.split_once(' ').unwrap();
        Bodies {
            method: method.to_owned(),
            path: path.split('/').map(str::to_owned).collect(),
            request: validator(&schemas["request"]),
            answer: validator(&schemas["answer"]),
        }
    };
    bodies.iter().map(read).collect()
});

/// What does not fit the description: of the body of a request, or of an answer's if there is one.
pub(super) fn misfits(request: &Request, answer: Option<&Answer>) -> Vec<String> {
    let path: Vec<&str> = request
        .path
        .split('?')
        .next()
        .unwrap_or_default()
        .split('/')
        .collect();
    let is_it = |it: &&Bodies| {
        let mut parts = it.path.iter().zip(&path);
        it.method == request.method
            && it.path.len() == path.len()
            && parts.all(|(one, other)| one.starts_with('{') || one == other)
    };
    let Some(bodies) = DESCRIPTION.iter().find(is_it) else {
        return Vec::new();
    };
    let (validator, body) = match answer {
        None => (&bodies.request, request.json()),
        Some(answer) => (
            &bodies.answer,
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        ),
    };
    let errors = validator.iter().flat_map(|it| it.iter_errors(&body));
    errors
        .map(|error| format!("{}: {error} at {}", request.line(), error.instance_path()))
        .collect()
}
