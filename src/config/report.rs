//! Shows the problems of a configuration, each at its place.

mod entry;
mod excerpt;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::lines::Lines;
use crate::config::mask::{Cut, Masked};
pub use crate::config::problem::{Problem, Related, Severity};
pub use entry::Entry;

/// The problems of one configuration file, in the order of the file.
///
/// Its `Display` shows each with its line, and in the end how many there are; it is empty where
/// there are none. Secrets are taken out of the lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    file: PathBuf,
    text: String,
    lines: Lines,
    masked: Masked,
    problems: Vec<Problem>,
}

/// A place in a text, as people count: from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Report {
    /// Puts problems together with the file that they are in, its text, and what of that must not
    /// be shown.
    pub(super) fn new(file: PathBuf, text: String, problems: Vec<Problem>, cuts: &[Cut]) -> Report {
        Report {
            file,
            lines: Lines::new(&text),
            masked: Masked::new(&text, cuts),
            text,
            problems,
        }
    }

    /// The same with warnings counted as errors.
    pub fn strict(mut self) -> Report {
        for problem in &mut self.problems {
            problem.severity = Severity::Error;
        }
        self
    }

    /// The file that was read, as it was named.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The problems, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The position of a byte of the file, such as the start of a problem's span.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = &self.text[self.lines.start(offset)..offset];
        Position {
            line: self.lines.line(offset) + 1,
            // A byte order mark is no character that anybody sees.
            column: line.trim_start_matches('\u{feff}').chars().count() + 1,
        }
    }

    /// What `Display` shows, with colours.
    pub fn colored(&self) -> String {
        self.human(true)
    }

    fn human(&self, colored: bool) -> String {
        let mut blocks: Vec<String> = self
            .problems
            .iter()
            .map(|problem| self.excerpt(problem, colored) + "\n\n")
            .collect();
        if !blocks.is_empty() {
            blocks.push(format!("{}: {}", self.file.display(), self.count()));
        }
        blocks.concat()
    }

    /// Such as `2 errors, 1 warning`.
    fn count(&self) -> String {
        let of = |severity| {
            let problems = self.problems.iter();
            let number = problems
                .filter(|problem| problem.severity == severity)
                .count();
            let ending = if number == 1 { "" } else { "s" };
            (number > 0).then(|| format!("{number} {severity}{ending}"))
        };
        let counts = [of(Severity::Error), of(Severity::Warning)];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        counts.join(", ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.human(false))
    }
}

/// The same as `Display`: the text of the file can hold secrets.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

#[cfg(test)]
#[path = "tests/report.rs"]
mod tests;
