//! How many requests may be in flight to one peer.

use std::time::{Duration, Instant};

use crate::job::ToggleId;

/// A request that has been out for this long gives its place to another: it hangs, and whoever
/// waits behind it must not.
pub const PROMPT: Duration = Duration::from_secs(1);

/// How many requests that hang can be out besides those that have a place, so that a peer that
/// hangs altogether cannot fill this machine with threads.
pub const HANGING: usize = 64;

/// The places for requests in flight to one source or to the target.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    taken: Vec<(ToggleId, Instant)>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Places {
        Places {
            limit,
            taken: Vec::new(),
        }
    }

    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.prompt(now).count() < self.limit && self.taken.len() < self.limit + HANGING
    }

    /// When a place becomes free although no request ends.
    pub(super) fn next_free(&self, now: Instant) -> Option<Instant> {
        let room = self.taken.len() < self.limit + HANGING;
        let first = self.prompt(now).min()?;
        room.then_some(first + PROMPT)
    }

    pub(super) fn take(&mut self, toggle: ToggleId, now: Instant) {
        self.taken.push((toggle, now));
    }

    pub(super) fn release(&mut self, toggle: ToggleId) {
        self.taken.retain(|(other, _)| *other != toggle);
    }

    fn prompt(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let since = self.taken.iter().map(|(_, since)| *since);
        since.filter(move |since| *since + PROMPT > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_hangs_gives_its_place_to_another() {
        let start = Instant::now();
        let mut places = Places::new(2);
        places.take(0, start);
        places.take(1, start + PROMPT / 2);
        assert!(!places.is_free(start + PROMPT / 2));
        assert_eq!(places.next_free(start + PROMPT / 2), Some(start + PROMPT));
        assert!(places.is_free(start + PROMPT));
        places.release(1);
        assert!(places.is_free(start + PROMPT / 2));
    }

    #[test]
    fn the_number_of_requests_that_hang_is_bounded() {
        let start = Instant::now();
        let mut places = Places::new(2);
        (0..2 + HANGING).for_each(|toggle| places.take(toggle, start));
        assert!(!places.is_free(start + 2 * PROMPT));
        assert_eq!(places.next_free(start), None);
        places.release(7);
        assert!(places.is_free(start + 2 * PROMPT));
    }
}
