//! The log: lines on stderr, with UTC timestamps. A thread of its own writes them, so that a reader that
//! stalls, or a disk that is full, stops nothing else.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, poll};

use crate::error::visible;

/// The most that waits for the writer, in bytes. What does not fit is dropped, and counted.
const LONGEST_QUEUE: usize = 1024 * 1024;

static LOG: OnceLock<&Logger> = OnceLock::new();

struct Logger {
    /// Of this program.
    level: LevelFilter,
    patience: Mutex<Duration>,
    queue: Queue,
}

struct Queue {
    entries: Sender<Entry>,
    /// In bytes.
    waiting: AtomicUsize,
    /// Entries, since this was last told.
    dropped: AtomicU64,
}

enum Entry {
    Text(String),
    /// Dropped when everything before it is written.
    Mark(#[expect(dead_code, reason = "only dropped")] Sender<()>),
}

/// The level of `-q` or `-v`, else of `$OPTOGGLES_LOG`, else the default.
pub(crate) fn level(
    quiet: bool,
    verbose: u8,
    default: LevelFilter,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<LevelFilter, String> {
    Ok(match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => match env("OPTOGGLES_LOG").filter(|text| !text.is_empty()) {
            Some(text) => text.parse().map_err(|_| {
                format!(
                    "invalid log level `{}` in $OPTOGGLES_LOG: use off, error, warn, info, debug or trace",
                    text.escape_debug()
                )
            })?,
            None => default,
        },
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    })
}

/// Starts the log. `patience` is how long [`flush`] waits for a reader that stalls.
pub(crate) fn start(level: LevelFilter, patience: Duration) -> io::Result<()> {
    let (queue, entries) = Queue::new();
    let logger: &Logger = Box::leak(Box::new(Logger {
        level,
        patience: Mutex::new(patience),
        queue,
    }));
    let write = move || logger.queue.write_all(&entries, Patient(io::stderr()));
    thread::Builder::new().name("log".into()).spawn(write)?;
    let _ = LOG.set(logger);
    log::set_max_level(level);
    // Only a second start fails.
    let _ = log::set_logger(logger);
    Ok(())
}

/// Writes to stderr, after what waits there, and is never dropped. If stderr is closed, the words are lost.
pub(crate) fn complain(words: &str) {
    let line = format!("{}\n", visible(words.trim_end()));
    match LOG.get() {
        Some(logger) => logger.queue.force(line),
        // The log has not started.
        None => drop(Patient(io::stderr()).write_all(line.as_bytes())),
    }
}

/// Waits until everything is written, or the log's patience has ended.
pub(crate) fn flush() {
    if let Some(logger) = LOG.get() {
        let patience = *logger.patience();
        logger.queue.flush(patience);
    }
}

/// From now on, [`flush`] waits for so long.
pub(crate) fn set_patience(patience: Duration) {
    if let Some(logger) = LOG.get() {
        *logger.patience() = patience;
    }
}

impl Logger {
    fn patience(&self) -> MutexGuard<'_, Duration> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn new() -> (Queue, Receiver<Entry>) {
        let (sender, entries) = unbounded();
        let queue = Queue {
            entries: sender,
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        };
        (queue, entries)
    }

    /// Never waits. A first entry always fits, however long it is; once one was dropped, so are the next,
    /// until half of the queue is free: one long gap says more than many short ones.
    fn push(&self, text: String) {
        let bytes = text.len();
        let is_dropping = self.dropped.load(Relaxed) > 0;
        let limit = if is_dropping {
            LONGEST_QUEUE / 2
        } else {
            LONGEST_QUEUE
        };
        let fits = |waiting| (waiting == 0 || waiting + bytes <= limit).then_some(waiting + bytes);
        match self.waiting.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => self.send(text),
            Err(_) => drop(self.dropped.fetch_add(1, Relaxed)),
        }
    }

    fn force(&self, text: String) {
        self.waiting.fetch_add(text.len(), Relaxed);
        self.send(text);
    }

    fn send(&self, text: String) {
        // The writer only ends with the process.
        let _ = self.entries.send(Entry::Text(text));
    }

    /// Waits until everything before it is written, or `patience` has passed.
    fn flush(&self, patience: Duration) {
        let (mark, written) = bounded(0);
        let _ = self.entries.send(Entry::Mark(mark));
        // Disconnected by the writer.
        let _ = written.recv_timeout(patience);
    }

    /// Writes what comes, for ever. What cannot be written is lost, and counted.
    fn write_all(&self, entries: &Receiver<Entry>, mut out: impl Write) {
        for entry in entries {
            let Entry::Text(text) = entry else { continue };
            let written = out.write_all(text.as_bytes());
            let waiting = self.waiting.fetch_sub(text.len(), Relaxed) - text.len();
            if written.is_err() {
                self.dropped.fetch_add(1, Relaxed);
            } else if waiting <= LONGEST_QUEUE / 2 {
                self.tell_of_dropped(&mut out);
            }
        }
    }

    fn tell_of_dropped(&self, out: &mut impl Write) {
        let count = self.dropped.swap(0, Relaxed);
        if count == 0 {
            return;
        }
        let words = format_args!("log lines dropped: stderr did not take them count={count}");
        let note = line(Level::Warn, module_path!(), &words);
        if out.write_all(note.as_bytes()).is_err() {
            self.dropped.fetch_add(count, Relaxed);
        }
    }
}

fn line(level: Level, target: &str, words: &fmt::Arguments<'_>) -> String {
    // humantime cannot write earlier times, which a wrong clock shows.
    let time = humantime::format_rfc3339_millis(SystemTime::now().max(UNIX_EPOCH));
    format!(
        "{time} {level:<5} [{target}] {}\n",
        visible(&words.to_string())
    )
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().starts_with("optoggles");
        // At trace, dependencies log what they send and receive, including tokens.
        let level = if is_ours {
            self.level
        } else {
            self.level.min(LevelFilter::Info)
        };
        metadata.level() <= level
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.queue
                .push(line(record.level(), record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Waits where a stream takes no more and does not block: `O_NONBLOCK` is inherited from the parent process.
pub(crate) struct Patient<W>(pub(crate) W);

impl<W: Write + AsFd> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait_for(W::flush)
    }
}

impl<W: AsFd> Patient<W> {
    fn wait_for<T>(&mut self, step: impl Fn(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match step(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut streams = [PollFd::new(&self.0, PollFlags::OUT)];
                    match poll(&mut streams, None) {
                        Err(rustix::io::Errno::INTR) | Ok(_) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                done => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests;
