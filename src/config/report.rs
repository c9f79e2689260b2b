//! Shows the problems of a configuration, each at its place.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::lines::Lines;
pub use crate::config::problem::{Problem, Related, Severity};

/// The problems of one configuration file, in the order of the file.
///
/// Its `Display` has a line for each problem, `optoggles.toml:12:8: error: …`, and its help below.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    file: PathBuf,
    text: String,
    lines: Lines,
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
    /// Puts problems together with the file that they are in and its text.
    pub(super) fn new(file: PathBuf, text: String, problems: Vec<Problem>) -> Report {
        Report {
            file,
            lines: Lines::new(&text),
            text,
            problems,
        }
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

    fn place(&self, offset: usize) -> String {
        let Position { line, column } = self.position(offset);
        format!("{}:{line}:{column}", self.file.display())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let place = self.place(problem.span.start);
            write!(f, "{place}: {}: {}", problem.severity, problem.message)?;
            if let Some(Related { message, span }) = &problem.related {
                write!(f, "\n  note: {message}: {}", self.place(span.start))?;
            }
            if let Some(help) = &problem.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
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
mod tests {
    use super::*;

    fn report(text: &str, problems: Vec<Problem>) -> Report {
        Report::new("optoggles.toml".into(), text.into(), problems)
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let report = report("\u{feff}a = 'é'\r\nbc = 1\n", Vec::new());
        for (offset, line, column) in [
            (0, 1, 1),
            (3, 1, 1),
            (8, 1, 6),
            (9, 1, 6),
            (10, 1, 7),
            (13, 2, 1),
            (15, 2, 3),
            (20, 3, 1),
            (999, 3, 1),
        ] {
            assert_eq!(
                report.position(offset),
                Position { line, column },
                "{offset}"
            );
        }
    }

    #[test]
    fn a_problem_is_shown_with_its_place_and_its_help() {
        let problem = Problem {
            severity: Severity::Error,
            code: "duplicate-id",
            message: "there are two".into(),
            help: Some("take one away".into()),
            span: 6..7,
            related: Some(Related {
                message: "the first one is here".into(),
                span: 0..1,
            }),
            key: "b".into(),
        };
        let warning = Problem {
            severity: Severity::Warning,
            help: None,
            related: None,
            ..problem.clone()
        };
        assert_eq!(
            report("a = 1\nb = 2\n", vec![problem, warning]).to_string(),
            "optoggles.toml:2:1: error: there are two\n  \
               note: the first one is here: optoggles.toml:1:1\n  \
               help: take one away\n\
             optoggles.toml:2:1: warning: there are two"
        );
    }
}
