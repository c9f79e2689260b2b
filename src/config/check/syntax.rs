//! Mistakes in the syntax of TOML, and what can still be trusted of the rest.

mod mistake;
mod said;
mod value;
mod words;

use std::collections::BTreeSet;
use std::ops::Range;

pub(super) use self::mistake::{Damage, Mistake};
pub(super) use self::words::{invisible, is_pair, meant_header};
use crate::config::check::mend::Mended;
use crate::config::check::syntax::mistake::DUPLICATE;
use crate::config::lines::Lines;
use crate::config::mask::Piece;
use crate::config::problem::{Problem, Related};

/// Turns mistakes into problems, and drops those of the checks' findings that may be nothing but
/// their consequence. The findings have places in the mended text.
pub(super) fn merge(text: &str, mended: Mended, mut found: Vec<Problem>) -> Vec<Problem> {
    let place = mended.places(text);
    for problem in &mut found {
        problem.span = place(problem.span.clone());
        if let Some(related) = &mut problem.related {
            related.span = place(related.span.clone());
        }
    }
    drop(place);
    let lines = Lines::new(text);
    let line = |mistake: &Mistake| lines.line(mistake.at.start);
    // Several mistakes on one line are one, of which what was found first says most.
    let mut mistakes = mended.mistakes;
    mistakes.sort_by_key(line);
    let doubts = Doubts::new(text, &lines, &mended.headers, &mistakes);
    found.retain(|problem| !doubts.concern(problem));
    mistakes.dedup_by_key(|mistake| line(mistake));
    keep_first_of_torn(&mut mistakes, |mistake| doubts.table(line(mistake)));
    found.extend(mistakes.into_iter().map(Problem::from));
    found
}

/// Where a header is missing, the first key that is there twice tells it.
fn keep_first_of_torn(mistakes: &mut Vec<Mistake>, table: impl Fn(&Mistake) -> usize) {
    let mut torn = BTreeSet::new();
    mistakes.retain(|mistake| {
        let table = table(mistake);
        let is_first = !torn.contains(&table);
        if mistake.is_duplicate() && mistake.damage == Damage::Rest {
            torn.insert(table);
        }
        is_first || !mistake.is_duplicate()
    });
}

/// Adds to each key that is in a table twice where the first one is: the nearest before it of this
/// name, because a table in between has keys of its own.
pub(super) fn find_first_keys(text: &str, pieces: &[Piece], problems: &mut [Problem]) {
    let duplicates = problems.iter_mut();
    for problem in duplicates.filter(|problem| problem.code == DUPLICATE) {
        let name = text.get(problem.span.clone()).unwrap_or_default();
        let before = pieces.partition_point(|(span, _)| span.start < problem.span.start);
        let mut nearest_first = pieces.iter().take(before).rev().map(|(span, _)| span);
        let is_same = |span: &&Range<usize>| text.get((*span).clone()) == Some(name);
        let first = nearest_first.find(is_same).cloned();
        // Of two tables, the parser keeps the name of the second.
        let first = first.or_else(|| table_before(text, problem.span.start, name));
        if problem.related.is_none() {
            problem.related = first.map(|span| Related {
                message: "the first one is here".into(),
                span,
            });
        }
    }
}

/// The name in the last header of this table before a place.
fn table_before(text: &str, before: usize, name: &str) -> Option<Range<usize>> {
    let header = text.get(..before)?.rfind(&format!("[{name}]"))?;
    Some(header + 1..header + 1 + name.len())
}

/// What may come of mistakes in the syntax alone.
struct Doubts<'a> {
    text: &'a str,
    lines: &'a Lines,
    headers: &'a [usize],
    /// Whether the keys of all tables may have got mixed up.
    all: bool,
    /// The tables that may lack keys.
    tables: BTreeSet<usize>,
    /// Whether the id of a source may be hidden, or be another than was meant.
    ids: bool,
    /// The lines with mistakes, in order.
    hurt: Vec<usize>,
}

impl<'a> Doubts<'a> {
    fn new(text: &'a str, lines: &'a Lines, headers: &'a [usize], mistakes: &[Mistake]) -> Self {
        let mut doubts = Doubts {
            text,
            lines,
            headers,
            all: false,
            tables: BTreeSet::new(),
            ids: false,
            hurt: Vec::new(),
        };
        for mistake in mistakes {
            if mistake.damage == Damage::None {
                continue;
            }
            let line = lines.line(mistake.at.start);
            let table = doubts.table(line);
            doubts.all |= mistake.damage == Damage::Rest;
            let hides_keys = mistake.damage != Damage::Value;
            if hides_keys {
                doubts.tables.insert(table);
                if headers.binary_search(&line).is_ok() {
                    // `[toggles` may have been `[toggles.spec]`, and part of the table before.
                    doubts.tables.insert(table - 1);
                }
            }
            let may_be_id = hides_keys || text[lines.range(text, line)].contains("id");
            doubts.ids |= may_be_id && doubts.has_ids(table);
            doubts.hurt.push(line);
        }
        doubts
    }

    /// Whether a finding may not be there once the syntax is right.
    fn concern(&self, problem: &Problem) -> bool {
        let table = self.table(self.lines.line(problem.span.start));
        let of_absence = match problem.code {
            // What the whole file lacks stands on its first line, and has nothing to do with that.
            "no-sources" | "no-target" | "no-toggles" => {
                return self.all || self.tables.contains(&0);
            }
            "unknown-source" | "unused-source" => self.all || self.ids,
            // The keys within braces are on no other line.
            "missing-key" if self.is_inline(problem) => self.all,
            "missing-key" | "unknown-key" => self.all || self.tables.contains(&table),
            _ => false,
        };
        of_absence || self.hurts(&problem.span)
    }

    /// The table that a line is in, counted from 1: before the first header it is 0.
    fn table(&self, line: usize) -> usize {
        self.headers.partition_point(|header| *header <= line)
    }

    /// Whether the ids of sources may stand in a table.
    fn has_ids(&self, table: usize) -> bool {
        let header = table
            .checked_sub(1)
            .and_then(|index| self.headers.get(index));
        let header = header.map(|line| &self.text[self.lines.range(self.text, *line)]);
        header.is_none_or(|header| header.contains("source"))
    }

    /// Whether what a finding is about begins with a brace.
    fn is_inline(&self, problem: &Problem) -> bool {
        self.text[problem.span.start..].starts_with('{')
    }

    /// Whether a mistake is on one of the lines of a place.
    fn hurts(&self, place: &Range<usize>) -> bool {
        let first = self.lines.line(place.start);
        let last = self.lines.line(place.end);
        let next = self.hurt.partition_point(|line| *line < first);
        self.hurt.get(next).is_some_and(|line| *line <= last)
    }
}
