//! Takes whatever may be a secret out of the lines that a report shows.
//!
//! One rule: what is shown is known to hold no secret. In a file that was parsed, these are keys and the
//! values of certain keys; in a file that was not, the keys of the configuration and nothing else,
//! because a mistake can turn any text into anything.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::address::Address;
use crate::config::keys::{Group, show};

/// What may be shown of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Show {
    /// All of it, where it is plain.
    Whole,
    /// Scheme, host, port and path.
    Address,
    Nothing,
}

/// A part of the file that is not shown, and what is shown instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    span: Range<usize>,
    instead: &'static str,
}

/// A part of a text with what is cut out of it replaced. It begins and ends in no cut (`widened`).
pub(super) fn masked(text: &str, part: Range<usize>, cuts: &[Cut]) -> String {
    let mut masked = String::new();
    let mut copied = part.start;
    for cut in touched(&part, cuts) {
        masked += text.get(copied..cut.span.start).unwrap_or_default();
        masked += cut.instead;
        copied = cut.span.end;
    }
    masked + text.get(copied..part.end).unwrap_or_default()
}

/// A span with all of every cut that it touches.
pub(super) fn widened(span: &Range<usize>, cuts: &[Cut]) -> Range<usize> {
    touched(span, cuts).fold(span.clone(), |wide, cut| {
        wide.start.min(cut.span.start)..wide.end.max(cut.span.end)
    })
}

fn touched<'c>(span: &Range<usize>, cuts: &'c [Cut]) -> impl Iterator<Item = &'c Cut> {
    let (start, end) = (span.start, span.end);
    let first = cuts.partition_point(|cut| cut.span.end <= start);
    let rest = cuts[first..].iter();
    rest.take_while(move |cut| cut.span.start < end)
}

/// What is cut out of a file that was parsed: values, and comments.
pub(super) fn cuts(text: &str, root: &DeTable, groups: &[Group]) -> Vec<Cut> {
    let mut pieces = pieces(root, groups);
    pieces.sort_by_key(|(span, _)| span.start);
    let mut cuts = Vec::new();
    let mut end = 0;
    for (span, show) in pieces {
        comments(text, end..span.start, &mut cuts);
        for part in hidden(text, span.clone(), show) {
            cuts.extend(by_line(text, part).map(|span| Cut {
                span,
                instead: "[redacted]",
            }));
        }
        end = end.max(span.end);
    }
    comments(text, end..text.len(), &mut cuts);
    cuts
}

/// What is cut out of a file that was not parsed: all of each line but a key or a header.
pub(super) fn cuts_of_unparsed(text: &str, groups: &[Group]) -> Vec<Cut> {
    let keys = groups.iter().flat_map(Group::keys);
    let keys: Vec<&str> = keys.map(|key| key.name).collect();
    let lines = by_line(text, 0..text.len());
    let cuts = lines.filter_map(|span| {
        let line = text.get(span.clone()).unwrap_or_default();
        let shown = shown_of_unparsed(line, &keys);
        let instead = if shown == 0 { "…" } else { " …" };
        let span = span.start + shown..span.end;
        (!span.is_empty()).then_some(Cut { span, instead })
    });
    cuts.collect()
}

/// How much of a line may be shown: `[table]`, or `key =`.
fn shown_of_unparsed(line: &str, keys: &[&str]) -> usize {
    let is_known = |path: &str| path.split('.').all(|word| keys.contains(&word.trim()));
    if line.trim_start().starts_with('[')
        && let Some((head, rest)) = line.split_once(']')
    {
        let name = head.trim_start().trim_start_matches('[');
        let brackets = rest.len() - rest.trim_start_matches(']').len();
        let shown = head.len() + 1 + brackets;
        return if is_known(name) { shown } else { 0 };
    }
    let pair = line.split_once('=').filter(|(key, _)| is_known(key));
    pair.map_or(0, |(key, _)| key.len() + 1)
}

