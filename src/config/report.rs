//! What can be wrong with a configuration, where, and how it is shown.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::mask::{Cut, is_plain, masked, widened};

/// One thing that is wrong with the configuration.
///
/// The texts are fit to be shown: they name keys, and quote no value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// Kebab-case, and the same in every version.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What to write instead: one line, code in backticks.
    pub(crate) help: String,
    /// The bytes of the file; empty and at its start: the whole file.
    pub(crate) span: Range<usize>,
    /// Of a duplicate: where the first one is.
    pub(crate) first: Option<Range<usize>>,
    /// The path of the key, such as `toggles[1].users_policy.package`; empty for the whole file.
    pub(crate) key: String,
}

/// How bad a problem is: a warning does not keep the program from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
    /// Something that a check without secrets does not need, though `serve` and `sync` do.
    Note,
}

/// Where a value or key is: in the file, and in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) span: Range<usize>,
    /// The whole path, such as `sources[0].url`.
    pub(crate) key: String,
    /// Its last part, such as `url`, as messages call it.
    pub(crate) name: String,
}

const FIRST: &str = "the first one is here";

impl Problem {
    pub(crate) fn error(
        code: &'static str,
        at: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            help: help.into(),
            span: at.span.clone(),
            first: None,
            key: at.key.clone(),
        }
    }
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// Text from the file, fit for a message: in backticks, not long, and `…` where it may hold a secret.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    if !is_plain(text) {
        return "`…`".into();
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// The problems of one configuration file, in the order of the file.
///
/// Its `Display` shows each with its line, and how many there are; without problems it is empty. Secrets
/// are cut out of the lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// As it was named.
    pub(crate) file: PathBuf,
    text: String,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    /// In order, and none across a line break.
    cuts: Vec<Cut>,
    pub(crate) problems: Vec<Problem>,
}

/// One element of what `check-config --format json` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `error`, `warning`, `note`, or `ok` for an answer to `--online`.
    pub(crate) severity: &'static str,
    /// Kebab-case, and the same in every version.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// As it was named.
    pub(crate) file: Option<String>,
    /// These are null where the problem is not in the file. The end is the first character behind.
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
    pub(crate) end_line: Option<usize>,
    pub(crate) end_column: Option<usize>,
    /// The path of the key, such as `toggles[1].users_policy.package`; null for the whole file.
    pub(crate) key: Option<String>,
}

impl Report {
    pub(super) fn new(file: &Path, text: String, problems: Vec<Problem>, cuts: Vec<Cut>) -> Report {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Report {
            file: file.to_owned(),
            lines: std::iter::once(0).chain(newlines).collect(),
            text,
            cuts,
            problems,
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.has(Severity::Error)
    }

    pub(super) fn has(&self, severity: Severity) -> bool {
        let mut problems = self.problems.iter();
        problems.any(|problem| problem.severity == severity)
    }

    /// How many problems there are of a severity, such as `2 errors`.
    pub(crate) fn count_of(&self, severity: Severity) -> String {
        let word = match severity {
            Severity::Note => "unset reference",
            _ => severity.name(),
        };
        let problems = self.problems.iter();
        count(problems.filter(|it| it.severity == severity).count(), word)
    }

    /// The line and the column of a byte, as people count: from 1, columns in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let before = &self.text[self.lines[line - 1]..offset];
        // A byte order mark is not visible.
        let before = before.trim_start_matches('\u{feff}');
        (line, before.chars().count() + 1)
    }

    /// The notes, one on a line.
    pub(crate) fn notes(&self) -> String {
        let problems = self.problems.iter();
        let notes = problems.filter(|it| it.severity == Severity::Note);
        let lines = notes.map(|it| {
            let (line, column) = self.position(it.span.start);
            format!("  {line}:{column}: {}", it.message)
        });
        lines.collect::<Vec<String>>().join("\n")
    }

    pub(crate) fn render(&self, colored: bool) -> String {
        let problems = self.problems.iter();
        let problems = problems.filter(|it| it.severity != Severity::Note);
        let mut blocks: Vec<String> = problems.map(|it| self.excerpt(it, colored)).collect();
        if !blocks.is_empty() {
            blocks.push(format!("{}: {}", self.file.display(), self.counts()));
        }
        blocks.join("\n\n")
    }

    /// A problem as rustc would show it, after `file:line:column:`.
    fn excerpt(&self, problem: &Problem, colored: bool) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(&problem.message));
        // Of a problem of the whole file no line would explain anything.
        if problem.span != (0..0) {
            let first = problem.first.as_ref();
            let spans = || first.into_iter().chain([&problem.span]);
            let start = spans().map(|span| span.start).min().unwrap_or_default();
            let end = spans().map(|span| span.end).max().unwrap_or_default();
            let line = self.position(start).0;
            let window = self.lines[line - 1]..line_end(&self.text, end);
            let shown = |span: &Range<usize>| {
                let span = widened(span, &self.cuts);
                let before = masked(&self.text, window.start..span.start, &self.cuts).len();
                before..before + masked(&self.text, span, &self.cuts).len()
            };
            let first = first.map(|it| AnnotationKind::Context.span(shown(it)).label(FIRST));
            let snippet = Snippet::source(masked(&self.text, window.clone(), &self.cuts))
                .line_start(line)
                .annotation(AnnotationKind::Primary.span(shown(&problem.span)))
                .annotations(first);
            group = group.element(snippet);
        }
        let group = group.element(Level::HELP.message(&problem.help));
        let renderer = match colored {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let (line, column) = self.position(problem.span.start);
        let file = self.file.display();
        format!("{file}:{line}:{column}: {}", renderer.render(&[group]))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.problems.iter().map(|problem| {
            let start = self.position(problem.span.start);
            let end = self.position(problem.span.end);
            let mut message = problem.message.clone();
            if let Some(first) = &problem.first {
                message += &format!(" ({FIRST}: line {})", self.position(first.start).0);
            }
            Entry {
                severity: problem.severity.name(),
                code: problem.code,
                message,
                help: Some(problem.help.clone()),
                file: Some(self.file.display().to_string()),
                line: Some(start.0),
                column: Some(start.1),
                end_line: Some(end.0),
                end_column: Some(end.1),
                key: Some(problem.key.clone()).filter(|key| !key.is_empty()),
            }
        })
    }

    /// Such as `2 errors, 1 warning`.
    fn counts(&self) -> String {
        let all = [Severity::Error, Severity::Warning, Severity::Note];
        let found = all.iter().filter(|severity| self.has(**severity));
        let counts: Vec<String> = found.map(|severity| self.count_of(*severity)).collect();
        counts.join(", ")
    }
}

/// Such as `2 users`.
pub(crate) fn count(number: usize, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {word}{ending}")
}

/// The byte at which a line ends, without what ends it.
fn line_end(text: &str, offset: usize) -> usize {
    let rest = text[offset..].lines().next();
    offset + rest.unwrap_or_default().len()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// The same as `Display`: the text of the file can hold secrets.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[path = "tests/report.rs"]
mod tests;
