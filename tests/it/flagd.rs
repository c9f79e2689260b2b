//! A target that is a file of flags.

mod keeping;
mod owner;
mod schema;
mod writing;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Stage;
use crate::support::output::Output;
use crate::support::program::Program;

const ONCE: [&str; 1] = ["sync"];

/// The program with two toggles in `flags.json`, whose users are in `users.json`.
struct Flags {
    stage: Stage,
    program: Program,
}

impl Flags {
    fn new() -> Flags {
        Flags::with("", "")
    }

    /// With something at the top of the configuration, and something for the toggle `us`.
    fn with(top: &str, us: &str) -> Flags {
        Flags::made("flags.json", top, us)
    }

    /// With the flags in another file.
    fn at(path: &str) -> Flags {
        Flags::made(path, "", "")
    }

    fn made(path: &str, top: &str, us: &str) -> Flags {
        let stage = Stage::new();
        let config = format!(
            "bind = \"127.0.0.1:{{port}}\"\n{top}\n\
             [[sources]]\nid = \"files\"\ntype = \"file\"\npath = \"users.json\"\n\
             [target]\ntype = \"flagd\"\npath = \"{path}\"\n\
             [[toggles]]\nkey = \"us\"\n\
             users_policy = {{ source = \"files\", package = \"app.rbac\", rule = \"us\" }}\n{us}\n\
             [[toggles]]\nkey = \"tax\"\n\
             users_policy = {{ source = \"files\", package = \"app.rbac\", rule = \"tax\" }}\n"
        );
        let program = Program::new(&stage, &config, &[]);
        Flags { stage, program }
    }

    fn allow(&self, us: &[&str], tax: &[&str]) {
        let text = json!({ "app": { "rbac": { "us": us, "tax": tax } } }).to_string();
        self.program.write("users.json", &text);
    }

    #[track_caller]
    fn sync(&self) -> Output {
        self.program.run(&ONCE).exits(0)
    }

    fn path(&self) -> PathBuf {
        self.program.path("flags.json")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn write(&self, text: &str) {
        self.program.write("flags.json", text);
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Changes the file by hand.
    fn by_hand(&self, change: impl FnOnce(&mut Value)) {
        let mut flags = self.json();
        change(&mut flags["flags"]);
        self.write(&flags.to_string());
    }

    /// Whether a flag is on for exactly these users, as flagd understands it.
    fn is_on_for(&self, key: &str, users: &[&str]) -> bool {
        let flags: Option<Value> = fs::read(self.path())
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        flags.is_some_and(|flags| flags["flags"][key] == flag(users))
    }
}

/// A flag that is on for exactly these users.
fn flag(users: &[&str]) -> Value {
    json!({
        "state": "ENABLED",
        "variants": { "on": true, "off": false },
        "defaultVariant": "off",
        "targeting": { "if": [{ "in": [{ "var": "targetingKey" }, users] }, "on", "off"] },
    })
}
