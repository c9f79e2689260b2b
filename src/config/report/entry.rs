//! A problem for programs.

use serde::Serialize;

use super::{Position, Report};
use crate::config::problem::{Problem, Severity};

/// One element of what `check-config --format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `error`, `warning`, or `ok` for an answer to `--online`.
    pub severity: &'static str,
    /// What kind of problem it is: kebab-case, and the same in every version.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The file, as it was named; null where there is none.
    pub file: Option<String>,
    /// The line, from 1; null, as what follows, where the problem is not in the file.
    pub line: Option<usize>,
    /// The column, in characters, from 1.
    pub column: Option<usize>,
    /// The line of the first character behind the place.
    pub end_line: Option<usize>,
    /// The column of that character.
    pub end_column: Option<usize>,
    /// The path of the key, such as `toggles[1].users_policy.package`; null for the whole file.
    pub key: Option<String>,
}

impl Entry {
    /// What is about no place in a file.
    pub fn new(severity: &'static str, code: &'static str, message: String) -> Entry {
        Entry {
            severity,
            code,
            message,
            help: None,
            file: None,
            line: None,
            column: None,
            end_line: None,
            end_column: None,
            key: None,
        }
    }
}

impl Report {
    /// The problems, in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.problems.iter().map(|problem| self.entry(problem))
    }

    fn entry(&self, problem: &Problem) -> Entry {
        let start = self.position(problem.span.start);
        let end = self.position(problem.span.end);
        let mut message = problem.message.clone();
        if let Some(related) = &problem.related {
            let Position { line, .. } = self.position(related.span.start);
            message.push_str(&format!(" ({}: line {line})", related.message));
        }
        Entry {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: problem.code,
            message,
            help: Some(problem.help.clone()),
            file: Some(self.file.display().to_string()),
            line: Some(start.line),
            column: Some(start.column),
            end_line: Some(end.line),
            end_column: Some(end.column),
            key: Some(problem.key.clone()).filter(|key| !key.is_empty()),
        }
    }
}
