//! Every problem of a configuration in one run, and the configuration itself if there are none.

use toml::de::{DeTable, Error};

use super::interpolate::Surroundings;
use super::keys::{Catalog, TOP};
use super::mask::{self, Cut};
use super::problem::{Place, Problem, Severity};
use super::reader::Context;
use super::section::Section;
use super::settings::Setting;
use super::{Config, MaxRemoval, sources, target, toggles};

/// What came of checking a configuration.
pub(super) struct Checked {
    /// There exactly if no problem is an error.
    pub(super) config: Option<Config>,
    /// In the order of the file.
    pub(super) problems: Vec<Problem>,
    /// What of the text must not be shown with the problems.
    pub(super) cuts: Vec<Cut>,
}

/// Checks the text of a configuration. Where it is invalid TOML, that is all there is to say.
pub(super) fn check(text: &str, around: &Surroundings, catalog: &Catalog) -> Checked {
    let groups = catalog.groups();
    let (tree, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Checked {
            config: None,
            problems: invalid_toml(text, &errors),
            cuts: mask::cuts_of_unparsed(text, &groups),
        };
    }
    let mut cx = Context {
        around,
        catalog,
        groups: &groups,
        problems: Vec::new(),
    };
    let config = read(Section::new(tree.get_ref(), Place::default()), &mut cx);
    let mut problems = cx.problems;
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end, problem.severity));
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    Checked {
        config: config.filter(|_| !problems.iter().any(is_error)),
        problems,
        cuts: mask::cuts(text, tree.get_ref(), &groups),
    }
}

/// What the parser says: its messages quote nothing of the file.
fn invalid_toml(text: &str, errors: &[Error]) -> Vec<Problem> {
    const HELP: &str =
        "write `key = value` on a line of its own, strings in quotes: see https://toml.io";
    let problems = errors.iter().map(|error| {
        let span = error.span().unwrap_or_default();
        let at = Place {
            span: text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end),
            ..Place::default()
        };
        Problem::error("syntax", &at, error.message(), HELP)
    });
    let mut problems: Vec<Problem> = problems.collect();
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    problems.dedup();
    problems
}

/// Reads everything before it gives up on anything, so that all problems are found.
fn read(mut root: Section, cx: &mut Context) -> Option<Config> {
    root.read(cx, TOP);
    let sources = sources::read(&mut root, cx);
    let (target_type, target) = target::read(&mut root, cx);
    let limit = root.get("max_removal").map(|read| &read.setting);
    let limit = match limit {
        Some(Setting::MaxRemoval(limit)) => *limit,
        _ => MaxRemoval::default(),
    };
    let (toggles, rules) = toggles::read(&mut root, cx, &sources, target_type, limit);
    let settings = root.finish(cx);
    let interval = *settings.duration("resync_interval").ok()?;
    Some(Config {
        bind: settings.bind("bind").ok()?.clone(),
        resync_interval: Some(interval).filter(|interval| !interval.is_zero()),
        http_timeout: *settings.duration("http_timeout").ok()?,
        concurrency: *settings.number("concurrency").ok()?,
        sources: sources.list,
        targets: vec![target?],
        rules,
        toggles,
    })
}
