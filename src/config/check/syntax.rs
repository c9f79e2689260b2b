//! What the TOML parser says, and what can still be trusted of the rest after it.

use std::ops::Range;

use toml::de::Error;

use crate::config::lines::Lines;
use crate::config::problem::{Place, Problem, quote};

/// How much of the file a syntax error makes unreadable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// One value, which is there all the same.
    Value,
    /// A line: keys may be lost, or have landed in another table.
    Line,
    /// What follows, up to the last error: it was taken for the inside of something not closed.
    Rest,
}

/// How the parser's messages begin where only a value is hurt. A message that is not known here
/// counts as worse, so that a new version of the parser costs findings but invents none.
const VALUE_ONLY: &[&str] = &[
    "duplicate key",
    "extra comma",
    "integers with a radix",
    "invalid basic string",
    "invalid binary",
    "invalid boolean",
    "invalid date-time",
    "invalid exponent",
    "invalid float",
    "invalid fraction",
    "invalid hexadecimal",
    "invalid integer",
    "invalid literal string",
    "invalid mantissa",
    "invalid octal",
    "missing escaped value",
    "radix must be lowercase",
    "redundant",
    "string values must be quoted",
    "unexpected leading zero",
    "unexpected sign",
    "`_` may only go between digits",
];

/// Problems that come of something not being there, or being elsewhere.
const OF_ABSENCE: &[&str] = &[
    "missing-key",
    "no-sources",
    "no-target",
    "no-toggles",
    "unknown-key",
    "unknown-source",
    "unused-source",
];

/// How the parser's messages begin where an array or inline table goes on although its line is over.
const SPILLS: &[&str] = &["missing assignment", "missing comma", "missing key for"];

/// Turns the parser's errors into problems, and drops those of the checks' findings that may be
/// nothing but their consequence.
pub(super) fn merge(text: &str, errors: &[Error], mut found: Vec<Problem>) -> Vec<Problem> {
    if errors.is_empty() {
        return found;
    }
    let lines = Lines::new(text);
    let mut syntax: Vec<(Damage, Problem)> = errors
        .iter()
        .map(|error| problem(text, &lines, error))
        .collect();
    syntax.sort_by_key(|(_, problem)| problem.span.start);
    let keys_are_certain = syntax.iter().all(|(damage, _)| *damage == Damage::Value);
    let swallowed = swallowed(&syntax);
    found.retain(|problem| {
        let is_certain = keys_are_certain || !OF_ABSENCE.contains(&problem.code);
        let is_swallowed = swallowed.contains(&problem.span.start);
        // What the whole file lacks is shown on its first line, and has nothing to do with that.
        let is_hurt = !problem.key.is_empty() && is_hurt(&problem.span, &syntax, &lines);
        is_certain && !is_swallowed && !is_hurt
    });
    // Several errors on one line are one mistake, of which the first one says most.
    syntax.dedup_by_key(|(_, problem)| lines.line(problem.span.start));
    found.extend(syntax.into_iter().map(|(_, problem)| problem));
    found
}

/// From the first thing that is not closed to the last error.
fn swallowed(syntax: &[(Damage, Problem)]) -> Range<usize> {
    let unclosed = syntax.iter().find(|(damage, _)| *damage == Damage::Rest);
    match (unclosed, syntax.last()) {
        (Some((_, first)), Some((_, last))) => first.span.start..last.span.start + 1,
        _ => 0..0,
    }
}

/// Whether an error is within a place, or on the line on which it begins.
fn is_hurt(place: &Range<usize>, syntax: &[(Damage, Problem)], lines: &Lines) -> bool {
    let from = lines.start(place.start);
    let next = syntax.partition_point(|(_, error)| error.span.start < from);
    syntax.get(next).is_some_and(|(_, error)| {
        let at = error.span.start;
        at <= place.end || lines.start(at) == from
    })
}

fn problem(text: &str, lines: &Lines, error: &Error) -> (Damage, Problem) {
    let span = error.span().unwrap_or_default();
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    let at = Place {
        span: start..end,
        ..Place::default()
    };
    // The message alone: the error's Display shows the line, and with it the value.
    let message = error.message();
    let message = message
        .strip_suffix(", expected nothing")
        .unwrap_or(message);
    let mut problem = if message == "duplicate key" {
        let key = quote(text.get(start..end).unwrap_or_default());
        Problem::error("duplicate-key", &at, format!("the key {key} is here twice"))
    } else {
        Problem::error("syntax", &at, message)
    };
    problem.help = help(message).map(str::to_owned);
    let before = text.get(lines.start(start)..start).unwrap_or_default();
    (damage(message, before.trim().is_empty()), problem)
}

fn help(message: &str) -> Option<&'static str> {
    if message.starts_with("string values must be quoted") {
        Some("put the value in double quotes")
    } else if message.starts_with("key with no value") {
        Some("write `key = value`")
    } else {
        None
    }
}

fn damage(message: &str, is_first_on_line: bool) -> Damage {
    let begins = |starts: &[&str]| starts.iter().any(|start| message.starts_with(start));
    if begins(VALUE_ONLY) {
        Damage::Value
    } else if begins(&["unclosed"]) || (begins(SPILLS) && is_first_on_line) {
        Damage::Rest
    } else {
        Damage::Line
    }
}
