//! `--toggle`: which toggles a name means.

use std::fs;

use serde_json::json;

use crate::support::Stage;
use crate::support::output::Output;
use crate::support::program::Program;

/// Toggles at two targets, of which one looks like the name of another.
const TOGGLES: [(&str, &str); 4] = [("a", "us"), ("b", "us"), ("b", "a/us"), ("b", "tax")];

struct Targets {
    program: Program,
    stage: Stage,
}

impl Targets {
    /// The same two users have all toggles, and should lose them.
    fn emptied() -> Targets {
        let mut config =
            "bind = \"127.0.0.1:{port}\"\nmax_removal = \"50%\"\n[[sources]]\nid = \"files\"\n\
                          type = \"file\"\npath = \"users.json\"\n"
                .to_owned();
        for id in ["a", "b"] {
            config +=
                &format!("[[targets]]\nid = \"{id}\"\ntype = \"flagd\"\npath = \"{id}.json\"\n");
        }
        for (target, key) in TOGGLES {
            config += &format!(
                "[[toggles]]\nkey = \"{key}\"\ntarget = \"{target}\"\n\
                 users_policy = {{ source = \"files\", package = \"app\", rule = \"us\" }}\n"
            );
        }
        let stage = Stage::new();
        let program = Program::new(&stage, &config, &[]);
        let targets = Targets { program, stage };
        targets.allow(&["ann", "bob"]);
        targets.sync(&[]).exits(0);
        targets.allow(&[]);
        targets
    }

    fn allow(&self, users: &[&str]) {
        let text = json!({ "app": { "us": users } }).to_string();
        self.program.write("users.json", &text);
    }

    #[track_caller]
    fn sync(&self, args: &[&str]) -> Output {
        self.program.run(&[&["sync"], args].concat())
    }

    fn empty(&self) -> Vec<String> {
        let is_empty = |(target, key): &(&str, &str)| {
            let text = fs::read_to_string(self.program.path(&format!("{target}.json"))).unwrap();
            let flags: serde_json::Value = serde_json::from_str(&text).unwrap();
            !flags["flags"][key].to_string().contains("ann")
        };
        let empty = TOGGLES.iter().filter(|toggle| is_empty(toggle));
        empty
            .map(|(target, key)| format!("{target}/{key}"))
            .collect()
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.stage.show_if_failing();
    }
}

#[test]
fn a_name_with_a_target_means_one_toggle_whatever_another_is_called() {
    for name in ["a/us", "b/us", "b/a/us", "b/tax"] {
        let targets = Targets::emptied();
        let output = targets.sync(&["--force", "--toggle", name]).exits(0);
        output.reports(&format!("{name} -2 0 users updated"));
        assert_eq!(targets.empty(), [name]);
    }
}

#[test]
fn a_key_means_the_toggles_of_all_targets_but_none_to_force() {
    let targets = Targets::emptied();
    let output = targets.sync(&["--force", "--toggle", "us"]).exits(2);
    let expected = "error: the toggle `us` is at several targets: write one of a/us, b/us\n";
    assert_eq!(output.stderr, expected);
    assert_eq!(targets.empty(), [""; 0]);
    let output = targets.sync(&["--toggle", "us"]).exits(1);
    output.sums_up("2 toggles: 2 held");
    let output = targets.sync(&["--force", "--toggle", "tax"]).exits(0);
    output.reports("b/tax -2 0 users updated");
    assert_eq!(targets.empty(), ["b/tax"]);
}