/// The keys and single values below a table.
fn pieces(root: &DeTable, groups: &[Group]) -> Vec<(Range<usize>, Show)> {
    let mut pieces = Vec::new();
    let mut tables = vec![(Vec::new(), root)];
    while let Some((path, table)) = tables.pop() {
        for (name, value) in table.iter() {
            pieces.push((name.span(), Show::Whole));
            let path = [&path[..], &[name.get_ref().to_string()]].concat();
            let mut values = vec![value];
            while let Some(value) = values.pop() {
                match value.get_ref() {
                    DeValue::Table(table) => tables.push((path.clone(), table)),
                    DeValue::Array(array) => values.extend(array.iter()),
                    _ => pieces.push((value.span(), show(groups, &path))),
                }
            }
        }
    }
    pieces
}

/// The parts of a value that must not be shown, where `span` is what is written of it.
fn hidden(text: &str, span: Range<usize>, show: Show) -> impl Iterator<Item = Range<usize>> {
    let written = text.get(span.clone()).unwrap_or_default();
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let quote = quotes.iter().find(|quote| written.starts_with(**quote));
    let start = quote.map_or(0, |quote| quote.len());
    let end = written.len().saturating_sub(start).max(start);
    let value = written.get(start..end).unwrap_or_default();
    let parts = match show {
        Show::Whole if is_plain(value) => Vec::new(),
        Show::Address => around_host(value),
        Show::Whole | Show::Nothing => std::iter::once(0..value.len()).collect(),
    };
    let start = span.start + start;
    let parts = parts.into_iter();
    parts.map(move |part| start + part.start..start + part.end)
}

/// Whether a text that should hold no secret has none: a string that has lost its quote can go on into
/// the next value, and people write URLs and private keys in odd places.
pub(super) fn is_plain(text: &str) -> bool {
    let is_odd = |c: char| c.is_control() || "\"'=#@\\".contains(c);
    !text.contains(is_odd) && !text.contains("://") && !text.contains("-----BEGIN")
}

/// What of an address is more than a scheme, a host, a port and a path.
fn around_host(url: &str) -> Vec<Range<usize>> {
    let schemes = ["http://", "https://"];
    let scheme = schemes.iter().find(|scheme| url.starts_with(**scheme));
    let start = scheme.map_or(0, |scheme| scheme.len());
    let user = start..url.rfind('@').unwrap_or(start).max(start);
    let host = if user.is_empty() { start } else { user.end + 1 };
    let rest = url.get(host..).unwrap_or_default();
    let end = host + rest.find(['?', '#']).unwrap_or(rest.len());
    let base = without_references(&url[host..end]);
    let is_host = scheme.is_some() || base.contains(':');
    let shown = if is_host && Address::parse(&format!("http://{base}")).is_ok() {
        end
    } else {
        host
    };
    Vec::from([user, shown..url.len()])
}

/// An address with a `1`, which can stand anywhere in one, for each `${…}`.
fn without_references(address: &str) -> String {
    let is_of_reference = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    let mut parts = address.split("${");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, rest)) if name.chars().all(is_of_reference) => {
                plain = plain + "1" + rest;
            }
            _ => plain = plain + "${" + part,
        }
    }
    plain
}

/// Cuts the comments out of what stands between keys and values.
fn comments(text: &str, between: Range<usize>, cuts: &mut Vec<Cut>) {
    for part in by_line(text, between) {
        let content = text.get(part.clone()).unwrap_or_default();
        if let Some(at) = content.find('#') {
            let code = content.get(..at).unwrap_or_default().trim_end();
            cuts.push(Cut {
                span: part.start + code.len()..part.end,
                instead: "",
            });
        }
    }
}

/// A part of the text line by line, without the line breaks and what is empty.
fn by_line(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = part.start;
    let lines = text.get(part).unwrap_or_default().split_inclusive('\n');
    let lines = lines.map(move |line| {
        let from = start;
        start += line.len();
        from..from + line.trim_end_matches(['\r', '\n']).len()
    });
    lines.filter(|line| !line.is_empty())
}

#[cfg(test)]
#[path = "tests/mask.rs"]
mod tests;
