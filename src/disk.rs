//! Work on files. The calls of the system have no deadline: where a file system hangs, as that of a network
//! can, they return when it answers, or never.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crossbeam_channel::{Receiver, Sender, bounded};

/// Does the work on one file, each piece on a thread of its own.
pub(crate) struct Disk {
    /// For messages.
    file: String,
    limit: Duration,
    /// Full while a piece is under way.
    turn: (Sender<()>, Receiver<()>),
}

impl Disk {
    pub(crate) fn new(file: String, limit: Duration) -> Disk {
        let turn = bounded(1);
        Disk { file, limit, turn }
    }

    /// Does a piece of work, and gives up after the limit. The work itself goes on, and the next one waits
    /// for it: so at most one thread hangs, and nothing is overtaken by what began before it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let Disk { file, limit, turn } = self;
        let until = Instant::now() + *limit;
        let hangs = || {
            let limit = humantime::format_duration(*limit);
            let words =
                format!("{file}: no answer from its file system within {limit} (http_timeout)");
            Failure::new(Kind::Timeout, words)
        };
        turn.0.send_deadline((), until).map_err(|_| hangs())?;
        let (done, result) = bounded(1);
        let is_over = turn.1.clone();
        let work = move || {
            let value = work();
            let _ = is_over.try_recv();
            // If nothing waits any longer, nothing needs it.
            let _ = done.send(value);
        };
        let thread = thread::Builder::new().name("file".into()).spawn(work);
        if let Err(error) = thread {
            let _ = turn.1.try_recv();
            let words = format!("{file}: failed to start a thread: {error}");
            return Err(Failure::new(Kind::Timeout, words));
        }
        result.recv_deadline(until).map_err(|_| hangs())
    }
}

/// What Linux tells of a file that `std` does not. False where there is none, or on another system.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traits {
    pub(crate) is_mount_point: bool,
    pub(crate) is_immutable: bool,
}

#[cfg(target_os = "linux")]
pub(crate) fn traits(path: &Path) -> Traits {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    found.map_or(Traits::default(), |found| {
        let attributes = found.stx_attributes;
        Traits {
            is_mount_point: attributes.contains(StatxAttributes::MOUNT_ROOT),
            is_immutable: attributes
                .intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND),
        }
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn traits(_: &Path) -> Traits {
    Traits::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_is_given_up_and_not_overtaken() {
        let disk = Disk::new("file f".to_owned(), Duration::from_millis(50));
        let (go_on, hanging) = bounded::<()>(0);
        let (write, written) = bounded(1);
        let hangs = disk.run(move || {
            let _ = hanging.recv();
            let _ = write.send(1);
        });
        let words = "file f: no answer from its file system within 50ms (http_timeout)";
        assert_eq!(hangs.unwrap_err().to_string(), words);
        // It would hang too, and is not begun.
        assert_eq!(disk.run(|| 2).unwrap_err().kind, Kind::Timeout);
        drop(go_on);
        assert_eq!(written.recv(), Ok(1));
        // However long the other takes to end.
        let patient = Disk {
            limit: Duration::from_secs(30),
            ..disk
        };
        assert_eq!(patient.run(|| 3), Ok(3));
    }
}
