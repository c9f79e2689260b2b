//! `init` writes a first configuration for each type of source and target.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use crate::support::Stage;
use crate::support::program::Program;

/// What an option of `init` takes.
fn types(option: &str) -> Vec<String> {
    let program = optoggles::command_line();
    let init = program.find_subcommand("init").unwrap();
    let mut options = init.get_arguments();
    let option = options.find(|it| it.get_id() == option).unwrap();
    let values = option.get_possible_values().into_iter();
    values.map(|value| value.get_name().to_owned()).collect()
}

/// Every combination of a source and a target, with what `init` prints for it.
fn drafts() -> Vec<(String, String)> {
    let program = Program::new(&Stage::new(), "", &[]);
    let (sources, targets) = (types("source"), types("target"));
    assert!(sources.len() >= 3 && targets.len() >= 5);
    let pairs = sources
        .iter()
        .flat_map(|source| targets.iter().map(move |it| (source, it)));
    let drafts = pairs.map(|(source, target)| {
        let args = ["init", "--source", source, "--target", target];
        let name = format!("{source} to {target}");
        (name, program.run(&args).exits(0).stdout)
    });
    drafts.collect()
}

/// The variables that a file asks for.
fn variables(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names = lines.flat_map(|line| line.split("${").skip(1));
    names
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

#[test]
fn what_it_writes_is_right_before_it_is_filled_in_and_after() {
    for (name, text) in drafts() {
        let mut program = Program::new(&Stage::new(), &text, &[]);
        let lint = ["check-config", "--strict", "--allow-unset"];
        let output = program.run(&lint).exits(0);
        let variables = variables(&text);
        let count = format!("not counting {} unset references", variables.len());
        assert!(
            output.stdout.contains(&count),
            "{name}: {}",
            output.picture()
        );
        for variable in variables {
            let value = match variable {
                url if url.ends_with("_URL") => "https://opa.example.com",
                address if address.ends_with("_ADDRESS") => "optoggles:8080",
                _ => "default",
            };
            program.set_env(variable, value);
        }
        program.run(&["check-config", "--strict"]).exits(0);
    }
}

#[test]
fn what_it_writes_commented_out_is_right_too() {
    for (name, text) in drafts() {
        let is_setting = |line: &&str| line.starts_with('[') || line.contains(" = ");
        // These files are not there.
        let is_file = |line: &str| line.contains("_file = ");
        let lines = text.lines().map(|line| {
            let setting = line.strip_prefix("# ").filter(is_setting);
            setting.filter(|line| !is_file(line)).unwrap_or(line)
        });
        let lines: Vec<&str> = lines.collect();
        assert_ne!(lines.join("\n"), text.trim_end(), "{name}");
        let program = Program::new(&Stage::new(), &lines.join("\n"), &[]);
        program.run(&["check-config", "--allow-unset"]).exits(0);
    }
}

#[test]
fn it_writes_a_file_and_never_over_another() {
    let program = Program::new(&Stage::new(), "", &[]);
    let init = ["init", "--target", "flagd", "--output"];
    let into = |file: &str| program.run(&[&init[..], &[file]].concat());
    into("new.toml").exits(0).says("wrote new.toml");
    let written = fs::read_to_string(program.path("new.toml")).unwrap();
    let printed = program.run(&init[..3]).exits(0).stdout;
    assert_eq!(written, printed);

    program.write("mine.toml", "mine");
    symlink("nowhere", program.path("link.toml")).unwrap();
    for file in ["mine.toml", "link.toml"] {
        let words = format!("error: `{file}` exists, and is not overwritten");
        into(file).exits(1).complains(&words);
    }
    assert_eq!(
        fs::read_to_string(program.path("mine.toml")).unwrap(),
        "mine"
    );
    assert!(!program.path("nowhere").exists());
}
