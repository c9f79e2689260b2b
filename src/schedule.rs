//! When what is due: backoff and timers, pure over `now`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The waits after one failure, two failures, and so on; the last one repeats for ever.
const WAITS: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// The longest that a remote's `Retry-After` can make us wait.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Counts the failures of one thing in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure and tells how long to wait.
    ///
    /// `chance`, from 0 to 1, shortens the wait by up to 10 %, so that many things that failed
    /// together are not tried together. A `pause` that the remote asked for wins over a shorter
    /// wait, up to [`LONGEST_PAUSE`].
    pub fn fail(&mut self, pause: Option<Duration>, chance: f64) -> Duration {
        let step = (self.failures as usize).min(WAITS.len() - 1);
        self.failures = self.failures.saturating_add(1);
        let wait = WAITS[step].mul_f64(1.0 - 0.1 * chance.clamp(0.0, 1.0));
        wait.max(pause.unwrap_or_default().min(LONGEST_PAUSE))
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often it failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Timers: at most one for each key.
#[derive(Debug)]
pub struct Timers<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets the timer of `key`, in place of the one that it had.
    pub fn set(&mut self, key: K, at: Instant) {
        self.cancel(key);
        self.by_time.insert((at, key));
        self.by_key.insert(key, at);
    }

    /// Takes the timer of `key` back, if it has one.
    pub fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// When the timer of `key` is due.
    pub fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// When the first timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// How many are set.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_key.len().max(self.by_time.len())
    }

    /// Takes the first timer out that is due at `now`.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(key);
        Some(key)
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers {
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waits(chance: f64) -> Vec<f64> {
        let mut backoff = Backoff::default();
        (0..8)
            .map(|_| backoff.fail(None, chance).as_secs_f64())
            .collect()
    }

    #[test]
    fn waits_double_up_to_16_seconds() {
        assert_eq!(waits(0.0), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0]);
        assert_eq!(waits(1.0), [0.45, 0.9, 1.8, 3.6, 7.2, 14.4, 14.4, 14.4]);
    }

    #[test]
    fn success_starts_over() {
        let mut backoff = Backoff::default();
        backoff.fail(None, 0.0);
        backoff.fail(None, 0.0);
        assert_eq!(backoff.failures(), 2);
        backoff.reset();
        assert_eq!(backoff.fail(None, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn a_longer_pause_wins_and_is_capped_at_five_minutes() {
        let wait = |secs| Backoff::default().fail(Some(Duration::from_secs(secs)), 1.0);
        assert_eq!(wait(0), Duration::from_millis(450));
        assert_eq!(wait(7), Duration::from_secs(7));
        assert_eq!(wait(86_400), Duration::from_secs(300));
        assert_eq!(wait(u64::MAX), Duration::from_secs(300));
    }

    proptest! {
        #[test]
        fn every_wait_is_within_ten_percent_of_its_step(chance in 0.0..=1.0f64, count in 1usize..40) {
            let mut backoff = Backoff::default();
            for failure in 0..count {
                let full = WAITS[failure.min(5)];
                let wait = backoff.fail(None, chance);
                prop_assert!(wait <= full && wait >= full.mul_f64(0.9));
            }
        }

        #[test]
        fn timers_ring_in_order_once_and_only_the_last_setting_counts(
            settings in prop::collection::vec((0u8..6, 0u64..50), 0..40),
        ) {
            let start = Instant::now();
            let at = |millis| start + Duration::from_millis(millis);
            let mut timers = Timers::default();
            let mut model = BTreeMap::new();
            for (key, millis) in settings {
                timers.set(key, at(millis));
                model.insert(key, millis);
            }
            let mut rung = Vec::new();
            for now in 0..50 {
                while let Some(key) = timers.pop(at(now)) {
                    rung.push((now, key));
                }
                let next = model.iter().filter(|(_, due)| **due > now).map(|(_, due)| at(*due));
                prop_assert_eq!(timers.next(), next.min());
            }
            let mut expected: Vec<_> = model.into_iter().map(|(key, due)| (due, key)).collect();
            expected.sort_unstable();
            prop_assert_eq!(rung, expected);
        }
    }
}
