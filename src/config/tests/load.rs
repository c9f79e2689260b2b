//! Which file is read, and what is said when none can be.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::peers::catalog;

const RIGHT: &str = "\
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

/// A folder with a right configuration and the token that it names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("right.toml"), RIGHT).unwrap();
    fs::write(folder.path().join("token"), "hunter2\n").unwrap();
    folder
}

#[test]
fn files_are_looked_for_beside_the_configuration() {
    let folder = folder();
    let loaded = load(Some(&folder.path().join("right.toml")), &no_env, &catalog()).unwrap();
    assert_eq!(loaded.warnings.problems, []);
    assert_eq!(loaded.config.toggles[0].key, "k");
}

#[test]
fn the_variable_names_the_file_unless_the_command_line_does() {
    let folder = folder();
    let right = folder.path().join("right.toml");
    let env = |name: &str| (name == VARIABLE).then(|| right.display().to_string());
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
    let places = ["none.toml", "right.toml", "token"].map(|name| folder.path().join(name));
    let loaded = load_first(&places, None, &no_env, &catalog()).unwrap();
    assert_eq!(loaded.warnings.file, places[1]);
}

#[test]
fn where_nothing_is_found_every_place_is_listed() {
    let places = USUAL.map(|place| PathBuf::from("/nowhere").join(place.trim_start_matches('/')));
    let error = load_first(&places, None, &no_env, &catalog()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no configuration file found: looked for `/nowhere/optoggles.toml` and \
         `/nowhere/etc/optoggles/optoggles.toml`\n  \
         help: name one with -c or $OPTOGGLES_CONFIG"
    );
}

#[test]
fn a_folder_is_no_configuration_file() {
    let folder = folder();
    let error = load(Some(folder.path()), &no_env, &catalog()).unwrap_err();
    let words = "`: it is a folder\n  help: name the file in it";
    assert!(error.to_string().ends_with(words), "{error}");
}

#[test]
fn what_is_not_text_is_shown_by_its_line() {
    let folder = folder();
    let file = folder.path().join("latin1.toml");
    fs::write(&file, b"a = 1\nb = \"\xe9\"\n").unwrap();
    let error = load(Some(&file), &no_env, &catalog()).unwrap_err();
    let error = error.to_string();
    let (first, rest) = error.split_once('\n').unwrap();
    let expected = format!(
        "{}:2:6: error: the file is not UTF-8 text from here on",
        file.display()
    );
    assert_eq!(first, expected);
    assert!(rest.contains("= help: save it as UTF-8"), "{rest}");
}

#[test]
fn an_error_shows_no_secret_even_in_its_debug_form() {
    let folder = folder();
    let file = folder.path().join("wrong.toml");
    fs::write(&file, "token = \"hunter2\"\nbind = 5\n").unwrap();
    let error = load(Some(&file), &no_env, &catalog()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[cfg(unix)]
#[test]
fn a_secret_in_the_file_is_a_warning_as_long_as_everybody_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let file = folder.path().join("inline.toml");
    fs::write(&file, RIGHT.replace("${file:token}", "hunter2")).unwrap();
    for (mode, warnings) in [(0o644, 1), (0o640, 0)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = load(Some(&file), &no_env, &catalog()).unwrap();
        assert_eq!(loaded.warnings.problems.len(), warnings, "{mode:o}");
    }
}
