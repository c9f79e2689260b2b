//! Gets the parser over what it cannot read, so that the rest of the file is checked all the same.
//!
//! A line that is wrong is replaced by what it was meant to be, where that is plain, else by
//! nothing; then the parser has another go. Lines keep their numbers, so places can be found again.

mod headers;
mod structure;

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, Error};

use self::structure::{Open, Structure};
use crate::config::check::syntax::{Damage, Mistake, invisible, is_pair, meant_header};
use crate::config::lines::Lines;
use crate::config::mask::is_merge_marker;

/// How many bytes are read in all, over and over, before a file is given up: what somebody wrote
/// comes nowhere near this, and what nobody wrote takes no ages.
const EFFORT: usize = 1 << 20;
/// Large files are read this often all the same.
const FEWEST_ROUNDS: usize = 8;
/// Small files are not read more often.
const MOST_ROUNDS: usize = 200;

/// A text that the parser can read but for single values.
pub(super) struct Mended {
    /// The text, of as many lines as the original.
    pub(super) text: String,
    /// What was wrong, with places in the original, in the order in which it was found.
    pub(super) mistakes: Vec<Mistake>,
    /// The number of each line on which a table begins.
    pub(super) headers: Vec<usize>,
}

/// A mistake, and which lines have to go because of it.
struct Finding {
    mistake: Mistake,
    lines: Range<usize>,
    /// What stands for the first of these lines; the others become empty.
    instead: String,
}

/// Mends a text.
pub(super) fn mend(original: &str) -> Mended {
    let rounds = (EFFORT / original.len().max(1)).clamp(FEWEST_ROUNDS, MOST_ROUNDS);
    let mut mended = Mended {
        text: original.to_owned(),
        mistakes: Vec::new(),
        headers: Vec::new(),
    };
    for round in 1.. {
        let lines = Lines::new(&mended.text);
        let structure = Structure::of(&mended.text);
        let mut findings = find(&mended.text, &lines, &structure);
        if findings.iter().any(|finding| !finding.lines.is_empty()) {
            keep_replaced(&mut findings, &lines);
        } else {
            let headers = structure.headers.iter();
            mended.headers = headers.map(|offset| lines.line(*offset)).collect();
            mended.note(original, &lines, findings);
            break;
        }
        if round > rounds {
            // Nothing of such a file is checked, which is better than to take ages, or to guess.
            mended.text = "\n".repeat(original.matches('\n').count());
            findings
                .iter_mut()
                .for_each(|finding| finding.mistake.damage = Damage::Rest);
            mended.note(original, &lines, findings);
            break;
        }
        mended.text = replace(&mended.text, &findings);
        mended.note(original, &lines, findings);
    }
    mended
}

impl Mended {
    /// Adds mistakes of the text as it was, with the places that they have in the original.
    fn note(&mut self, original: &str, lines: &Lines, findings: Vec<Finding>) {
        let originals = Lines::new(original);
        for Finding { mut mistake, .. } in findings {
            mistake.at = counterpart(&mistake.at, lines, original, &originals);
            self.mistakes.push(mistake);
        }
    }

    /// Where bytes of the mended text stand in the original.
    pub(super) fn places<'a>(
        &'a self,
        original: &'a str,
    ) -> impl Fn(Range<usize>) -> Range<usize> + 'a {
        let (lines, originals) = (Lines::new(&self.text), Lines::new(original));
        move |span| counterpart(&span, &lines, original, &originals)
    }
}

/// The bytes of the original that stand on the same lines in the same columns.
fn counterpart(
    span: &Range<usize>,
    lines: &Lines,
    original: &str,
    originals: &Lines,
) -> Range<usize> {
    let counterpart = |offset| {
        let line = originals.range(original, lines.line(offset));
        let column = offset - lines.start(offset);
        original.floor_char_boundary((line.start + column).min(line.end))
    };
    let start = counterpart(span.start);
    start..counterpart(span.end).max(start)
}

/// What is wrong with a text: at first only what is not closed, because all else may come of that.
fn find(text: &str, lines: &Lines, structure: &Structure) -> Vec<Finding> {
    let conflicts = conflicts(text, lines);
    if !conflicts.is_empty() {
        return conflicts;
    }
    if !structure.open.is_empty() {
        let open = structure.open.iter();
        return open.map(|open| unclosed(text, lines, open)).collect();
    }
    let headers = headers::misspelt(text, lines, structure);
    if !headers.is_empty() {
        return headers;
    }
    let (_, errors) = DeTable::parse_recoverable(text);
    let findings = errors
        .iter()
        .map(|error| Finding::new(text, lines, structure, error));
    let mut findings: Vec<Finding> = findings.collect();
    findings.sort_by_key(|finding| finding.mistake.at.start);
    findings
}

