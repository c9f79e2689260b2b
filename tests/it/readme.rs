//! What README.md and the pages of `docs` say is so: configurations are right, commands print what is shown, and links
//! lead somewhere.

mod session;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Stage;
use crate::support::program::Program;
use session::Session;

/// Every block of these is played by tests of their own: `tests/e2e/checks_recipes.py` and `adapter.rs`.
const APART: [&str; 2] = ["docs/recipes.md", "docs/adapter.md"];

/// A session with OPA, which `tests/e2e/checks_readme.py` plays.
const WITH_OPA: &str = "\n$ opa run ";

/// A page, by its path from the root of the project.
struct Page {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    let entries = fs::read_dir(root().join("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut paths: Vec<String> = names.map(|name| format!("docs/{name}")).collect();
    paths.sort();
    paths.extend(["README.md", "ARCHITECTURE.md"].map(str::to_owned));
    let read = |path: String| Page {
        text: fs::read_to_string(root().join(&path)).unwrap(),
        path,
    };
    paths.into_iter().map(read).collect()
}

fn pages_with_blocks() -> impl Iterator<Item = Page> {
    let is_apart = |page: &Page| APART.contains(&&*page.path);
    pages().into_iter().filter(move |page| !is_apart(page))
}

/// The lines of each fenced block of this kind, in order.
fn blocks(text: &str, kind: &str) -> Vec<Vec<String>> {
    let fenced = text.split("\n```").skip(1).step_by(2);
    let of_kind = fenced.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n'));
    let blocks = of_kind.map(|block| block.lines().map(str::to_owned).collect());
    blocks.collect()
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(lines <= 350, "{lines} lines");
}

#[test]
fn every_configuration_that_a_page_shows_is_right() {
    let tokens =
        ["FLAGS_TOKEN", "LAUNCHDARKLY_TOKEN", "EVALUATION_TOKEN"].map(|name| (name, "any"));
    let is_setting = |rest: &&str| rest.starts_with('[') || rest.contains(" = ");
    let mut count = 0;
    for block in pages_with_blocks().flat_map(|page| blocks(&page.text, "toml")) {
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
        if !text.contains("[target]") {
            text += "[target]\ntype = \"flagd\"\npath = \"flags.json\"\n";
        }
        let program = Program::new(&Stage::new(), &text, &tokens);
        program.run(&["check-config"]).exits(0);
        count += 1;
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn every_session_that_a_page_shows_goes_as_it_is_shown() {
    let mut count = 0;
    for page in pages_with_blocks() {
        let mut session = Session::new(&root().join("examples"));
        let parts = page.text.split("\n## ");
        for part in parts.filter(|part| !part.contains(WITH_OPA)) {
            for block in blocks(part, "console") {
                session.play(&page.path, &block);
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn every_target_of_the_makefile_that_a_page_names_is_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut named = BTreeSet::new();
    for Page { text, .. } in pages() {
        let typed = text.split("`make ").chain(text.split("\nmake "));
        let starts = typed.filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        let names = starts.filter_map(|rest| rest.split(|c| !is_part(c)).next());
        named.extend(names.map(str::to_owned));
    }
    assert!(named.len() >= 10, "{named:?}");
    for target in named {
        assert!(makefile.contains(&format!("\n{target}:")), "{target}");
    }
}

/// The anchors of a page, as GitHub makes them of headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim();
        let is_kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        let kept: String = heading.chars().filter(is_kept).collect();
        kept.to_lowercase().replace(' ', "-")
    };
    headings.map(slug).collect()
}

/// The files that a page links to, each with an anchor, which may be empty.
fn links(page: &Page) -> Vec<(PathBuf, String)> {
    let links = page.text.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split(')').next());
    let links = links.filter(|link| !link.starts_with("http"));
    let own = root().join(&page.path);
    let found = links.map(|link| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = match path.is_empty() {
            true => own.clone(),
            false => own.parent().unwrap().join(path),
        };
        (path, anchor.to_owned())
    });
    found.collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut count = 0;
    for page in pages() {
        for (path, anchor) in links(&page) {
            let shown = format!("{}: {}#{anchor}", page.path, path.display());
            assert!(path.exists(), "{shown}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&path).unwrap();
                assert!(anchors(&text).contains(&anchor), "{shown}");
            }
            count += 1;
        }
    }
    assert!(count >= 50, "{count}");
}

#[test]
fn every_page_and_every_file_to_deploy_is_linked_from_a_page() {
    let links = pages().into_iter().flat_map(|page| links(&page));
    let paths = links.map(|(path, _)| path.canonicalize().unwrap());
    let linked: BTreeSet<PathBuf> = paths.collect();
    let docs = pages().into_iter().map(|page| page.path);
    let contrib = [
        "docker",
        "github-actions",
        "grafana",
        "logrotate",
        "systemd",
    ];
    let contrib = contrib.map(|name| format!("contrib/{name}"));
    let folders = contrib.iter().flat_map(|name| {
        let entries = fs::read_dir(root().join(name)).unwrap();
        entries.map(|entry| entry.unwrap().path())
    });
    let others = ["contrib/kubernetes.yaml", "contrib/prometheus/alerts.yml"];
    let others = others.map(|name| root().join(name));
    let pages = docs.map(|name| root().join(name));
    for path in pages.chain(folders).chain(others) {
        let is_readme = path.ends_with("README.md");
        assert!(is_readme || linked.contains(&path), "{}", path.display());
    }
}
