//! Scripts with which shells complete the command line.

use std::io::{ErrorKind, Write};
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

#[test]
fn bash_completes_a_command_and_an_option() {
    let script = script("bash");
    let complete = |words: &str, count: usize| {
        let run = format!(
            "{script}\nCOMP_WORDS=({words}) COMP_CWORD={count}\n\
             _optoggles optoggles \"${{COMP_WORDS[{count}]}}\" x\necho \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &run]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("optoggles ch", 1), "check-config");
    assert_eq!(complete("optoggles sync --dry", 2), "--dry-run");
}
