//! What the README says is so: its configurations are right, its commands print what it shows.

mod session;

use std::fs;
use std::path::Path;

use crate::support::Stage;
use crate::support::program::Program;
use session::Session;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The lines of each fenced block of this kind, in order.
fn blocks(kind: &str) -> Vec<Vec<String>> {
    let readme = readme();
    let fenced = readme.split("\n```").skip(1).step_by(2);
    let of_kind = fenced.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n'));
    let blocks = of_kind.map(|block| block.lines().map(str::to_owned).collect());
    let blocks: Vec<_> = blocks.collect();
    assert!(!blocks.is_empty(), "no {kind}");
    blocks
}

#[test]
fn every_configuration_of_the_readme_is_right() {
    let tokens =
        ["FLAGS_TOKEN", "LAUNCHDARKLY_TOKEN", "EVALUATION_TOKEN"].map(|name| (name, "any"));
    let is_setting = |rest: &&str| rest.starts_with('[') || rest.contains(" = ");
    for block in blocks("toml") {
        let mut text = block.join("\n");
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
        if !text.contains("[target]") && !text.contains("[[targets]]") {
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
        session.play(&block);
    }
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
    let links = links.filter(|link| !link.starts_with("http") && !link.starts_with('#'));
    let typed = readme.split_whitespace();
    let typed = typed.filter(|word| word.starts_with("contrib/"));
    let paths: Vec<&str> = links.chain(typed).collect();
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
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
