//! A configuration file that others can read, with secrets in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::House;
use crate::support::program::Program;

const WARNING: &str = "is in a file that others can read";

/// Runs `check-config` over a file of this mode.
fn check(program: &Program, mode: u32) -> String {
    // The first run writes the file.
    program.run(&["check-config"]);
    let file = program.path("optoggles.toml");
    fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    program.run(&["check-config"]).exits(0).stderr
}

#[test]
fn secrets_in_a_file_that_others_can_read_are_warned_about() {
    let house = House::new();
    let url = house.opa.http.url().replace("://", "://ann:inline-secret@");
    house.stage.add_secret("inline-secret");
    for source in [
        format!(
            "type = \"opa\"\nurl = \"{}\"\ntoken = \"inline-secret\"",
            house.opa.http.url()
        ),
        format!("type = \"opa\"\nurl = \"{url}\""),
    ] {
        let program = house.program(&source, &[]);
        for (mode, warned) in [(0o600, 0), (0o640, 0), (0o604, 1), (0o644, 1)] {
            let said = check(&program, mode);
            assert_eq!(said.matches(WARNING).count(), warned, "{mode:o}: {said}");
        }
        assert!(check(&program, 0o644).contains("chmod o-r"));
        for args in [&["sync"][..], &["check-config", "--strict"]] {
            let output = program.run(args);
            assert!(output.stderr.contains(WARNING), "{}", output.picture());
        }
        program.serve(&[]).terminate().exits(0).complains(WARNING);
    }
}

#[test]
fn secrets_from_variables_and_files_are_not() {
    let house = House::new();
    let url = house.opa.http.url();
    house.stage.add_secret("secret-in-a-file");
    let source = format!("type = \"opa\"\nurl = \"{url}\"\ntoken = \"${{file:token}}\"");
    let program = house.program(&source, &[]);
    program.write("token", "secret-in-a-file\n");
    assert_eq!(check(&program, 0o644), "");
}
