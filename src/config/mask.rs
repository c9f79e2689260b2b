//! Takes the secrets out of the lines that a report shows.

mod broken;
mod tree;
mod values;
mod words;

use std::ops::Range;

use toml::de::DeTable;

use crate::config::lines::Lines;
use crate::config::problem::Problem;
pub(super) use broken::{COMMENTS, is_merge_marker};
pub(super) use tree::Piece;
pub(super) use values::{is_harmless_address, plain_part};
pub(super) use words::{is_telling, is_telling_in_spec};

/// A part of the file that is not shown, and what is shown instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    span: Range<usize>,
    instead: &'static str,
}

impl Cut {
    fn secret(span: Range<usize>) -> Cut {
        Cut {
            span,
            instead: "[redacted]",
        }
    }

    /// A comment explains nothing to who wrote it, and may be an old secret: it is left out.
    fn comment(span: Range<usize>) -> Cut {
        Cut { span, instead: "" }
    }
}

/// A text with parts of it cut.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Masked {
    text: String,
    /// What was cut out of the original, in order, and where its replacement is.
    cuts: Vec<(Range<usize>, Range<usize>)>,
}

impl Masked {
    /// The text with these cuts, which are in order.
    pub(super) fn new(original: &str, cuts: &[Cut]) -> Masked {
        let mut masked = Masked {
            text: String::with_capacity(original.len()),
            cuts: Vec::with_capacity(cuts.len()),
        };
        let mut copied = 0;
        for cut in cuts {
            let kept = original.get(copied..cut.span.start);
            masked.text.push_str(kept.unwrap_or_default());
            let start = masked.text.len();
            masked.text.push_str(cut.instead);
            let replacement = start..masked.text.len();
            masked.cuts.push((cut.span.clone(), replacement));
            copied = cut.span.end;
        }
        let rest = original.get(copied..);
        masked.text.push_str(rest.unwrap_or_default());
        masked
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of the original is now. What begins or ends in a cut covers its replacement.
    pub(super) fn span(&self, original: &Range<usize>) -> Range<usize> {
        let start = self.offset(original.start, |replacement| replacement.start);
        let end = self.offset(original.end, |replacement| replacement.end);
        start..end.max(start)
    }

    fn offset(&self, original: usize, within: impl Fn(&Range<usize>) -> usize) -> usize {
        let before = self.cuts.partition_point(|(cut, _)| cut.start < original);
        match before.checked_sub(1).and_then(|last| self.cuts.get(last)) {
            None => original,
            Some((cut, replacement)) if original < cut.end => within(replacement),
            Some((cut, replacement)) => replacement.end + (original - cut.end),
        }
    }
}

/// The keys and single values of a file that was parsed, in order; `place` tells where in it
/// something stands that was parsed.
pub(super) fn pieces(root: &DeTable, place: impl Fn(Range<usize>) -> Range<usize>) -> Vec<Piece> {
    let mut pieces = tree::pieces(root);
    for (span, _) in &mut pieces {
        *span = place(span.clone());
    }
    pieces
}

/// What of a file must not be shown, in order and each on one line: values of keys that are secret
/// or not known, comments, and whatever the parser made no sense of.
pub(super) fn cuts(text: &str, pieces: &[Piece], problems: &[Problem]) -> Vec<Cut> {
    let lines = Lines::new(text);
    let mut broken = broken_lines(&lines, problems);
    let mut cuts = Vec::new();
    for (span, show) in pieces {
        let hidden = values::hidden(text, span, *show).into_iter();
        cuts.extend(hidden.flat_map(|part| by_line(text, part)).map(Cut::secret));
    }
    for gap in gaps(text.len(), pieces) {
        for part in by_line(text, gap) {
            let (code, comment) = split_comment(text, part);
            if text.get(code.clone()).is_some_and(is_unexplained) {
                broken.push(lines.line(code.start));
            }
            cuts.extend(comment.map(Cut::comment));
        }
    }
    broken.sort_unstable();
    broken.dedup();
    let mut table = "";
    let mut seen = 0;
    for number in broken {
        let passed = (seen..=number).map(|line| text.get(lines.range(text, line)));
        let mut nearest_first = passed.flatten().rev();
        let header = nearest_first.find(|line| line.trim_start().starts_with('['));
        table = header.unwrap_or(table);
        seen = number;
        let span = lines.range(text, number);
        let line = text.get(span.clone()).unwrap_or_default();
        let in_file = |part: Range<usize>| span.start + part.start..span.start + part.end;
        let hidden = broken::hidden(line, table).into_iter();
        cuts.extend(hidden.map(in_file).map(Cut::secret));
    }
    merge(cuts)
}

/// The lines on which the parser stumbled.
fn broken_lines(lines: &Lines, problems: &[Problem]) -> Vec<usize> {
    let syntax = problems.iter().filter(|problem| problem.code == "syntax");
    syntax
        .flat_map(|problem| lines.line(problem.span.start)..=lines.line(problem.span.end))
        .collect()
}

/// What stands between the keys and values.
fn gaps(length: usize, pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut gaps = Vec::new();
    let mut end = 0;
    for (piece, _) in pieces {
        gaps.push(end..piece.start.max(end));
        end = end.max(piece.end);
    }
    gaps.push(end..length.max(end));
    gaps
}

/// The same part of the text line by line, without the line breaks.
fn by_line(text: &str, part: Range<usize>) -> Vec<Range<usize>> {
    let mut start = part.start;
    let lines = text.get(part).unwrap_or_default().split_inclusive('\n');
    let lines = lines.map(|line| {
        let from = start;
        start += line.len();
        from..from + line.trim_end_matches(['\r', '\n']).len()
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// What stands before a comment, and the comment with the blanks before it.
fn split_comment(text: &str, part: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let content = text.get(part.clone()).unwrap_or_default();
    let Some(at) = content.find('#') else {
        return (part, None);
    };
    let code = content.get(..at).unwrap_or_default().trim_end();
    let end = part.start + code.len();
    (part.start..end, Some(end..part.end))
}

/// Whether there is more than what stands between keys and values in right TOML.
fn is_unexplained(code: &str) -> bool {
    let is_between = |c: char| c.is_whitespace() || "[]{}=,.\u{feff}".contains(c);
    !code.chars().all(is_between)
}

/// The same cuts without overlaps; what is a secret for one of them stays one.
fn merge(mut cuts: Vec<Cut>) -> Vec<Cut> {
    cuts.sort_by_key(|cut| cut.span.start);
    let mut merged: Vec<Cut> = Vec::with_capacity(cuts.len());
    for cut in cuts {
        match merged.last_mut() {
            Some(last) if cut.span.start < last.span.end => {
                last.span.end = last.span.end.max(cut.span.end);
                last.instead = if last.instead.is_empty() {
                    cut.instead
                } else {
                    last.instead
                };
            }
            _ => merged.push(cut),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
