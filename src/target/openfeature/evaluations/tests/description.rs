//! OpenFeature's own description of the protocol, where it is at hand, as the judge of answers.

use std::fs;
use std::sync::Once;

use jsonschema::Draft;
use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned as Yaml};
use serde_json::{Value, json};

pub(super) struct Description(Value);

impl Description {
    /// The description is not part of this project: `OPTOGGLES_OFREP_OPENAPI` names a file with it
    /// (<https://github.com/open-feature/protocol>, service/openapi.yaml). Without the variable, nothing is judged
    /// by it.
    pub(super) fn find() -> Option<Description> {
        const VARIABLE: &str = "OPTOGGLES_OFREP_OPENAPI";
        static SKIPPED: Once = Once::new();
        let Some(path) = std::env::var_os(VARIABLE) else {
            SKIPPED.call_once(|| eprintln!("{VARIABLE} is not set: answers are not judged by it"));
            return None;
        };
        let text = fs::read_to_string(path).unwrap();
        let mut document = json(&Yaml::load_from_str(&text).unwrap()[0]);
        let schemas = &mut document["components"]["schemas"];
        // OpenFeature itself has the reason DEFAULT, which is missing among those of the description.
        let reasons = &mut schemas["evaluationSuccess"]["allOf"][0]["properties"]["reason"]["enum"];
        reasons.as_array_mut().unwrap().push(json!("DEFAULT"));
        // It "has no `value` property", but takes one: then no value is of exactly one kind.
        schemas["codeDefaultFlag"]["not"] = json!({ "required": ["value"] });
        Some(Description(document))
    }

    /// What does not fit in the answer to an evaluation; none: the description has no such status.
    pub(super) fn problems(&self, is_bulk: bool, status: u16, body: &[u8]) -> Option<Vec<String>> {
        let path = match is_bulk {
            true => "/ofrep/v1/evaluate/flags",
            false => "/ofrep/v1/evaluate/flags/{key}",
        };
        let response = &self.0["paths"][path]["post"]["responses"][status.to_string()];
        let schema = response.as_object()?.get("content").map(|content| {
            let schema = &content["application/json"]["schema"];
            json!({ "allOf": [schema], "components": self.0["components"] })
        });
        let Some(schema) = schema else {
            return Some(Vec::new());
        };
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        let validator = options.build(&schema).unwrap();
        let body = serde_json::from_slice(body).unwrap();
        let errors = validator.iter_errors(&body);
        let errors = errors.map(|error| format!("{error} at {}", error.instance_path()));
        Some(errors.collect())
    }
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Value(ScalarOwned::String(text)) => json!(text),
        Yaml::Value(ScalarOwned::Boolean(flag)) => json!(flag),
        Yaml::Value(ScalarOwned::Integer(number)) => json!(number),
        Yaml::Sequence(elements) => elements.iter().map(json).collect(),
        Yaml::Mapping(members) => {
            let members = members.iter();
            let members =
                members.map(|(key, value)| (key.as_str().unwrap().to_owned(), json(value)));
            members.collect()
        }
        _ => Value::Null,
    }
}
