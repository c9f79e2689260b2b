//! Reads what should be a small file. It can also be a pipe that nothing closes, a device without an end,
//! or something huge.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// How often a file with a lease is tried.
const MOMENT: Duration = Duration::from_millis(50);

/// The whole content of a file, or of a pipe that ends within `limit` of `start`; at most so many bytes.
pub(crate) fn read(
    path: &Path,
    start: Instant,
    limit: Duration,
    largest: usize,
) -> io::Result<(Vec<u8>, Metadata)> {
    // Without NONBLOCK, a pipe is opened only once something writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let left = || limit.saturating_sub(start.elapsed());
    let mut file = loop {
        match open(path, flags, Mode::empty()) {
            // Another process has a lease on it, and is asked to give it up.
            Err(Errno::AGAIN) if !left().is_zero() => wait(&mut [], left().min(MOMENT))?,
            opened => break File::from(opened?),
        };
    };
    let metadata = file.metadata()?;
    let mut content = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        // A pipe that nothing writes to reads as if it had ended.
        while wait(&mut [PollFd::new(&file, PollFlags::IN)], left())? == 0 {
            if left().is_zero() {
                let limit = humantime::format_duration(limit);
                let words =
                    format!("it did not end within {limit}: is it a pipe that nothing closes?");
                return Err(io::Error::new(ErrorKind::TimedOut, words));
            }
        }
        match file.read(&mut chunk) {
            Ok(0) => return Ok((content, metadata)),
            Ok(length) => content.extend_from_slice(&chunk[..length]),
            Err(error) if is_passing(error.kind()) => {}
            Err(error) => return Err(error),
        }
        if content.len() > largest {
            let words = format!("it is larger than {} MiB", largest >> 20);
            return Err(io::Error::new(ErrorKind::FileTooLarge, words));
        }
    }
}

/// Waits until there is something to read, or the end: how many of these have that. None after a signal.
fn wait(files: &mut [PollFd<'_>], left: Duration) -> io::Result<usize> {
    let timeout = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
    match poll(files, Some(&timeout)) {
        Err(Errno::INTR) => Ok(0),
        ready => Ok(ready?),
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests;
