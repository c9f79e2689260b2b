//! The audit log: a line for each change of users that was made at a target. A thread of its own writes it,
//! so that a disk that is full, or hangs, stops nothing else.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use rustix::fs::{Access, OFlags, access};
use serde::Serialize;

use crate::crew::lock;
use crate::engine::Why;
use crate::metrics::Metrics;
use crate::users::{Change, Users};

/// The most that waits for a file that takes no lines, in bytes. What does not fit is dropped, and counted.
const MOST: usize = 16 * 1024 * 1024;

/// The same for a file that takes lines, perhaps slowly.
const MOST_OF_A_BURST: usize = 16 * MOST;

/// The time between two tries.
const RETRY: Duration = Duration::from_secs(1);

/// A try that takes longer hangs.
const PROMPT: Duration = Duration::from_secs(1);

/// About what a line takes without the keys of its users, and a key beside its text.
const REST: (usize, usize) = (512, 3);

/// A change of users.
pub(crate) struct Entry {
    pub(crate) time: String,
    pub(crate) target: String,
    pub(crate) toggle: String,
    /// None at a target without environments.
    pub(crate) environment: Option<String>,
    /// None where it is not known what the target had.
    pub(crate) change: Option<Arc<Change>>,
    /// How many there are now.
    pub(crate) users: usize,
    pub(crate) cause: Why,
    pub(crate) source: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) revision: Option<Arc<str>>,
    pub(crate) instance: String,
}

/// An entry as it is written.
#[derive(Serialize)]
struct Line<'e> {
    time: &'e str,
    target: &'e str,
    toggle: &'e str,
    environment: Option<&'e str>,
    added: Option<&'e Users>,
    removed: Option<&'e Users>,
    users: usize,
    cause: Why,
    source: Option<&'e str>,
    rule: Option<&'e str>,
    revision: Option<&'e str>,
    instance: &'e str,
}

/// For the threads that have something to write. Without a file, nothing is written.
pub(crate) struct Audit {
    orders: Sender<Order>,
    state: Arc<State>,
    metrics: Arc<Metrics>,
}

enum Order {
    Write(Box<Entry>),
    /// Write to this file from now on.
    Use(Option<PathBuf>),
    /// Open the file again: it may have been moved.
    Reopen,
    /// Dropped after a try to write everything before it.
    Flush(Sender<()>),
}

/// What is known of the writer.
#[derive(Default)]
pub(crate) struct State(Mutex<Known>);

#[derive(Default)]
struct Known {
    path: Option<PathBuf>,
    /// Lines that are not written, and their size in bytes.
    lines: usize,
    bytes: usize,
    /// Dropped lines: since the log last said so, and all.
    dropped: u64,
    dropped_in_all: u64,
    failure: Option<String>,
    /// Since when the file system has owed an answer.
    asked: Option<Instant>,
}

impl Audit {
    /// Starts the thread that writes, without a file.
    pub(crate) fn start(state: Arc<State>, metrics: Arc<Metrics>) -> io::Result<Audit> {
        let (orders, received) = unbounded();
        let writer = Writer {
            state: Arc::clone(&state),
            path: None,
            file: None,
            waiting: VecDeque::new(),
            failures: 0,
            metrics: Arc::clone(&metrics),
        };
        let write = move || writer.run(&received);
        thread::Builder::new().name("audit".into()).spawn(write)?;
        Ok(Audit {
            orders,
            state,
            metrics,
        })
    }

    /// Uses this file, which is opened at once; without one, nothing is written.
    pub(crate) fn set_path(&self, path: Option<&Path>) {
        self.order(Order::Use(path.map(Path::to_owned)));
    }

    pub(crate) fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// Never waits.
    pub(crate) fn write(&self, entry: Entry) {
        let bytes = entry.bytes();
        {
            let mut known = lock(&self.state.0);
            let is_stuck = known.failure.is_some() || known.hangs_for() > PROMPT;
            let most = if is_stuck { MOST } else { MOST_OF_A_BURST };
            if known.lines > 0 && known.bytes + bytes > most {
                return known.drop_line(&self.metrics);
            }
            known.lines += 1;
            known.bytes += bytes;
        }
        self.order(Order::Write(Box::new(entry)));
    }

