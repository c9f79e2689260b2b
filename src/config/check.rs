//! Every problem of a configuration in one run, and the configuration itself if there are none.

mod addresses;
mod file;
mod flagd;
mod launchdarkly;
mod policy;
mod sources;
mod spec;
mod target;
mod tls;
mod toggles;
mod values;

use std::time::Duration;

use toml::de::{DeTable, Error};

use crate::config::interpolate::Surroundings;
use crate::config::mask::{self, Cut};
use crate::config::problem::{Place, Problem, Severity};
use crate::config::reader::Context;
use crate::config::table::Table;
use crate::config::{Bind, Config, MaxRemoval};

const RESYNC_INTERVAL: Duration = Duration::from_secs(5 * 60);
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
const CONCURRENCY: u16 = 8;

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
pub(super) fn check(text: &str, around: &Surroundings) -> Checked {
    let (tree, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Checked {
            config: None,
            problems: invalid_toml(text, &errors),
            cuts: mask::cuts_of_unparsed(text),
        };
    }
    let mut cx = Context {
        around,
        problems: Vec::new(),
    };
    let config = read(Table::root(tree.get_ref()), &mut cx);
    let mut problems = cx.problems;
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end, problem.severity));
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    Checked {
        config: config.filter(|_| !problems.iter().any(is_error)),
        problems,
        cuts: mask::cuts(text, tree.get_ref()),
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

/// Reads everything before it gives up on anything, so that all problems are found. What is wrong
/// or left out has its default here; `check` drops the whole where something was wrong.
fn read(mut root: Table, cx: &mut Context) -> Option<Config> {
    let bind = root
        .optional("bind")
        .and_then(|node| addresses::bind(cx, &node));
    let resync_interval = match root.optional("resync_interval") {
        None => Some(RESYNC_INTERVAL),
        Some(node) => values::interval(cx, &node),
    };
    let http_timeout = root.optional("http_timeout");
    let http_timeout = http_timeout.and_then(|node| values::duration(cx, &node));
    let concurrency = root.optional("concurrency");
    let concurrency = concurrency.and_then(|node| cx.integer(&node, 1..=256, CONCURRENCY.into()));
    let max_removal = root.optional("max_removal");
    let max_removal = max_removal.and_then(|node| values::max_removal(cx, &node));
    let sources = sources::read(&mut root, cx);
    let (target_type, target) = target::read(&mut root, cx);
    let mut toggles = toggles::read(&mut root, cx, &sources, target_type);
    for toggle in &mut toggles {
        if toggle.max_removal == MaxRemoval::Unset {
            toggle.max_removal = max_removal.unwrap_or_default();
        }
    }
    root.finish(cx, &[]);
    Some(Config {
        bind: bind.unwrap_or_else(|| Bind {
            host: "0.0.0.0".into(),
            port: 8080,
        }),
        resync_interval,
        http_timeout: http_timeout.unwrap_or(HTTP_TIMEOUT),
        concurrency: concurrency
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(CONCURRENCY.into()),
        sources: sources.list,
        target: target?,
        toggles,
    })
}

#[cfg(test)]
mod tests;
