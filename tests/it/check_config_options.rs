//! What `check-config` prints in which form, and how it ends.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Stage;
use crate::support::output::Output;
use crate::support::program::Program;
use crate::support::terminal::on_a_terminal;

/// Nothing is wrong with it.
const RIGHT: &str = r#"[[sources]]
id = "main"
type = "opa"
url = "http://opa:8181"
[target]
type = "restapi"
endpoint_url = "https://flags.example.com"
[[toggles]]
key = "us"
users_policy = { source = "main", package = "app.rbac", rule = "us_users" }
"#;

fn run(config: &str, args: &[&str]) -> Output {
    Program::new(&Stage::new(), config, &[]).run(args)
}

/// One mistake.
fn wrong() -> String {
    RIGHT.replace("\"main\", package", "\"mian\", package")
}

/// One warning.
fn doubtful() -> String {
    format!("{RIGHT}[[sources]]\nid = \"other\"\ntype = \"opa\"\nurl = \"http://opa\"\n")
}

const REPORT: &str = "\
optoggles.toml:10:27: error: no source has the id `mian`
   |
10 | users_policy = { source = \"mian\", package = \"app.rbac\", rule = \"us_users\" }
   |                           ^^^^^^
   |
   = help: did you mean `main`?

optoggles.toml: 1 error
";

#[test]
fn a_right_file_is_answered_with_one_line() {
    let output = run(RIGHT, &["check-config"]).exits(0);
    let line = "optoggles.toml is valid: 1 source, 1 toggle, target restapi\n";
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (line, ""));
    let output = run(RIGHT, &["check-config", "--format", "json"]).exits(0);
    assert_eq!((output.json(), output.stderr.as_str()), (json!([]), ""));
}

#[test]
fn every_command_reports_a_wrong_file_in_the_same_way() {
    for args in [
        &["check-config"][..],
        &["check-config", "--online"],
        &["serve"],
        &["-q", "sync"],
        &["sync", "--dry-run"],
        &["sync"],
    ] {
        let output = run(&wrong(), args).exits(2);
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("", REPORT)
        );
    }
}

#[test]
fn programs_get_an_array_on_stdout() {
    let output = run(&wrong(), &["check-config", "--format", "json"]).exits(2);
    let expected = json!([{
        "severity": "error",
        "code": "unknown-source",
        "message": "no source has the id `mian`",
        "help": "did you mean `main`?",
        "file": "optoggles.toml",
        "line": 10,
        "column": 27,
        "end_line": 10,
        "end_column": 33,
        "key": "toggles[0].users_policy.source",
    }]);
    assert_eq!((output.json(), output.stderr.as_str()), (expected, ""));
}

#[test]
fn programs_get_an_array_also_where_there_is_no_file() {
    let output = run(
        RIGHT,
        &["-c", "other.toml", "check-config", "--format", "json"],
    )
    .exits(2);
    let found = &output.json()[0];
    assert_eq!(found["code"], "no-file");
    assert_eq!(
        (&found["file"], &found["line"]),
        (&json!("other.toml"), &Value::Null)
    );
}

#[test]
fn warnings_count_as_errors_where_that_is_asked_for() {
    let output = run(&doubtful(), &["check-config"]).exits(0);
    output
        .says("is valid: 2 sources, 1 toggle, target restapi")
        .complains("12:6: warning: no toggle uses the source `other`")
        .complains("optoggles.toml: 1 warning");
    let output = run(&doubtful(), &["check-config", "--strict"]).exits(2);
    output
        .says_not("is valid")
        .complains("12:6: error: no toggle uses the source `other`")
        .complains("optoggles.toml: 1 error");
    let args = ["check-config", "--strict", "--format", "json"];
    let output = run(&doubtful(), &args).exits(2);
    assert_eq!(output.json()[0]["severity"], "error");
}

