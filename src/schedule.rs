//! When what is due: backoff and timers, pure over `now`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Doubles with each further failure, up to [`DOUBLINGS`] times.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const DOUBLINGS: u32 = 5;

/// The longest `Retry-After` that is respected.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Counts the failures of one thing in a row. A try within the wait of the one before does not count: a
/// burst of callbacks or reloads, each of which tries at once, does not lengthen the wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
    /// The end of the last wait.
    until: Option<Instant>,
}

impl Backoff {
    /// Notes a failure, and returns how long to wait.
    ///
    /// `chance`, from 0 to 1, shortens the wait by up to 10 %, so that what failed together is not retried
    /// together. A longer `pause` of the remote takes precedence, up to [`LONGEST_PAUSE`].
    pub(crate) fn fail(&mut self, now: Instant, pause: Option<Duration>, chance: f64) -> Duration {
        if !self.is_waiting(now) {
            self.failures = self.failures.saturating_add(1);
        }
        let full = FIRST_WAIT * (1 << (self.failures - 1).min(DOUBLINGS));
        let wait = full.mul_f64(1.0 - 0.1 * chance.clamp(0.0, 1.0));
        let wait = wait.max(pause.unwrap_or_default().min(LONGEST_PAUSE));
        self.until = Some(now + wait);
        wait
    }

    pub(crate) fn is_waiting(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    pub(crate) fn reset(&mut self) {
        *self = Backoff::default();
    }
}

/// Timers: at most one for each key.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Timers<K> {
        Timers {
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
        }
    }

    pub(crate) fn set(&mut self, key: K, at: Instant) {
        self.cancel(key);
        self.by_time.insert((at, key));
        self.by_key.insert(key, at);
    }

    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    pub(crate) fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_key.len().max(self.by_time.len())
    }

    /// Removes the first timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<K> {
        let (_, key) = *self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.cancel(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests;
