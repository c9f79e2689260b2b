//! The reference in the manual page and the JSON Schema are made of the tables of keys:
//! `SNAPSHOTS=overwrite cargo test` writes them anew.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::*;
use crate::config::keys::{
    EVERY_TOGGLE, Group, Key, Need, POLICY, Spec, TARGET, TARGETS, TOP, ValueKind,
};
use crate::config::report::{Place, Severity};
use crate::config::section::{Context, Section};
use crate::config::values::{Free, object};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_default()
}

/// Asserts that a file says this, or makes it say so.
#[track_caller]
fn hold(name: &str, expected: &str) {
    if std::env::var("SNAPSHOTS").is_ok_and(|action| action == "overwrite") {
        fs::write(path(name), expected).unwrap();
    }
    let is_held = read(name) == expected;
    assert!(
        is_held,
        "{name} is stale: run the tests with SNAPSHOTS=overwrite"
    );
}

fn in_words(kind: ValueKind) -> String {
    match kind {
        ValueKind::Text | ValueKind::Filled | ValueKind::Word(_) => "String".into(),
        ValueKind::Words(_) | ValueKind::Set(_) => "List of strings".into(),
        ValueKind::Bind | ValueKind::AdvertisedAddress => "Address".into(),
        ValueKind::Address(_) => "URL".into(),
        ValueKind::Duration | ValueKind::Interval => "Duration".into(),
        ValueKind::Number(low, high) => format!("Integer from {low} to {high}"),
        ValueKind::Bool => "Boolean".into(),
        ValueKind::MaxRemoval => "Share, integer or \"off\"".into(),
        ValueKind::Token(_) | ValueKind::BearerToken(_) => "Secret".into(),
        ValueKind::Headers(_) => "Table of secrets".into(),
        ValueKind::CaFile
        | ValueKind::CertFile
        | ValueKind::KeyFile
        | ValueKind::Path
        | ValueKind::Input => "Path".into(),
        ValueKind::Values | ValueKind::Table | ValueKind::Spec => "Table".into(),
        ValueKind::Json => "Any value".into(),
        ValueKind::Tables => "List of tables".into(),
    }
}

/// Text for a manual page: code is bold, and each sentence begins a line.
fn mdoc(text: &str) -> String {
    const WIDTH: usize = 80;
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => part.to_owned(),
        _ => format!("\\fB{}\\fR", part.replace(' ', "\\~")),
    });
    let text = parts.collect::<String>().replace('"', "\\(dq");
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let ends_sentence = lines.ends_with(['.', '?']);
        let separator = match width {
            0 => "",
            _ if ends_sentence || width + word.len() >= WIDTH => "\n",
            _ => " ",
        };
        lines.push_str(separator);
        lines.push_str(word);
        width = word.len() + if separator == " " { width + 1 } else { 0 };
    }
    lines + "\n"
}

fn items(keys: &[&Key], name: &str) -> String {
    let items = keys.iter().map(|key| {
        let is_type = key.name == "type" && !name.is_empty();
        let need = match key.need {
            Need::Required if is_type => format!("required: `\"{name}\"`."),
            Need::Required => "required.".into(),
            Need::Optional => "optional.".into(),
            Need::Default(_) if is_type && key.example != format!("\"{name}\"") => {
                format!("required: `\"{name}\"`.")
            }
            Need::Default(default) => format!("default `{default}`."),
        };
        let kind = in_words(key.kind);
        let text = mdoc(&format!("{kind}; {need} {}", key.says));
        format!(".It Cm {}\n{}\n", key.name, text.trim_end())
    });
    let items: String = items.collect();
    format!(".Bl -tag -width Ds\n{items}.El\n")
}