    /// Has everything written that waits, within `patience`. Fails if lines were not written, now or before.
    pub(crate) fn flush(&self, patience: Duration) -> Result<(), String> {
        let (flush, done) = bounded(0);
        self.order(Order::Flush(flush));
        // Disconnected by the writer.
        let _ = done.recv_timeout(patience);
        let known = lock(&self.state.0);
        let lost = known.lines as u64 + known.dropped_in_all;
        if lost == 0 {
            return Ok(());
        }
        let why = known.trouble(Duration::ZERO);
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        Err(format!("lines missing in the audit log: {lost}{why}"))
    }

    fn order(&self, order: Order) {
        // The writer only ends with the process.
        let _ = self.orders.send(order);
    }
}

impl State {
    /// Why lines are not written, where a try may take so long.
    pub(crate) fn trouble(&self, patience: Duration) -> Option<String> {
        lock(&self.0).trouble(patience)
    }
}

impl Known {
    fn trouble(&self, patience: Duration) -> Option<String> {
        if self.failure.is_some() {
            return self.failure.clone();
        }
        let path = self.path.as_ref()?;
        (self.hangs_for() > patience).then(|| failure(path, "no answer from its file system"))
    }

    fn hangs_for(&self) -> Duration {
        self.asked.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// A line no longer waits.
    fn settle(&mut self, entry: &Entry) {
        self.lines -= 1;
        self.bytes -= entry.bytes();
    }

    fn drop_line(&mut self, metrics: &Metrics) {
        self.dropped += 1;
        self.dropped_in_all += 1;
        metrics.audit_line_dropped();
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        let (rest, beside) = REST;
        let keys = |users: &Users| users.bytes() + beside * users.len();
        let change = self.change.as_ref();
        rest + change.map_or(0, |it| keys(&it.added) + keys(&it.removed))
    }

    fn line(&self) -> io::Result<Vec<u8>> {
        let change = self.change.as_deref();
        let line = Line {
            time: &self.time,
            target: &self.target,
            toggle: &self.toggle,
            environment: self.environment.as_deref(),
            added: change.map(|it| &it.added),
            removed: change.map(|it| &it.removed),
            users: self.users,
            cause: self.cause,
            source: self.source.as_deref(),
            rule: self.rule.as_deref(),
            revision: self.revision.as_deref(),
            instance: &self.instance,
        };
        let mut text = Vec::with_capacity(self.bytes());
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
        Ok(text)
    }
}

struct Writer {
    state: Arc<State>,
    path: Option<PathBuf>,
    file: Option<File>,
    waiting: VecDeque<Box<Entry>>,
    /// In a row.
    failures: u32,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let order = match self.failures {
                0 => orders.recv().map_err(RecvTimeoutError::from),
                _ => orders.recv_timeout(RETRY),
            };
            let mut flushes = Vec::new();
            match order {
                Ok(order) => flushes.extend(self.take(order)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(order) = orders.try_recv() {
                flushes.extend(self.take(order));
            }
            self.write();
        }
    }

    fn take(&mut self, order: Order) -> Option<Sender<()>> {
        match order {
            // Of a change that began before the configuration was left without a file.
            Order::Write(entry) if self.path.is_none() => lock(&self.state.0).settle(&entry),
            Order::Write(entry) => self.waiting.push_back(entry),
            Order::Flush(done) => return Some(done),
            Order::Reopen => {
                self.write();
                self.file = None;
            }
            Order::Use(path) if path == self.path => {}
            Order::Use(path) => {
                self.write();
                self.file = None;
                let mut known = lock(&self.state.0);
                if path.is_none() {
                    for entry in self.waiting.drain(..) {
                        known.settle(&entry);
                        known.drop_line(&self.metrics);
                    }
                }
                known.path.clone_from(&path);
                self.path = path;
            }
        }
        None
    }

