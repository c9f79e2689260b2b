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
    hangs: &'static str,
    limit: Duration,
    /// The end of a single pass, which no piece exceeds by more than [`SHORTEST`].
    until: Option<Instant>,
    /// Full while so many pieces are under way.
    turns: (Sender<()>, Receiver<()>),
}

/// What a file system takes that works.
const SHORTEST: Duration = Duration::from_secs(1);

impl Disk {
    /// For pieces that take turns.
    pub(crate) fn new(file: String, limit: Duration, until: Option<Instant>) -> Disk {
        Disk {
            file,
            hangs: "no answer from its file system",
            limit,
            until,
            turns: bounded(1),
        }
    }

    /// For reading alone: new pieces do not wait for those that hang, up to so many.
    pub(crate) fn at_once(self, pieces: usize) -> Disk {
        let turns = bounded(pieces);
        Disk { turns, ..self }
    }

    /// For a pipe.
    pub(crate) fn without_end(self) -> Disk {
        let hangs = "no end";
        Disk { hangs, ..self }
    }

    /// Does a piece of work, and gives up after the limit. The work itself goes on, and the next one waits
    /// for its turn: so few threads hang, and nothing is overtaken by what began before it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        let limit = self.until.map_or(self.limit, |until| {
            let left = until.saturating_duration_since(start);
            self.limit.min(left.max(SHORTEST))
        });
        let until = start + limit;
        let Disk {
            file, hangs, turns, ..
        } = self;
        let hangs = || {
            // What is left of a pass is not a round number.
            let round = Duration::from_secs(limit.as_secs_f64().round() as u64);
            let limit = humantime::format_duration(if round.is_zero() { limit } else { round });
            Failure::new(Kind::Timeout, format!("{file}: {hangs} within {limit}"))
        };
        turns.0.send_deadline((), until).map_err(|_| hangs())?;
        let (done, result) = bounded(1);
        let is_over = turns.1.clone();
        let work = move || {
            let value = work();
            let _ = is_over.try_recv();
            // If nothing waits any longer, nothing needs it.
            let _ = done.send(value);
        };
        let thread = thread::Builder::new().name("file".into()).spawn(work);
        if let Err(error) = thread {
            let _ = turns.1.try_recv();
            let words = format!("{file}: failed to start a thread: {error}");
            return Err(Failure::new(Kind::System, words));
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
        let disk = Disk::new("file f".to_owned(), Duration::from_millis(50), None);
        let (go_on, hanging) = bounded::<()>(0);
        let (write, written) = bounded(1);
        let hangs = disk.run(move || {
            let _ = hanging.recv();
            let _ = write.send(1);
        });
        let words = "file f: no answer from its file system within 50ms";
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
