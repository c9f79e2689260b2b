//! Tells the service manager how the process is: systemd's notification protocol, sd_notify(3).

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

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