#[test]
fn a_file_is_checked_without_its_secrets_where_that_is_asked_for() {
    let secrets = "token = \"${OPA_TOKEN}\"\nca_file = \"${file:ca/path}\"\n[target]";
    let config = RIGHT
        .replace("[target]", secrets)
        .replace("http:", "https:");
    run(&config, &["check-config"])
        .exits(2)
        .complains("2 errors");
    let allow = ["check-config", "--allow-unset", "--strict"];
    let output = run(&config, &allow).exits(0);
    let line = "optoggles.toml is valid, not counting 2 unset references:
  5:9: the environment variable `OPA_TOKEN` is not set
  6:11: cannot read `ca/path`: no such file
";
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (line, ""));
    let found = run(&config, &[&allow[..], &["--format", "json"]].concat());
    let found = found.exits(0).json();
    let found = found.as_array().unwrap().iter();
    let found: Vec<_> = found
        .map(|it| ["severity", "code", "line"].map(|key| it[key].clone()))
        .collect();
    let variable = [json!("note"), json!("missing-variable"), json!(5)];
    let file = [json!("note"), json!("unreadable-file"), json!(6)];
    assert_eq!(found, [variable, file]);
    // What is there is checked as always.
    run(
        &config.replace("https:", "http:"),
        &["check-config", "--allow-unset"],
    )
    .exits(0)
    .complains("`token` is sent unencrypted to another host");
    let wrong = config.replace("\"main\", package", "\"mian\", package");
    run(&wrong, &allow)
        .exits(2)
        .says_not("is valid")
        .complains("no source has the id `mian`")
        .complains("optoggles.toml: 1 error, 2 unset references");
    let unreadable = config.replace("${file:ca/path}", "${file:.}");
    run(&unreadable, &allow)
        .exits(2)
        .complains("it is a folder");
    let not_a_reference = config.replace("${file:ca/path}", "ca.pem");
    run(&not_a_reference, &allow)
        .exits(2)
        .complains("no such file");
    run(RIGHT, &allow)
        .exits(0)
        .says("1 source, 1 toggle, target restapi");
    run(&config, &["check-config", "--allow-unset", "--online"])
        .exits(2)
        .complains("'--allow-unset' cannot be used with '--online'");
}

#[test]
fn several_targets_are_counted_and_each_of_them_is_asked() {
    let target = |id: &str| {
        format!(
            "[[targets]]\nid = \"{id}\"\ntype = \"restapi\"\nendpoint_url = \"http://127.0.0.1:9/{id}\"\n\
             [[toggles]]\nkey = \"us\"\ntarget = \"{id}\"\nusers_policy = {{ source = \"main\", \
             package = \"app.rbac\", rule = \"us_users\" }}\n"
        )
    };
    let (source, _) = RIGHT.split_once("[target]").unwrap();
    let source = source.replace("opa:8181", "127.0.0.1:9");
    let config = source.clone() + &target("a") + &target("b") + &target("c");
    let output = run(&config, &["check-config"]).exits(0);
    let line = "optoggles.toml is valid: 1 source, 3 toggles, 3 targets\n";
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (line, ""));
    let args = ["check-config", "--online", "--format", "json"];
    let found = run(&config, &args).exits(1).json();
    assert_eq!(found[0]["key"], "sources[0]");
    assert_eq!(found[1]["key"], "toggles[0].users_policy");
    let found = found.as_array().unwrap().iter();
    let told = found.map(|it| {
        let kind = [&it["severity"], &it["code"]];
        assert_eq!(kind, ["error", "online"]);
        (it["key"].as_str().unwrap(), it["message"].as_str().unwrap())
    });
    let targets: Vec<_> = told.filter(|(key, _)| key.starts_with("targets")).collect();
    assert_eq!(targets.len(), 3, "{targets:?}");
    for ((key, message), (number, id)) in targets.iter().zip(["a", "b", "c"].iter().enumerate()) {
        assert_eq!(*key, format!("targets[{number}]"));
        assert!(message.starts_with(&format!("target {id}: endpoint_url: ")));
    }
    let output = run(&(source + &target("a")), &["check-config"]).exits(0);
    output.says("is valid: 1 source, 1 toggle, target a\n");
}

/// What the check of a wrong file shows on a terminal.
fn shown(env: &[(&str, &str)]) -> String {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("optoggles.toml"), wrong()).unwrap();
    let (shown, status) = on_a_terminal(folder.path(), &["check-config"], env);
    assert_eq!(status, 2);
    shown
}

#[test]
fn there_are_colours_on_a_terminal_that_has_them_unless_they_are_not_wanted() {
    let colored = shown(&[("TERM", "xterm-256color")]);
    assert!(colored.contains("\u{1b}["), "{colored:?}");
    for env in [
        &[("TERM", "xterm-256color"), ("NO_COLOR", "1")][..],
        &[("TERM", "dumb")],
        &[],
    ] {
        assert_eq!(shown(env), REPORT, "{env:?}");
    }
}

#[test]
fn a_configuration_comes_through_a_pipe_and_what_it_names_has_an_end() {
    let stage = Stage::new();
    let program = Program::new(&stage, "", &[]);
    let piped = ["-c", "/dev/stdin", "check-config"];
    program.run_with(RIGHT, &piped).exits(0);
    let pipe = program.path("pipe");
    let (kind, mode) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
    mknodat(CWD, &pipe, kind, mode, 0).unwrap();
    let hangs = format!("token = \"${{file:{}}}\"\n[target]", pipe.display());
    let hangs = format!(
        "http_timeout = \"100ms\"\n{}",
        RIGHT.replace("[target]", &hangs)
    );
    let output = program.run_with(&hangs, &piped).exits(2);
    let words = "it did not end within 100ms: is it a pipe that nothing closes?";
    assert!(output.stderr.contains(words), "{}", output.picture());
}
