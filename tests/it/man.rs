//! The manual pages say what there is, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Arg;

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(page)
}

/// The lines between a heading, such as `.Ss sync`, and the next that ends it.
#[track_caller]
fn section(page: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(path(page)).unwrap();
    let mut lines = text.lines().skip_while(|line| {
        let rest = line.strip_prefix(heading);
        rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(' '))
    });
    assert!(lines.next().is_some(), "{page} has no {heading}");
    let is_end = |line: &str| {
        line.starts_with(".Sh ") || (line.starts_with(".Ss ") && heading.starts_with(".Ss "))
    };
    let lines = lines.take_while(|line| !is_end(line));
    lines.map(str::to_owned).collect()
}

/// The options that a line such as `.It Fl c Ar file , Fl -config Ar file` is about.
fn options_of(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let is_item = words[0] == ".It";
    let pairs = words.windows(2).filter(|pair| is_item && pair[0] == "Fl");
    pairs.map(|pair| format!("-{}", pair[1])).collect()
}

fn documented(lines: &[String]) -> BTreeSet<String> {
    lines.iter().flat_map(|line| options_of(line)).collect()
}

fn known<'a>(args: impl Iterator<Item = &'a Arg>) -> BTreeSet<String> {
    args.flat_map(|arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        long.into_iter()
            .chain(arg.get_short().map(|short| format!("-{short}")))
    })
    .collect()
}

#[test]
fn the_options_of_every_command_are_in_section_1_and_no_others() {
    let mut program = optoggles::command_line();
    program.build();
    let common = section("optoggles.1", ".Sh OPTIONS");
    assert_eq!(documented(&common), known(program.get_arguments()));
    let mut names = BTreeSet::new();
    for command in program.get_subcommands() {
        let name = command.get_name();
        let lines = section("optoggles.1", &format!(".Ss {name}"));
        let own = |arg: &&Arg| !arg.is_global_set() && arg.get_id() != "help";
        let args = command.get_arguments().filter(own);
        assert_eq!(documented(&lines), known(args), "{name}");
        names.insert(name.to_owned());
    }
    let headings = section("optoggles.1", ".Sh COMMANDS").into_iter();
    let headings = headings.filter_map(|line| {
        let heading = line.strip_prefix(".Ss ")?;
        heading.split(' ').next().map(str::to_owned)
    });
    assert_eq!(headings.collect::<BTreeSet<_>>(), names);
}

#[test]
fn the_values_and_defaults_of_options_are_in_section_1() {
    let mut program = optoggles::command_line();
    program.build();
    let is_help = |command: &&clap::Command| command.get_name() == "help";
    for command in program.get_subcommands().filter(|it| !is_help(it)) {
        let name = command.get_name();
        let text = section("optoggles.1", &format!(".Ss {name}")).join(" ");
        let words: Vec<&str> = text.split([' ', '.']).collect();
        for arg in command.get_arguments() {
            let values = arg.get_possible_values().into_iter();
            let values = values.map(|value| value.get_name().to_owned());
            let defaults = arg.get_default_values().iter();
            let defaults = defaults.map(|value| value.to_str().unwrap().to_owned());
            for value in values
                .chain(defaults)
                .filter(|_| arg.get_action().takes_values())
            {
                assert!(words.contains(&&*value), "{name} {}: {value}", arg.get_id());
            }
        }
    }
}

#[test]
fn mandoc_has_nothing_to_say_to_the_pages() {
    for page in ["optoggles.1", "optoggles.toml.5"] {
        let mut command = Command::new("mandoc");
        command
            .args(["-T", "lint", "-W", "warning"])
            .arg(path(page));
        match command.output() {
            Ok(output) => {
                let words = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && words.is_empty(), "{words}");
            }
            // Who has no mandoc can still run the tests; where changes land, it is installed.
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => panic!("mandoc cannot be run: {error}"),
        }
    }
}

#[test]
fn the_pages_are_of_this_version() {
    for page in ["optoggles.1", "optoggles.toml.5"] {
        let text = fs::read_to_string(path(page)).unwrap();
        let version = concat!("\n.Os optoggles ", env!("CARGO_PKG_VERSION"), "\n");
        assert!(text.contains(version), "{page}");
    }
}