/// What the manual page has between its heading KEYS and the next.
fn reference(catalog: &Catalog) -> String {
    let mut page = String::from(
        ".\\\" Made of src/config/keys.rs and the files of the types: SNAPSHOTS=overwrite cargo test\n",
    );
    let targets = catalog.targets.iter().map(|it| &it.peer);
    let peers: Vec<_> = catalog.sources.iter().copied().chain(targets).collect();
    let says = |path: &[&str], name: &str| {
        let peer = peers.iter().find(|it| it.name == name);
        peer.filter(|_| path.len() == 1).map_or("", |it| it.says)
    };
    for Group { path, types, .. } in catalog.groups(&TARGETS) {
        let header = match path {
            [] => "Top of the file",
            ["sources"] => "[[sources]]",
            ["targets"] => "[target] or [[targets]]",
            ["toggles"] => "[[toggles]]",
            ["toggles", "spec"] => "[toggles.spec]",
            _ => "users_policy",
        };
        for (name, keys) in types {
            let title = match path {
                _ if name.is_empty() => header.to_owned(),
                ["toggles", "spec"] => format!("{header} with {name}"),
                _ => format!("{header} of type {name}"),
            };
            page += &format!(".Ss {title}\n");
            let says = says(path, name);
            if !says.is_empty() {
                page += &mdoc(says);
            }
            // A `spec` names no type of its own.
            page += &items(&keys, if path.len() == 1 { name } else { "" });
        }
    }
    for target in &catalog.targets {
        if let Spec::Free(reserved) = target.spec {
            let reserved = reserved.iter().map(|key| format!("`{key}`"));
            let reserved = reserved.collect::<Vec<_>>().join(" and ");
            page += &format!(".Ss [toggles.spec] with {}\n", target.peer.name);
            page += &mdoc(&format!(
                "Any keys but {reserved}. They become JSON as they are."
            ));
        }
    }
    page
}

#[test]
fn the_manual_page_has_every_key_as_the_program_reads_it() {
    const PAGE: &str = "man/optoggles.toml.5";
    let page = read(PAGE);
    let (before, rest) = page.split_once(".Sh KEYS\n").unwrap();
    let (_, after) = rest.split_once(".Sh REMOVAL LIMIT\n").unwrap();
    let keys = reference(&catalog());
    hold(
        PAGE,
        &format!("{before}.Sh KEYS\n{keys}.Sh REMOVAL LIMIT\n{after}"),
    );
}

#[test]
fn each_word_of_the_yaml_leads_to_the_key_that_the_manual_page_names() {
    let page = read("man/optoggles.toml.5");
    let (_, rows) = page.split_once(".It Em OPToggles").unwrap();
    let rows = rows.lines().filter_map(|line| line.strip_prefix(".It Li "));
    let rows: Vec<_> = rows.filter_map(|row| row.split_once(" Ta Li ")).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for (old, new) in rows {
        let old = old.rsplit('.').next().unwrap();
        let new = new.trim_end_matches(']').rsplit([' ', '.']).next().unwrap();
        let groups = catalog().groups(&TARGETS);
        let mut keys = groups.iter().flat_map(Group::keys);
        assert!(
            keys.any(|key| key.name == new && key.is_called(old)),
            "{old}"
        );
    }
}

#[test]
fn every_key_is_in_the_default_configuration() {
    let text = read("optoggles.toml");
    let words: Vec<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    for key in catalog().groups(&TARGETS).iter().flat_map(Group::keys) {
        assert!(words.contains(&key.name), "{}", key.name);
    }
}

fn value_schema(key: &Key) -> Value {
    let string = json!({ "type": "string" });
    let mut schema = match key.kind {
        ValueKind::Words(_) => json!({ "type": "array", "items": string }),
        ValueKind::Set(_) => {
            json!({ "type": "array", "items": string, "minItems": 1, "uniqueItems": true })
        }
        ValueKind::Number(low, high) => {
            json!({ "type": "integer", "minimum": low, "maximum": high })
        }
        ValueKind::Bool => json!({ "type": "boolean" }),
        ValueKind::MaxRemoval => json!({ "type": ["string", "integer"], "minimum": 0 }),
        ValueKind::Headers(_) => json!({ "type": "object", "additionalProperties": string }),
        ValueKind::Values => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
        }
        ValueKind::Table | ValueKind::Spec => json!({ "type": "object" }),
        ValueKind::Tables => json!({ "type": "array" }),
        ValueKind::Json => json!({}),
        _ => string,
    };
    schema["description"] = key.says.into();
    if let Need::Default(default) = key.need {
        schema["default"] = match DeValue::parse(default).unwrap().get_ref() {
            DeValue::String(text) => text.to_string().into(),
            DeValue::Boolean(value) => (*value).into(),
            DeValue::Integer(number) => number.as_str().parse::<i64>().unwrap().into(),
            _ => unreachable!("{default}"),
        };
    }
    schema
}

