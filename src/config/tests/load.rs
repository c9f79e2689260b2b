//! Which file is read, and what is said when none can be.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::peers::catalog;

const VALID: &str = "\
[[sources]]
id = \"a\"
type = \"opa\"
url = \"https://opa\"
token = \"${file:token}\"
[target]
type = \"restapi\"
endpoint_url = \"https://flags\"
[[toggles]]
key = \"k\"
users_policy = { source = \"a\", package = \"p\", rule = \"r\" }
";

fn no_env(_: &str) -> Option<String> {
    None
}

/// A folder with a valid configuration and the token that it names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("valid.toml"), VALID).unwrap();
    fs::write(folder.path().join("token"), "hunter2\n").unwrap();
    folder
}

#[test]
fn the_variable_names_the_file_unless_the_command_line_does() {
    let folder = folder();
    let valid = folder.path().join("valid.toml");
    let env = |name: &str| (name == VARIABLE).then(|| valid.display().to_string());
    assert!(load(None, &env, &catalog()).is_ok());
    let other = folder.path().join("other.toml");
    let error = load(Some(&other), &env, &catalog())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "configuration file `{}` not found (-c)\n  help: name one with -c or $OPTOGGLES_CONFIG",
            other.display()
        )
    );
    let env = |name: &str| (name == VARIABLE).then(|| other.display().to_string());
    let error = load(None, &env, &catalog()).unwrap_err().to_string();
    assert!(
        error.contains("other.toml` not found ($OPTOGGLES_CONFIG)"),
        "{error}"
    );
}

#[test]
fn the_first_of_the_usual_places_that_has_a_file_is_taken() {
    let folder = folder();
    let places = ["none.toml", "valid.toml", "token"].map(|name| folder.path().join(name));
    let loaded = load_first(&places, None, &no_env, &catalog(), Severity::Error).unwrap();
    assert_eq!(loaded.warnings.file, places[1]);
    assert_eq!(loaded.warnings.problems, [], "the token beside it is found");
    let error = load(Some(folder.path()), &no_env, &catalog()).unwrap_err();
    let words = "`: it is a folder\n  help: name the file in it";
    assert!(error.to_string().ends_with(words), "{error}");
}

#[test]
fn where_nothing_is_found_every_place_is_listed() {
    let places = USUAL.map(|place| PathBuf::from("/nowhere").join(place.trim_start_matches('/')));
    let error = load_first(&places, None, &no_env, &catalog(), Severity::Error).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no configuration file found: looked for `/nowhere/optoggles.toml` and \
         `/nowhere/etc/optoggles/optoggles.toml`\n  \
         help: name one with -c or $OPTOGGLES_CONFIG"
    );
}