/// Keeps what is on the lines that have to go: what stays is found again in the next round, and
/// what is on lines that go along may come of it.
fn keep_replaced(findings: &mut Vec<Finding>, lines: &Lines) {
    let replaced = findings.iter().filter(|finding| !finding.lines.is_empty());
    let replaced: BTreeSet<usize> = replaced.map(|finding| finding.lines.start).collect();
    findings.retain(|finding| replaced.contains(&lines.line(finding.mistake.at.start)));
}

impl Finding {
    /// What the parser says, and what becomes of the line.
    fn new(text: &str, lines: &Lines, structure: &Structure, error: &Error) -> Finding {
        let header = structure.header_before(error.span().unwrap_or_default().start);
        let header = header.map(|at| &text[lines.range(text, lines.line(at))]);
        let header = header.unwrap_or_default();
        let mut mistake = Mistake::new(text, lines, header, error);
        let line = lines.line(mistake.at.start);
        if structure.is_within_value(mistake.at.start) {
            mistake.damage = Damage::Value;
        } else {
            mistake.suspect_header(text, &meant_header(header).unwrap_or_default());
        }
        let is_mended = !matches!(mistake.damage, Damage::Value) && !mistake.is_duplicate();
        let mut finding = Finding {
            mistake,
            lines: line..line,
            instead: String::new(),
        };
        if is_mended {
            finding.lines = line..line + 1;
            finding.mend_line(text, lines, structure);
        }
        finding
    }

    /// Keeps the tables apart where one's header is wrong: its keys would land in the one before.
    fn mend_line(&mut self, text: &str, lines: &Lines, structure: &Structure) {
        let range = lines.range(text, self.lines.start);
        let line = &text[range.clone()];
        if let Some((_, c)) = invisible(line) {
            self.mistake.damage = Damage::None;
            self.instead = line.replace(c, &" ".repeat(c.len_utf8()));
            return;
        }
        let is_header = structure.has_header(&range);
        match meant_header(line) {
            Some(header) if header != line => {
                self.instead = header;
            }
            _ if is_header => {
                self.mistake.damage = Damage::Rest;
                self.lines.end = structure
                    .end_of_table(range.end)
                    .map_or(usize::MAX, |end| lines.line(end));
            }
            _ if !is_pair(line) => self.mistake.damage = Damage::Rest,
            _ => {}
        }
    }
}

/// Something that is not closed, with the lines that may be within it.
fn unclosed(text: &str, lines: &Lines, open: &Open) -> Finding {
    let first = lines.line(open.at.start);
    let mut end = first + 1;
    let last = lines.line(text.len());
    let indent = indent_of(&text[lines.range(text, first)]);
    while open.spills && end <= last {
        if begins_statement(&text[lines.range(text, end)], indent) {
            break;
        }
        end += 1;
    }
    Finding {
        mistake: Mistake::unclosed(text, open.at.clone(), open.closing),
        lines: first..end,
        instead: String::new(),
    }
}

/// What a merge has left: of two sides nobody knows the right one, so both go.
fn conflicts(text: &str, lines: &Lines) -> Vec<Finding> {
    let mut marked = (0..=lines.line(text.len()))
        .map(|line| (line, lines.range(text, line)))
        .filter(|(_, range)| is_merge_marker(&text[range.clone()]));
    let mut findings = Vec::new();
    while let Some((first, at)) = marked.next() {
        let mut last = first;
        if text[at.clone()].starts_with('<') {
            let is_end = |(_, range): &(usize, Range<usize>)| text[range.clone()].starts_with('>');
            last = marked.find(is_end).map_or(first, |(line, _)| line);
        }
        findings.push(Finding {
            mistake: Mistake::conflict(at),
            lines: first..last + 1,
            instead: String::new(),
        });
    }
    findings
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether a line looks as if nothing of the lines before went on in it.
fn begins_statement(line: &str, indent: usize) -> bool {
    let is_statement = line.trim_start().starts_with('[') || line.contains('=');
    let is_element = line.trim_end().ends_with(',') || line.trim_start().starts_with('#');
    is_statement && !is_element && indent_of(line) <= indent
}

/// A text of as many lines, with those that are hurt replaced; the findings are in their order.
fn replace(text: &str, findings: &[Finding]) -> String {
    let mut mended = String::with_capacity(text.len());
    let hurt = findings.iter().filter(|finding| !finding.lines.is_empty());
    let mut hurt = hurt.peekable();
    let mut end = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mut instead = if number < end {
            ""
        } else {
            line.trim_end_matches('\n')
        };
        while let Some(finding) = hurt.next_if(|finding| finding.lines.start <= number) {
            instead = &finding.instead;
            end = end.max(finding.lines.end);
        }
        mended.push_str(instead);
        if line.ends_with('\n') {
            mended.push('\n');
        }
    }
    mended
}
