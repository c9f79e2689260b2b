//! What is remembered of lists of flags from one read to the next.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is remembered of each project's lists, to read them in fewer requests. What is there is never
/// taken from here.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<(String, Part), Memory>>);

/// What is remembered of a list.
#[derive(Clone, Copy, Default)]
pub(super) struct Memory {
    /// How many flags it had.
    pub(super) flags: Option<usize>,
    /// Where reading it was broken off, so that it goes on from there: a rate limit may never allow
    /// all of it at once.
    pub(super) broken_off: usize,
    /// Where an answer was no page of it: that was too long for an answer, perhaps.
    failed: Option<usize>,
}

/// A project's flags come in two lists: archived flags are in one of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Live,
    Archived,
}

impl Lists {
    pub(super) fn get(&self, project: &str, part: Part) -> Memory {
        *self.lock().entry((project.to_owned(), part)).or_default()
    }

    /// Keeps how many flags there are; reading goes on well, with the page there.
    pub(super) fn set(&self, project: &str, part: Part, offset: usize, flags: usize) {
        let mut lists = self.lock();
        let memory = lists.entry((project.to_owned(), part)).or_default();
        memory.flags = Some(flags);
        memory.broken_off = 0;
        memory.failed.take_if(|failed| *failed == offset);
    }

    pub(super) fn break_off(&self, project: &str, part: Part, offset: usize) {
        let mut lists = self.lock();
        lists
            .entry((project.to_owned(), part))
            .or_default()
            .broken_off = offset;
    }

    /// A page failed; true where it did the last time. From the top is begun the next time, so that what
    /// comes before that page is found.
    pub(super) fn fail(&self, project: &str, part: Part, offset: usize) -> bool {
        let mut lists = self.lock();
        let memory = lists.entry((project.to_owned(), part)).or_default();
        memory.broken_off = 0;
        memory.failed.replace(offset) == Some(offset)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Part), Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
