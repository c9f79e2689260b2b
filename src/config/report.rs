//! Shows the problems of a configuration, each at its place.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::lines::Lines;
use super::mask::{Cut, Masked};
pub(crate) use super::problem::{Problem, Severity};

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

/// A place in a text, as people count: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One element of what `check-config --format json` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// `error`, `warning`, or `ok` for an answer to `--online`.
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

impl Entry {
    /// What is about no place in a file.
    pub(crate) fn new(severity: &'static str, code: &'static str, message: String) -> Entry {
        Entry {
            severity,
            code,
            message,
            ..Entry::default()
        }
    }
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
    pub(crate) fn strict(mut self) -> Report {
        for problem in &mut self.problems {
            problem.severity = Severity::Error;
        }
        self
    }

    /// The file that was read, as it was named.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The problems, in the order of the file.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The position of a byte of the file, such as the start of a problem's span.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = &self.text[self.lines.start(offset)..offset];
        Position {
            line: self.lines.line(offset) + 1,
            // A byte order mark is not visible.
            column: line.trim_start_matches('\u{feff}').chars().count() + 1,
        }
    }

    /// What `Display` shows, with colours.
    pub(crate) fn colored(&self) -> String {
        self.human(true)
    }

    fn human(&self, colored: bool) -> String {
        let blocks = self.problems.iter();
        let blocks = blocks.map(|problem| self.excerpt(problem, colored) + "\n\n");
        let mut blocks: Vec<String> = blocks.collect();
        if !blocks.is_empty() {
            blocks.push(format!("{}: {}", self.file.display(), self.count()));
        }
        blocks.concat()
    }

    /// A problem as rustc would show it, after `file:line:column:`.
    fn excerpt(&self, problem: &Problem, colored: bool) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&problem.message));
        // Of a problem of the whole file no line would explain anything.
        if problem.span != (0..0) {
            group = group.element(self.snippet(problem));
        }
        let group = group.element(Level::HELP.message(&problem.help));
        let renderer = match colored {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let Position { line, column } = self.position(problem.span.start);
        let file = self.file.display();
        format!("{file}:{line}:{column}: {}", renderer.render(&[group]))
    }

    /// The lines of a problem, and of what has to do with it.
    fn snippet<'a>(&'a self, problem: &'a Problem) -> Snippet<'a, Annotation<'a>> {
        let related = problem.related.as_ref();
        let spans = || std::iter::once(&problem.span).chain(related.map(|related| &related.span));
        let first = spans().map(|span| self.lines.line(span.start)).min();
        let last = spans().map(|span| self.lines.line(span.end)).max();
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
        let first_line = self.lines.range(&self.text, first);
        let last_line = self.lines.range(&self.text, last);
        let window = first_line.start..last_line.end;
        let window = self.masked.span(&window);
        let shown = |span: &Range<usize>| {
            let span = self.masked.span(span);
            span.start.saturating_sub(window.start)..span.end.saturating_sub(window.start)
        };
        let text = self.masked.text().get(window.clone()).unwrap_or_default();
        let related = related.map(|related| {
            let span = shown(&related.span);
            AnnotationKind::Context.span(span).label(&related.message)
        });
        Snippet::source(text)
            .line_start(first + 1)
            .annotation(AnnotationKind::Primary.span(shown(&problem.span)))
            .annotations(related)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
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
            severity: problem.severity.name(),
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

    /// Such as `2 errors, 1 warning`.
    fn count(&self) -> String {
        let of = |severity| {
            let problems = self.problems.iter();
            let number = problems.filter(|it| it.severity == severity).count();
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
        f.write_str(self.name())
    }
}

#[cfg(test)]
#[path = "tests/report.rs"]
mod tests;