    /// Writes everything that waits, or notes why that fails.
    fn write(&mut self) {
        lock(&self.state.0).asked = Some(Instant::now());
        let written = self.try_write();
        lock(&self.state.0).asked = None;
        match (written, &self.path) {
            (Err(error), Some(path)) => {
                let failure = failure(path, &why(path, &error));
                self.fail(failure);
            }
            _ => self.mend(),
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let file = match self.file.take() {
            // One that was removed takes lines that nothing will read.
            Some(file) if file.metadata()?.nlink() > 0 => file,
            _ => open(path, true)?,
        };
        while let Some(entry) = self.waiting.front() {
            append(&file, &entry.line()?)?;
            let mut known = lock(&self.state.0);
            known.settle(entry);
            known.asked = Some(Instant::now());
            self.waiting.pop_front();
        }
        self.file = Some(file);
        Ok(())
    }

    fn fail(&mut self, failure: String) {
        self.failures = self.failures.saturating_add(1);
        if self.failures.is_power_of_two() {
            let (count, lines) = (self.failures, self.waiting.len());
            log::error!("{failure} count={count} waiting={lines}");
        }
        lock(&self.state.0).failure = Some(failure);
    }

    fn mend(&mut self) {
        let failures = std::mem::take(&mut self.failures);
        let mut known = lock(&self.state.0);
        known.failure = None;
        let dropped = std::mem::take(&mut known.dropped);
        drop(known);
        if failures > 0 {
            log::info!("the audit log works again failures={failures}");
        }
        if dropped > 0 {
            log::error!("audit log lines dropped: they could not be written count={dropped}");
        }
    }
}

/// Opens a file to append to it, and makes it for its owner alone.
fn open(path: &Path, makes: bool) -> io::Result<File> {
    if let Ok(found) = fs::metadata(path)
        && !(found.is_file() || found.is_dir() || found.file_type().is_char_device())
    {
        return Err(io::Error::other("it is not a file"));
    }
    let mut options = File::options();
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    options.append(true).create(makes).mode(0o600);
    options.custom_flags(flags.cast_signed());
    match options.clone().read(true).open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => options.open(path),
        opened => opened,
    }
}

/// Appends a line: all of it, or nothing. Other processes of this program wait meanwhile, where the file
/// system has locks.
fn append(file: &File, line: &[u8]) -> io::Result<()> {
    let is_locked = file.lock().is_ok();
    let appended = append_whole(file, line);
    if is_locked {
        let _ = file.unlock();
    }
    appended
}

fn append_whole(mut file: &File, line: &[u8]) -> io::Result<()> {
    let start = file.metadata()?.len();
    let mut last = [b'\n'];
    // It may not be readable.
    let _ = start.checked_sub(1).map(|at| file.read_at(&mut last, at));
    // A process that was killed leaves half a line.
    let line = match last {
        [b'\n'] => line,
        _ => &[b"\n", line].concat(),
    };
    let mut written = 0;
    while written < line.len() {
        match file.write(&line[written..]) {
            Ok(length @ 1..) => written += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            failed => {
                // Unless others have written meanwhile, or have emptied it.
                if written > 0 && file.metadata()?.len() == start + written as u64 {
                    let _ = file.set_len(start);
                }
                return Err(failed.err().unwrap_or(ErrorKind::WriteZero.into()));
            }
        }
    }
    Ok(())
}

/// Whether lines can be written to a file, which stays as it is.
pub(crate) fn check(path: &Path) -> Result<&'static str, String> {
    let checked = match open(path, false) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let may_make = access(folder_of(path), Access::WRITE_OK | Access::EXEC_OK);
            may_make
                .map(|()| "does not exist yet, and can be made")
                .map_err(io::Error::from)
        }
        opened => opened.map(|_| "can be opened for writing"),
    };
    checked.map_err(|error| failure(path, &why(path, &error)))
}

fn failure(path: &Path, why: &str) -> String {
    format!("audit log {} cannot be written: {why}", path.display())
}

fn why(path: &Path, error: &io::Error) -> String {
    let folder = folder_of(path).display();
    match error.kind() {
        ErrorKind::NotFound => format!("no such folder {folder}: create it"),
        ErrorKind::PermissionDenied => format!(
            "permission denied: let the user that runs optoggles write to it, and to the folder {folder}"
        ),
        _ => error.to_string(),
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// The name of this machine.
pub(crate) fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
