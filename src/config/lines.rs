//! Where the lines of a text begin.

use std::ops::Range;

/// The lines of a text, found once so that many places can be looked up.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Lines {
    /// The byte at which each line begins; the first is 0.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn new(text: &str) -> Lines {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let after = newlines.map(|(offset, _)| offset + 1);
        Lines {
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    /// The line that a byte is on, counted from 0.
    pub(super) fn line(&self, offset: usize) -> usize {
        let begun = self.starts.partition_point(|start| *start <= offset);
        begun.saturating_sub(1)
    }

    /// The bytes of a line, counted from 0, without what ends it; the end of the text where there
    /// are fewer lines.
    pub(super) fn range(&self, text: &str, line: usize) -> Range<usize> {
        let start = self.starts.get(line).copied().unwrap_or(text.len());
        let rest = text.get(start..).unwrap_or_default();
        let content = rest.lines().next().unwrap_or_default();
        start..start + content.len()
    }

    /// The byte at which the line of another byte begins.
    pub(super) fn start(&self, offset: usize) -> usize {
        let start = self.starts.get(self.line(offset));
        start.copied().unwrap_or_default()
    }
}
