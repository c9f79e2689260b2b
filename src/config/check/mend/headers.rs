//! Headers that are right TOML, and plainly meant otherwise: `[toggles]`, `[[source]]`.

use crate::config::check::mend::Finding;
use crate::config::check::mend::structure::Structure;
use crate::config::check::syntax::Mistake;
use crate::config::lines::Lines;
use crate::config::nearest::{is_respelled, nearest};
use crate::config::problem::quote;

/// The tables of the file's top.
const TABLES: &[&str] = &["sources", "target", "toggles"];

/// The parts of a header, such as `[[toggle.spec]]`.
struct Header<'a> {
    brackets: usize,
    /// `toggle`.
    first: &'a str,
    /// `.spec`.
    rest: &'a str,
}

/// The headers to replace.
pub(super) fn misspelt(text: &str, lines: &Lines, structure: &Structure) -> Vec<Finding> {
    let header = |at: &usize| Header::read(&text[lines.range(text, lines.line(*at))]);
    let headers = structure.headers.iter();
    let found: Vec<(usize, Header)> = headers.filter_map(|at| Some((*at, header(at)?))).collect();
    let has_target = found.iter().any(|(_, header)| header.first == "target");
    let findings = found.iter().filter_map(|(at, header)| {
        let table = nearest(header.first, TABLES.iter().copied())?;
        // A second table of this name would be no better.
        let is_free = table != "target" || !has_target;
        let mistake = match header.first == table {
            true => header.brackets_missing(*at, table),
            false => is_free.then(|| header.unknown(*at, table)),
        };
        let line = lines.line(*at);
        Some(Finding {
            mistake: mistake?,
            lines: line..line + 1,
            instead: header.meant(table),
        })
    });
    findings.collect()
}

impl<'a> Header<'a> {
    /// Reads a line that is a header as it should be but for the name.
    fn read(line: &'a str) -> Option<Header<'a>> {
        let code = line.split('#').next()?.trim();
        let name = code.trim_matches(['[', ']']);
        let brackets = code.find(name)?;
        let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let is_closed = code.len() == name.len() + 2 * brackets && matches!(brackets, 1 | 2);
        let end = name.find('.').unwrap_or(name.len());
        let (first, rest) = name.split_at(end);
        (is_closed && name.chars().all(is_bare)).then_some(Header {
            brackets,
            first,
            rest,
        })
    }

    fn unknown(&self, at: usize, table: &str) -> Mistake {
        let name = at + self.brackets;
        let meant = self.meant(table);
        let message = format!("unknown key {}", quote(self.first));
        let help = match is_respelled(self.first, table) {
            true => format!("write `{meant}`"),
            false => format!("did you mean `{meant}`?"),
        };
        Mistake::plain(name..name + self.first.len(), "unknown-key", message, help)
    }

    /// One bracket where a list of tables has two.
    fn brackets_missing(&self, at: usize, table: &str) -> Option<Mistake> {
        let is_one = self.rest.is_empty() && self.brackets == 1 && table != "target";
        let message = format!("`{table}` must be a list of tables, not a table");
        let help = format!("write `{}`, with two brackets", self.meant(table));
        let place = at..at + self.first.len() + 2;
        is_one.then(|| Mistake::plain(place, "wrong-type", message, help))
    }

    /// The header of a table, or of one within it.
    fn meant(&self, table: &str) -> String {
        let rest = self.rest;
        let brackets = match table {
            _ if !rest.is_empty() => self.brackets,
            "target" => 1,
            _ => 2,
        };
        let (open, close) = ("[".repeat(brackets), "]".repeat(brackets));
        format!("{open}{table}{rest}{close}")
    }
}
