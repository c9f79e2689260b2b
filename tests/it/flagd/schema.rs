//! flagd's own schemas, where they are at hand, as the judges of what is written.

use std::path::PathBuf;

use jsonschema::{Draft, Registry};

use super::*;

const TARGETING: &str = "https://flagd.dev/schema/v0/targeting.json";

/// The folder with `flagd-flags.schema.json` and `flagd-targeting.schema.json`, which are not part of this
/// project (<https://flagd.dev/schema/v0/flags.json>, …). Without it, the test is skipped.
const SCHEMAS: &str = "OPTOGGLES_FLAGD_SCHEMAS";

#[test]
fn what_is_written_fits_the_schemas_of_flagd() {
    let Some(folder) = std::env::var_os(SCHEMAS).map(PathBuf::from) else {
        return eprintln!("{SCHEMAS} is not set: skipped");
    };
    let flags = Flags::with("", "[toggles.spec.metadata]\nteam = \"growth\"\nrank = 3");
    flags.allow(&["ann", "\"quoted\"", "$ref", "ü\u{1}"], &[]);
    flags.sync();
    let schema = |name: &str| -> Value {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let definition = schema("flagd-flags.schema.json");
    let targeting = schema("flagd-targeting.schema.json");
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
