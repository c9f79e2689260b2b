//! A table for a comment on a pull request: which users would gain and lose each toggle.

use std::fmt::Write;

use super::{Report, Row, Verdict};
use crate::users::Users;

/// More names than this are only counted.
const NAMES: usize = 20;

impl Report {
    /// The toggles that change or fail as a table in Markdown, and a line about all of them.
    pub(in crate::commands::sync) fn markdown(&self) -> String {
        let mut text = String::new();
        for row in &self.toggles {
            if row.verdict == Verdict::Unchanged {
                continue;
            }
            if text.is_empty() {
                text.push_str("| toggle | gain it | lose it | users | result |\n");
                text.push_str("| --- | --- | --- | ---: | --- |\n");
            }
            let (key, count, result) = (code(&row.key), row.count(), escape(&self.result(row)));
            let (gains, losses) = row.gains_and_losses();
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {key} | {gains} | {losses} | {count} | {result} |");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text + &self.summary_line()
    }
}

impl Row {
    fn gains_and_losses(&self) -> (String, String) {
        match (self.sent.as_change(), self.verdict) {
            (Some(change), _) => (names('+', &change.added), names('−', &change.removed)),
            (None, Verdict::Set | Verdict::Held) => ("?".into(), "?".into()),
            (None, _) => Default::default(),
        }
    }
}

/// How many users, and the first of their names.
fn names(sign: char, users: &Users) -> String {
    if users.is_empty() {
        return String::new();
    }
    let names: String = users
        .iter()
        .take(NAMES)
        .map(|user| format!(" {}", code(user)))
        .collect();
    let more = match users.len().checked_sub(NAMES) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    };
    format!("{sign}{}:{names}{more}", users.len())
}

/// Text as it is, in a cell: a name must not become a link, a mention or a command.
fn code(text: &str) -> String {
    let text = escape(&text.escape_debug().to_string());
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
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
