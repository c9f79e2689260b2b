//! Work on files. The calls of the system have no deadline: where a file system hangs, as that of a network
//! can, they return when it answers, or never.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::crew::Crew;
use crate::error::{Failure, Kind};

/// Does the work on one file, on a thread of its own.
pub(crate) struct Disk {
    /// For messages.
    file: String,
    hangs: &'static str,
    limit: Duration,
    /// The end of a single pass, which no piece exceeds by more than [`SHORTEST`].
    until: Option<Instant>,
    /// Full while so many pieces are under way.
    turns: (Sender<()>, Receiver<()>),
    pieces: usize,
    /// From the first piece on, whose thread then stays.
    crew: Mutex<Option<Crew>>,
}

/// How long a working file system needs at most.
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
            pieces: 1,
            crew: Mutex::default(),
        }
    }

    /// For reading alone: up to `pieces` may run at once.
    pub(crate) fn at_once(self, pieces: usize) -> Disk {
        let turns = bounded(pieces);
        Disk {
            turns,
            pieces,
            ..self
        }
    }

    pub(crate) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
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
        let left = self
            .until
            .map(|until| until.saturating_duration_since(start));
        let limit = self
            .limit
            .min(left.map_or(self.limit, |left| left.max(SHORTEST)));
        let until = start + limit;
        let Disk {
            file, hangs, turns, ..
        } = self;
        let hangs = || {
            // What is left of a pass is not a round number.
            let millis = limit.as_millis() as u64;
            let limit = match limit == self.limit {
                true => Duration::from_millis(millis),
                false => Duration::from_secs(millis.div_ceil(1000)),
            };
            let limit = humantime::format_duration(limit);
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
        let mut crew = self.crew.lock().unwrap_or_else(PoisonError::into_inner);
        match crew
            .take()
            .map_or_else(|| Crew::new("file", self.pieces), Ok)
        {
            Ok(mate) => crew.insert(mate).run(work),
            Err(error) => {
                let _ = turns.1.try_recv();
                let words = format!("{file}: failed to start a thread: {error}");
                return Err(Failure::new(Kind::System, words));
            }
        }
        drop(crew);
        result.recv_deadline(until).map_err(|_| hangs())
    }
}

/// Whether a file is itself a mount point; only Linux tells.
#[cfg(target_os = "linux")]
pub(crate) fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    let is_root = StatxAttributes::MOUNT_ROOT;
    found.is_ok_and(|found| found.stx_attributes.contains(is_root))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_mount_point(_: &Path) -> bool {
    false
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
