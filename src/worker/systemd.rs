//! systemd's notification protocol, sd_notify(3): tells the service manager how the process is, and
//! keeps its status line, such as `8 of 10 toggles in sync`.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::status::Status;

/// Names the socket at which the service manager listens.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// How long a service manager that is busy is waited for, where a message must not be lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who wants to know how the process is; often nobody.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    address: Option<SocketAddr>,
}

impl Notifier {
    /// Whoever `$NOTIFY_SOCKET` names. A name that cannot be one is logged, and then nobody is told.
    pub fn new(env: &dyn Fn(&str) -> Option<String>) -> Notifier {
        let name = env(VARIABLE).filter(|name| !name.is_empty());
        let address = name.and_then(|name| {
            let address = address(&name);
            address
                .map_err(|error| log::warn!("${VARIABLE} is no socket to write to: {error}"))
                .ok()
        });
        Notifier { address }
    }

    /// Whether there is anybody to tell.
    pub fn is_heard(&self) -> bool {
        self.address.is_some()
    }

    /// The start is over, or a reload is.
    pub fn ready(&self) {
        self.announce("READY=1");
    }

    /// The configuration is being read again; [`Notifier::ready`] follows.
    pub fn reloading(&self) {
        // The service manager tells by the time to which of its reloads this belongs.
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.announce(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.announce("STOPPING=1");
    }

    /// How things are, in one line. Never waits: false where the line was not taken.
    pub fn status(&self, line: &str) -> bool {
        let prepare = |socket: &UnixDatagram| socket.set_nonblocking(true);
        self.send(&format!("STATUS={line}"), prepare).is_ok()
    }

    fn announce(&self, words: &str) {
        let prepare = |socket: &UnixDatagram| socket.set_write_timeout(Some(PATIENCE));
        if let Err(error) = self.send(words, prepare) {
            log::warn!("failed to tell the service manager: {error}");
        }
    }

    fn send(
        &self,
        words: &str,
        prepare: impl FnOnce(&UnixDatagram) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(address) = &self.address else {
            return Ok(());
        };
        let socket = UnixDatagram::unbound()?;
        prepare(&socket)?;
        socket.send_to_addr(words.as_bytes(), address).map(drop)
    }
}

/// A path, or an abstract name behind an `@`.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => abstract_address(name),
        None if name.starts_with('/') => SocketAddr::from_pathname(name),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is neither a path nor an abstract name",
        )),
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The time from one line to the next: the service manager passes each on to whoever watches it.
const PAUSE: Duration = Duration::from_secs(1);

/// What is added from a reload that was refused to the next that is not.
const REFUSED: &str = "; reload refused, the configuration stays as it was";

/// Tells the service manager how things are, whenever that has changed.
pub(super) struct StatusLine {
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

impl StatusLine {
    pub(super) fn new(notifier: Notifier) -> StatusLine {
        StatusLine {
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

    use crate::config::tests::configured;

    use super::*;

    fn status(now: Instant) -> Status {
        let config = configured(
            "[[sources]]\nid = \"a\"\ntype = \"file\"\npath = \"users.json\"\n\
             [target]\ntype = \"flagd\"\npath = \"flags.json\"\n",
        );
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
        let mut status_line = StatusLine::new(Notifier::new(&|_| name.clone()));
        let plain = Some("STATUS=0 of 0 toggles in sync".to_owned());
        status_line.tell(&status, start);
        assert_eq!((heard(&socket), status_line.due), (plain.clone(), None));
        // A change that comes too soon waits.
        status_line.refused = true;
        status_line.tell(&status, start + PAUSE / 2);
        let second = start + PAUSE;
        assert_eq!((heard(&socket), status_line.due), (None, Some(second)));
        status_line.tell(&status, second);
        assert_eq!(heard(&socket), plain.clone().map(|line| line + REFUSED));
        // What is the same is not said again.
        status_line.tell(&status, second + PAUSE * 5);
        assert_eq!((heard(&socket), status_line.due), (None, None));
        // What was not taken is offered again.
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        status_line.refused = false;
        let third = second + PAUSE * 6;
        status_line.tell(&status, third);
        assert_eq!(status_line.due, Some(third + PAUSE));
        let socket = listen();
        status_line.tell(&status, third + PAUSE);
        assert_eq!((heard(&socket), status_line.due), (plain, None));
    }
}
