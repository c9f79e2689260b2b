//! The one line about us that the service manager shows, such as `8 of 10 toggles in sync`.

use std::time::{Duration, Instant};

use crate::notify::Notifier;
use crate::status::Status;

/// The time from one line to the next: the service manager passes each on to whoever watches it.
const PAUSE: Duration = Duration::from_secs(1);

/// What is added from a reload that was refused to the next that is not.
const REFUSED: &str = "; reload refused, the configuration stays as it was";

/// Tells the service manager how things are, whenever that has changed.
pub(super) struct Caption {
    notifier: Notifier,
    /// The last line that was taken.
    told: String,
    /// When the last line was offered.
    last: Option<Instant>,
    /// When the next one is to be offered, if there is one.
    pub(super) due: Option<Instant>,
    /// Whether the last reload was refused.
    pub(super) refused: bool,
}

impl Caption {
    pub(super) fn new(notifier: Notifier) -> Caption {
        Caption {
            notifier,
            told: String::new(),
            last: None,
            due: None,
            refused: false,
        }
    }

    /// Tells what has changed: now, or when it is `due`.
    pub(super) fn tell(&mut self, status: &Status, now: Instant) {
        if !self.notifier.is_heard() {
            return;
        }
        let mut line = status.line();
        if self.refused {
            line.push_str(REFUSED);
        }
        self.due = (line != self.told).then(|| self.last.map_or(now, |last| last + PAUSE));
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.last = Some(now);
        self.due = None;
        if self.notifier.status(&line) {
            self.told = line;
        } else {
            self.due = Some(now + PAUSE);
        }
    }
}
