//! What systemd is told by sd_notify(3), and when.
//!
//! The protocol is one datagram, written here because sd-notify (0.5) has no abstract sockets, and
//! blocks if the service manager is busy, which the worker must not.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long to wait for a busy service manager with a message that must not be lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// The shortest time between status lines: systemd passes each on to everything that watches the service.
const PAUSE: Duration = Duration::from_secs(1);

/// The service manager, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Notifier(Option<SocketAddr>);

impl Notifier {
    /// The one at `$NOTIFY_SOCKET`. If that is not a socket's address, a warning is logged.
    pub(crate) fn new(env: &dyn Fn(&str) -> Option<String>) -> Notifier {
        let name = env("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let warn = |error: &io::Error| log::warn!("invalid $NOTIFY_SOCKET: {error}");
        Notifier(name.and_then(|name| address(&name).inspect_err(warn).ok()))
    }

    /// Startup or a reload has finished.
    pub(crate) fn ready(&self) {
        self.announce("READY=1");
    }

    pub(crate) fn reloading(&self) {
        // The time tells systemd which of its reloads this answers.
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.announce(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    pub(crate) fn stopping(&self) {
        self.announce("STOPPING=1");
    }

    fn announce(&self, message: &str) {
        if let Err(error) = self.send(message, PATIENCE) {
            log::warn!("failed to notify the service manager: {error}");
        }
    }

    /// Waits at most this long.
    fn send(&self, message: &str, patience: Duration) -> io::Result<()> {
        let Some(address) = &self.0 else {
            return Ok(());
        };
        let socket = UnixDatagram::unbound()?;
        match patience {
            Duration::ZERO => socket.set_nonblocking(true)?,
            _ => socket.set_write_timeout(Some(patience))?,
        }
        socket.send_to_addr(message.as_bytes(), address).map(drop)
    }
}

/// A path, or on Linux an abstract name after an `@`.
fn address(name: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    if !name.starts_with('/') {
        return Err(io::Error::other(
            "neither an absolute path nor an abstract name",
        ));
    }
    SocketAddr::from_pathname(name)
}

/// Sends the status line whenever it has changed, such as `8 of 10 toggles in sync`.
pub(super) struct StatusLine {
    notifier: Notifier,
    /// The last line that was accepted.
    sent: String,
    last_attempt: Option<Instant>,
    /// When the next line is due, if there is one.
    pub(super) due: Option<Instant>,
}

impl StatusLine {
    pub(super) fn new(notifier: Notifier) -> StatusLine {
        StatusLine {
            notifier,
            sent: String::new(),
            last_attempt: None,
            due: None,
        }
    }

    /// Sends what has changed now, or leaves it until it is `due`. Never waits.
    pub(super) fn update(&mut self, line: impl FnOnce() -> String, now: Instant) {
        if self.notifier.0.is_none() {
            return;
        }
        let line = line();
        let earliest = self.last_attempt.map_or(now, |last| last + PAUSE);
        self.due = (line != self.sent).then_some(earliest);
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.last_attempt = Some(now);
        let message = format!("STATUS={line}");
        let sent = self.notifier.send(&message, Duration::ZERO);
        self.due = sent.is_err().then_some(now + PAUSE);
        if sent.is_ok() {
            self.sent = line;
        }
    }
}

#[cfg(test)]
mod tests;
