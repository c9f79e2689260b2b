//! flagd's own schemas, where they are at hand, as the judges of what is written.

use std::path::Path;

use jsonschema::{Draft, Registry};

use super::*;

const TARGETING: &str = "https://flagd.dev/schema/v0/targeting.json";

/// A schema; it is not part of this project, and lies beside it on some machines only.
fn schema(name: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let text = fs::read_to_string(folder.join(name)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn what_is_written_fits_the_schemas_of_flagd() {
    let flags = Flags::with("", "[toggles.spec.metadata]\nteam = \"growth\"\nrank = 3");
    flags.allow(&["ann", "\"quoted\"", "$ref", "ü\u{1}"], &[]);
    flags.sync();
    let (Some(definition), Some(targeting)) = (
        schema("flagd-flags.schema.json"),
        schema("flagd-targeting.schema.json"),
    ) else {
        return;
    };
    let registry = Registry::new().draft(Draft::Draft7);
    let registry = registry
        .add(TARGETING, targeting)
        .unwrap()
        .prepare()
        .unwrap();
    let validator = jsonschema::options()
        .with_draft(Draft::Draft7)
        // Draft 7 passes over the `$id`, because it stands beside a `$ref`.
        .with_base_uri("https://flagd.dev/schema/v0/flags.json")
        .with_registry(&registry)
        .build(&definition)
        .unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&flags.json())
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    flags.by_hand(|flags| flags["us"]["targeting"]["if"][0] = json!({ "among": [] }));
    assert!(
        !validator.is_valid(&flags.json()),
        "the schemas judge targeting"
    );
}
