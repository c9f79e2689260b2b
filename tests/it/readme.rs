//! What the README says is so: its configurations are right, its commands print what it shows.

mod session;

use std::fs;
use std::path::Path;

use crate::support::Stage;
use crate::support::program::Program;
use session::Session;

/// A block between fences: what stands behind the first one, and the lines within.
struct Block {
    kind: String,
    lines: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The blocks of this kind, in order.
fn blocks(kind: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in readme().lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(kind), None) => {
                open = Some(Block {
                    kind: kind.to_owned(),
                    lines: Vec::new(),
                });
            }
            (None, Some(mut block)) => {
                block.lines.push(line.to_owned());
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks.retain(|block| block.kind == kind);
    assert!(!blocks.is_empty(), "no {kind}");
    blocks
}

#[test]
fn every_configuration_of_the_readme_is_right() {
    let tokens = ["FLAGS_TOKEN", "LAUNCHDARKLY_TOKEN"].map(|name| (name, "any"));
    let is_setting = |rest: &&str| rest.starts_with('[') || rest.contains(" = ");
    for block in blocks("toml") {
        let mut text = block.lines.join("\n");
        // What is commented out is right, too.
        let settings = text.lines().map(|line| {
            let setting = line.strip_prefix("# ").filter(is_setting);
            setting.unwrap_or(line).to_owned() + "\n"
        });
        text = settings.collect();
        if !text.contains("[[sources]]") {
            text += "[[sources]]\nid = \"example-opal\"\nurl = \"http://opal-client:7000\"\n\
                     advertised_address = \"optoggles:8080\"\n";
        }
        if !text.contains("[target]") {
            text += "[target]\ntype = \"flagd\"\npath = \"flags.json\"\n";
        }
        let program = Program::new(&Stage::new(), &text, &tokens);
        program.run(&["check-config"]).exits(0);
    }
}

#[test]
fn every_session_of_the_readme_goes_as_it_is_shown() {
    let mut session = Session::new(&root().join("examples"));
    for block in blocks("console") {
        session.play(&block.lines);
    }
}

/// The first words of the lines of shell commands, and what comes after them.
fn shell_commands() -> Vec<String> {
    let blocks = blocks("sh");
    let lines = blocks.into_iter().flat_map(|block| block.lines);
    let commands = lines.map(|line| {
        line.split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    });
    commands.filter(|command| !command.is_empty()).collect()
}

#[test]
fn every_target_of_the_makefile_that_the_readme_names_is_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let readme = readme();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let typed = readme.split("`make ").chain(readme.split("\nmake "));
    let starts = typed.filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
    let named: Vec<&str> = starts
        .filter_map(|rest| rest.split(|c| !is_part(c)).next())
        .collect();
    assert!(named.len() >= 5, "{named:?}");
    for target in named {
        assert!(makefile.contains(&format!("\n{target}:")), "{target}");
    }
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let readme = readme();
    let links = readme.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split(')').next());
    let paths = links.filter(|link| !link.starts_with("http") && !link.starts_with('#'));
    let paths: Vec<&str> = paths.collect();
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
    }
    for command in shell_commands() {
        let paths = command
            .split_whitespace()
            .filter(|word| word.starts_with("contrib/"));
        for path in paths {
            assert!(root().join(path).exists(), "{path}");
        }
    }
}

#[test]
fn every_heading_that_the_readme_links_to_is_there() {
    let readme = readme();
    let slug = |heading: &str| {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let headings = readme.lines().filter(|line| line.starts_with('#'));
    let headings: Vec<String> = headings
        .map(|line| slug(line.trim_start_matches('#').trim()))
        .collect();
    for link in readme.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap_or_default();
        assert!(
            headings.contains(&anchor.to_owned()),
            "{anchor}: {headings:?}"
        );
    }
}
