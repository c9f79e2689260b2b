//! One problem, with the line that it is on.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Position, Report};
use crate::config::problem::{Problem, Severity};

impl Report {
    /// A problem as rustc would show it, after `file:line:column:`.
    pub(super) fn excerpt(&self, problem: &Problem, colored: bool) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&problem.message));
        if !is_about_all(problem) {
            group = group.element(self.snippet(problem));
        }
        let group = group.element(Level::HELP.message(&problem.help));
        let renderer = if colored {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let Position { line, column } = self.position(problem.span.start);
        let file = self.file.display();
        format!("{file}:{line}:{column}: {}", renderer.render(&[group]))
    }

    /// The lines of a problem, and of what has to do with it.
    fn snippet<'a>(
        &'a self,
        problem: &'a Problem,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
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
}

/// Whether a problem is about the whole file, so that no line of it would explain anything.
fn is_about_all(problem: &Problem) -> bool {
    problem.span == (0..0)
}
