//! A table for a comment on a pull request: who would gain and who would lose each toggle.

use std::fmt::Write;

use super::{Report, Row, Verdict};
use crate::users::Users;

/// More names than this are counted only.
const NAMES: usize = 20;

impl Report {
    /// The toggles that change or fail as a table in Markdown, and a line about the others.
    pub(in crate::commands::sync) fn markdown(&self) -> String {
        let told = |row: &&Row| row.verdict() != Verdict::Unchanged;
        let rows: Vec<&Row> = self.rows.iter().filter(told).collect();
        let mut text = String::new();
        if !rows.is_empty() {
            text.push_str("| toggle | gain it | lose it | users | result |\n");
            text.push_str("| --- | --- | --- | ---: | --- |\n");
        }
        for row in rows {
            let (key, gains, losses) = (code(&row.key), row.gains(), row.losses());
            let result = escape(&self.result(row));
            // Writing to a string does not fail.
            let count = row.count();
            let _ = writeln!(text, "| {key} | {gains} | {losses} | {count} | {result} |");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text + &self.summary_line()
    }

    fn result(&self, row: &Row) -> String {
        match &row.complaint {
            None => self.done(row),
            Some(complaint) => complaint.in_a_line(&row.outcome),
        }
    }
}

impl Row {
    fn gains(&self) -> String {
        match self.known_change() {
            Some(change) => names('+', &change.added),
            None => self.unknown(),
        }
    }

    fn losses(&self) -> String {
        match self.known_change() {
            Some(change) => names('−', &change.removed),
            None => self.unknown(),
        }
    }

    fn unknown(&self) -> String {
        match self.verdict() {
            Verdict::Set | Verdict::Held => "?".to_owned(),
            _ => String::new(),
        }
    }
}

/// How many, and their names as far as there is room.
fn names(sign: char, users: &Users) -> String {
    if users.is_empty() {
        return String::new();
    }
    let mut text = format!("{sign}{}:", users.len());
    for user in users.iter().take(NAMES) {
        text.push(' ');
        text.push_str(&code(user));
    }
    if let Some(more) = users.len().checked_sub(NAMES).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Text as it is, in a cell: a name must not be a link, a mention or a command there.
fn code(text: &str) -> String {
    let text = text.escape_debug().to_string();
    if text.contains('`') {
        return format!("`` {} ``", escape(&text));
    }
    format!("`{}`", escape(&text))
}

/// A cell ends at a `|`, also within code.
fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_up_to_a_limit() {
        let few: Users = ["ann", "b|c", "d`e", "@team"].into_iter().collect();
        assert_eq!(names('+', &few), "+4: `@team` `ann` `b\\|c` `` d`e ``");
        let many: Vec<String> = (10..40).map(|n| format!("u{n}")).collect();
        let many: Users = many.iter().map(String::as_str).collect();
        assert!(names('−', &many).ends_with("`u29` and 10 more"));
        assert_eq!(names('+', &Users::default()), "");
    }
}
