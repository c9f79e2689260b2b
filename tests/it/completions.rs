//! Scripts with which shells complete the command line.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Stage;
use crate::support::program::Program;

/// What `optoggles completions` prints for a shell: it needs no configuration.
#[track_caller]
fn script(shell: &str) -> String {
    let program = Program::new(&Stage::new(), "", &[]);
    program.run(&["completions", shell]).exits(0).stdout
}

/// Fails unless the shell can read its script, where that shell is installed.
#[track_caller]
fn is_read_by(shell: &str, args: &[&str]) {
    let mut command = Command::new(shell);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => panic!("{shell} cannot be run: {error}"),
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script(shell).as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{words}");
}

#[test]
fn shells_can_read_their_scripts() {
    is_read_by("bash", &["-n"]);
    is_read_by("zsh", &["-n"]);
    is_read_by("fish", &["--no-execute"]);
}

/// A folder with a configuration of these toggles.
fn configured(toggles: &str) -> Program {
    let source = "[[sources]]\nid = \"files\"\ntype = \"file\"\npath = \"users.json\"\n";
    Program::new(&Stage::new(), &format!("{source}{toggles}"), &[])
}

/// What the program offers for the last word of a line.
#[track_caller]
fn offered(program: &mut Program, line: &[&str]) -> Vec<String> {
    program.set_env("OPTOGGLES_COMPLETE", "fish");
    let output = program.run(&[&["--", "optoggles"], line].concat()).exits(0);
    assert_eq!(output.stderr, "");
    let words = output.stdout.lines().map(|line| line.split('\t').next());
    words.map(|word| word.unwrap().to_owned()).collect()
}

const TOGGLES: [&str; 3] = ["sync", "--toggle", ""];

#[test]
fn toggles_of_the_configuration_are_offered_as_a_shell_can_take_them() {
    let odd = [
        "a b", "$(id)", "`id`", "*", "~root", "-x", "it's", "${KEY}", "",
    ];
    let keys = ["us-feature", "eu.1", "größe"];
    let toggles = keys
        .iter()
        .chain(&odd)
        .map(|key| format!("[[toggles]]\nkey = \"{key}\"\n"));
    let mut program = configured(&toggles.collect::<String>());
    assert_eq!(
        offered(&mut program, &TOGGLES),
        ["eu.1", "größe", "us-feature"]
    );
    assert_eq!(
        offered(&mut program, &["sync", "--toggle", "us"]),
        ["us-feature"]
    );
    // With its target too; from the file that the line names.
    let other = "[[toggles]]\nkey = \"us\"\ntarget = \"shop\"\n";
    program.write("other.toml", other);
    let named = [&["-c", "other.toml"][..], &TOGGLES].concat();
    assert_eq!(offered(&mut program, &named), ["shop/us", "us"]);
}

#[test]
fn nothing_is_offered_where_there_is_no_configuration_to_read() {
    let mut program = configured("[[toggles]]\nkey = \"us\"\n[[toggles");
    assert!(offered(&mut program, &TOGGLES).is_empty(), "it is no TOML");
    for file in ["missing.toml", ".", "/dev/zero"] {
        let line = [&["-c", file][..], &TOGGLES].concat();
        assert!(offered(&mut program, &line).is_empty(), "{file}");
    }
}

#[test]
fn shells_complete_a_command_an_option_and_a_toggle() {
    let program = configured("[[toggles]]\nkey = \"us-feature\"\n");
    program.run(&["check-config"]).exits(2);
    let bin = Path::new(env!("CARGO_BIN_EXE_optoggles")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = |shell: &str, line: &str| {
        let mut command = Command::new(shell);
        command.args(["-c", line]).env("PATH", &path);
        let output = command.current_dir(program.path("")).output();
        output.map(|output| String::from_utf8(output.stdout).unwrap())
    };
    let lines = [
        ("ch", "check-config"),
        ("sync --dry", "--dry-run"),
        ("sync --toggle us", "us-feature"),
    ];
    for (typed, expected) in lines {
        let last = typed.split(' ').count();
        let bash = format!(
            "eval \"$(optoggles completions bash)\"\nCOMP_WORDS=(optoggles {typed}) COMP_CWORD={last}\n\
             _clap_complete_optoggles optoggles \"${{COMP_WORDS[{last}]}}\" 2>&-\necho \"${{COMPREPLY[@]}}\""
        );
        assert_eq!(run("bash", &bash).unwrap().trim(), expected);
        let fish = format!("optoggles completions fish | source; complete -C 'optoggles {typed}'");
        match run("fish", &fish) {
            Ok(printed) => assert_eq!(printed.trim().split('\t').next(), Some(expected)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
    }
}
