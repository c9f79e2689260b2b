//! Reads what should be a small file. It can also be a pipe that nothing closes, a device without an end,
//! or something huge.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// The whole content of a file, or of a pipe that ends within `limit` of `start`; at most so many bytes.
pub(crate) fn read(
    path: &Path,
    start: Instant,
    limit: Duration,
    largest: usize,
) -> io::Result<(Vec<u8>, Metadata)> {
    // Without NONBLOCK, a pipe is opened only once something writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut file = File::from(open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    let mut content = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        wait(&file, limit.saturating_sub(start.elapsed()), limit)?;
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

/// Waits until there is something to read, or the end.
fn wait(file: &File, left: Duration, limit: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => {
            let limit = humantime::format_duration(limit);
            let words = format!("it did not end within {limit}: is it a pipe that nothing closes?");
            Err(io::Error::new(ErrorKind::TimedOut, words))
        }
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests;