fn table_schema<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys {
        properties.insert(key.name.into(), value_schema(key));
        if key.need == Need::Required {
            required.push(key.name);
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// One of the types of sources or targets; the first of the sources need not be named.
fn typed_schema(group: &Group) -> Value {
    let types = group.types.iter().map(|(name, keys)| {
        let mut schema = table_schema(keys.iter().copied());
        schema["title"] = (*name).into();
        schema["properties"]["type"] = json!({ "const": name, "description": "The type." });
        let is_default = keys.iter().any(|key| key.need == Need::Default("\"opal\""));
        if is_default && *name != "opal" {
            schema["required"]
                .as_array_mut()
                .unwrap()
                .push("type".into());
        }
        schema
    });
    json!({ "oneOf": types.collect::<Vec<_>>() })
}

fn schema(catalog: &Catalog) -> Value {
    let (groups, short) = (catalog.groups(&TARGETS), catalog.groups(&TARGET));
    let groups = groups.iter().chain(&short);
    let at = |path: &[&str]| groups.clone().find(|group| group.path == path).unwrap();
    let mut toggle = table_schema(EVERY_TOGGLE);
    toggle["properties"]["users_policy"] = table_schema(POLICY);
    let mut schema = table_schema(TOP);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "optoggles.toml".into();
    let properties = &mut schema["properties"];
    properties["sources"]["items"] = typed_schema(at(&["sources"]));
    properties["sources"]["minItems"] = 1.into();
    properties["target"] = typed_schema(at(&["target"]));
    properties["targets"]["items"] = typed_schema(at(&["targets"]));
    properties["targets"]["minItems"] = 1.into();
    properties["toggles"]["items"] = toggle;
    schema["required"] = json!(["sources"]);
    schema["oneOf"] = json!([{ "required": ["target"] }, { "required": ["targets"] }]);
    let specs = catalog.targets.iter().filter_map(|target| {
        let Spec::Keys(keys) = target.spec else {
            return None;
        };
        let spec = table_schema(keys);
        let is_required = keys.iter().any(|key| key.need == Need::Required);
        let required: &[&str] = if is_required { &["spec"] } else { &[] };
        let toggle = json!({ "properties": { "spec": spec }, "required": required });
        let is_it = json!({ "properties": { "type": { "const": target.peer.name } } });
        Some(json!({
            "if": { "properties": { "target": is_it }, "required": ["target"] },
            "then": { "properties": { "toggles": { "items": toggle } } },
        }))
    });
    let several = json!({
        "if": { "properties": { "targets": { "minItems": 2 } }, "required": ["targets"] },
        "then": { "properties": { "toggles": { "items": { "required": ["target"] } } } },
    });
    schema["allOf"] = specs.chain([several]).collect();
    schema
}

/// A file as the schema sees it.
fn as_json(text: &str) -> Value {
    let around = Surroundings {
        folder: Path::new(""),
        env: &|_| Some("any".into()),
        read: &|_, _| Ok(b"any".into()),
        open_to_others: false,
        unset: Severity::Error,
    };
    let (tree, errors) = DeTable::parse_recoverable(text);
    assert_eq!(errors, []);
    let catalog = catalog();
    let mut cx = Context::new(&around, &catalog, &[]);
    let root = Section::new(tree.get_ref(), Place::default());
    Value::Object(object(&mut cx, &root, Free::Spec).unwrap())
}

#[test]
fn the_json_schema_is_that_of_the_keys_and_takes_what_the_program_takes() {
    let schema = schema(&catalog());
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    hold("contrib/optoggles.schema.json", &text);
    let validator = jsonschema::validator_for(&schema).unwrap();
    for name in [
        "optoggles.toml",
        "examples/opa-restapi.toml",
        "examples/opa-flagd.toml",
        "examples/opal-launchdarkly.toml",
        "examples/several-targets.toml",
        "examples/quickstart/openfeature.toml",
        "examples/quickstart/optoggles.toml",
    ] {
        let text = read(name);
        let errors: Vec<String> = validator
            .iter_errors(&as_json(&text))
            .map(|error| format!("{error}"))
            .collect();
        assert_eq!(errors, [""; 0], "{name}");
        let schema = text.lines().next().unwrap().strip_prefix("#:schema ");
        let schema = schema.map(|schema| path(name).parent().unwrap().join(schema));
        assert!(schema.is_some_and(|schema| schema.exists()), "{name}");
    }
    let several = read("examples/several-targets.toml");
    for wrong in [
        several.replace("target = \"shop\"\n", ""),
        several.clone() + "[target]\ntype = \"flagd\"\npath = \"flags.json\"\n",
        several.replace("[[targets]]\nid = \"shop\"", "[[targets]]"),
        with("bind =", "binds ="),
        with("id = \"opal\"", "id = \"opal\"\npoll_interval = \"1s\""),
        with("package = \"app.rbac\", ", ""),
        with(
            "type = \"restapi\"",
            "type = \"launchdarkly\"\ntoken = \"x\"",
        )
        .replace("endpoint_url", "base_url"),
    ] {
        assert!(!validator.is_valid(&as_json(&wrong)), "{wrong}");
    }
    assert!(validator.is_valid(&as_json(VALID)));
}
