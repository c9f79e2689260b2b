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
    /// Who is out, and when it gives its place away.
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
        self.prompt(now).min().filter(|_| room)
    }

    /// Takes a place; what hung the last time is thought to hang again, and takes none.
    pub(super) fn take(&mut self, toggle: ToggleId, now: Instant, hung: bool) {
        self.taken
            .push((toggle, if hung { now } else { now + PROMPT }));
    }

    pub(super) fn release(&mut self, toggle: ToggleId) {
        self.taken.retain(|(other, _)| *other != toggle);
    }

    fn prompt(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let until = self.taken.iter().map(|(_, until)| *until);
        until.filter(move |until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_hangs_gives_its_place_to_another() {
        let start = Instant::now();
        let mut places = Places::new(2);
        places.take(0, start, false);
        places.take(1, start + PROMPT / 2, false);
        assert!(!places.is_free(start + PROMPT / 2));
        assert_eq!(places.next_free(start + PROMPT / 2), Some(start + PROMPT));
        assert!(places.is_free(start + PROMPT));
        places.release(1);
        assert!(places.is_free(start + PROMPT / 2));
    }

    #[test]
    fn what_hung_the_last_time_takes_no_place_from_the_others() {
        let start = Instant::now();
        let mut places = Places::new(1);
        places.take(0, start, true);
        assert!(places.is_free(start));
    }

    #[test]
    fn the_number_of_requests_that_hang_is_bounded() {
        let start = Instant::now();
        let mut places = Places::new(2);
        (0..2 + HANGING).for_each(|toggle| places.take(toggle, start, false));
        assert!(!places.is_free(start + 2 * PROMPT));
        assert_eq!(places.next_free(start), None);
        places.release(7);
        assert!(places.is_free(start + 2 * PROMPT));
    }
}
