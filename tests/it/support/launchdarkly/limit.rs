//! The global rate limit.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Answer, refusal};

/// So many requests of an account are answered in each window of time.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    budget: usize,
    window: Duration,
    used: usize,
    ends: SystemTime,
}

impl Default for Limit {
    /// Like LaunchDarkly's, which lasts ten seconds; no test reaches it.
    fn default() -> Limit {
        Limit::new(1_000_000, Duration::from_secs(10))
    }
}

impl Limit {
    /// So many requests in each window; the first one opens it.
    pub(crate) fn new(budget: usize, window: Duration) -> Limit {
        Limit {
            budget,
            window,
            used: 0,
            ends: UNIX_EPOCH,
        }
    }

    /// Counts a request; the error is the answer to one too many.
    pub(super) fn count(&mut self, now: SystemTime) -> Result<(), Answer> {
        if now >= self.ends {
            self.ends = now + self.window;
            self.used = 0;
        }
        if self.used < self.budget {
            self.used += 1;
            return Ok(());
        }
        Err(refusal(
            429,
            "You've exceeded the API rate limit. Try again later.",
        ))
    }

    /// Every answer says how much is left, and when the window ends.
    pub(super) fn tell(&self, answer: Answer) -> Answer {
        let left = self.budget - self.used;
        let ends = self.ends.duration_since(UNIX_EPOCH).unwrap_or_default();
        answer
            .with("X-Ratelimit-Global-Remaining", &left.to_string())
            .with("X-Ratelimit-Reset", &ends.as_millis().to_string())
    }
}
