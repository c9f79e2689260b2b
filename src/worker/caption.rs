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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use crate::config::{Bind, Config, Flagd, Target};

    use super::*;

    fn status(now: Instant) -> Status {
        let config = Config {
            bind: Bind {
                host: String::new(),
                port: 0,
            },
            resync_interval: None,
            http_timeout: PAUSE,
            concurrency: 1,
            sources: Vec::new(),
            target: Target::Flagd(Flagd { path: "x".into() }),
            toggles: Vec::new(),
        };
        Status::new(&config, now)
    }

    #[test]
    fn a_line_comes_at_most_once_a_second_and_the_last_one_always_comes() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("notify");
        let listen = || {
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let heard = |socket: &UnixDatagram| {
            let mut line = [0; 200];
            let length = socket.recv(&mut line).ok()?;
            Some(String::from_utf8_lossy(&line[..length]).into_owned())
        };
        let socket = listen();
        let start = Instant::now();
        let status = status(start);
        let name = path.to_str().map(str::to_owned);
        let mut caption = Caption::new(Notifier::new(&|_| name.clone()));
        let plain = Some("STATUS=0 of 0 toggles in sync".to_owned());
        caption.tell(&status, start);
        assert_eq!((heard(&socket), caption.due), (plain.clone(), None));
        // A change that comes too soon waits.
        caption.refused = true;
        caption.tell(&status, start + PAUSE / 2);
        let second = start + PAUSE;
        assert_eq!((heard(&socket), caption.due), (None, Some(second)));
        caption.tell(&status, second);
        assert_eq!(heard(&socket), plain.clone().map(|line| line + REFUSED));
        // What is the same is not said again.
        caption.tell(&status, second + PAUSE * 5);
        assert_eq!((heard(&socket), caption.due), (None, None));
        // What was not taken is offered again.
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        caption.refused = false;
        let third = second + PAUSE * 6;
        caption.tell(&status, third);
        assert_eq!(caption.due, Some(third + PAUSE));
        let socket = listen();
        caption.tell(&status, third + PAUSE);
        assert_eq!((heard(&socket), caption.due), (plain, None));
    }
}
