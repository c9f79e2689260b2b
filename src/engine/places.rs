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
    /// Requests that hang keep their places: the peer counts them.
    strict: bool,
    /// Until when there is but one place.
    narrow_until: Option<Instant>,
    /// Who is out, and when it gives its place away.
    taken: Vec<(ToggleId, Instant)>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Places {
        Places {
            limit,
            strict: false,
            narrow_until: None,
            taken: Vec::new(),
        }
    }

    /// So many places, and never more.
    pub(super) fn strict(limit: usize) -> Places {
        Places {
            strict: true,
            ..Places::new(limit)
        }
    }

    /// Leaves one place until then, where the places are strict.
    pub(super) fn narrow(&mut self, until: Instant) {
        self.narrow_until = self.narrow_until.max(Some(until).filter(|_| self.strict));
    }

    /// Leaves one place for as long as the old ones would have.
    pub(super) fn inherit(&mut self, old: &Places) {
        self.narrow_until = old.narrow_until.filter(|_| self.strict);
    }

    pub(super) fn holds(&self, toggle: ToggleId) -> bool {
        self.taken.iter().any(|(taken, _)| *taken == toggle)
    }

    pub(super) fn is_free(&self, now: Instant) -> bool {
        match (self.strict, self.narrow_until) {
            (true, Some(until)) if now < until => self.taken.is_empty(),
            (true, _) => self.taken.len() < self.limit,
            (false, _) => self.prompt(now).count() < self.limit && self.has_room(),
        }
    }

    /// When a place becomes free although no request ends.
    pub(super) fn next_free(&self, now: Instant) -> Option<Instant> {
        if self.strict {
            return self.narrow_until.filter(|until| *until > now);
        }
        self.prompt(now).min().filter(|_| self.has_room())
    }

    /// Takes a place; what hung the last time is thought to hang again, and takes none.
    pub(super) fn take(&mut self, toggle: ToggleId, now: Instant, hung: bool) {
        self.taken
            .push((toggle, if hung { now } else { now + PROMPT }));
    }

    pub(super) fn release(&mut self, toggle: ToggleId) {
        self.taken.retain(|(other, _)| *other != toggle);
    }

    fn has_room(&self) -> bool {
        self.taken.len() < self.limit + HANGING
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
    fn strict_places_are_kept_and_are_one_for_a_while_where_that_is_asked_for() {
        let start = Instant::now();
        let mut places = Places::strict(2);
        places.take(0, start, true);
        assert!(places.is_free(start));
        places.take(1, start, true);
        assert!(!places.is_free(start + 2 * PROMPT));
        assert_eq!(places.next_free(start), None);
        places.release(1);
        places.narrow(start + PROMPT);
        assert!(!places.is_free(start));
        assert_eq!(places.next_free(start), Some(start + PROMPT));
        assert!(places.is_free(start + PROMPT));
        places.release(0);
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
