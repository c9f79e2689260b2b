//! A line that tells how far a long first sync has come, for whoever waits at a terminal.

use std::io::stderr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::engine::{Mode, State};
use crate::status::{Rows, Status};
use crate::terminal::{is_clever, show_last_line};

/// Whoever waits for less than this needs no line.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line is written anew.
const TICK: Duration = Duration::from_millis(100);

/// The thread that writes the line; it is taken away when this is dropped.
pub(super) struct Progress {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows the line until every toggle is in sync; a daemon's also ends where the others have
    /// failed, since it has no end of its own. None where stderr is no terminal.
    pub(super) fn show(status: Arc<Status>, mode: Mode) -> Option<Progress> {
        if !is_clever(&stderr()) || log::max_level() < log::Level::Info {
            return None;
        }
        let (over, ended) = bounded::<()>(0);
        let begun = Instant::now();
        let work = move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let rows = status.at(Instant::now());
                let Some(line) = line(&rows, matches!(mode, Mode::Once { .. })) else {
                    break;
                };
                if begun.elapsed() >= PATIENCE {
                    show_last_line(&line);
                }
            }
            show_last_line("");
        };
        let thread = thread::Builder::new().name("progress".into()).spawn(work);
        Some(Progress {
            over: Some(over),
            thread: thread.ok(),
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            // A panic there would have ended the process.
            let _ = thread.join();
        }
    }
}

/// None where nothing is on its way any more; what fails still is, where that has an end.
fn line(rows: &Rows, has_end: bool) -> Option<String> {
    let (total, in_sync) = (rows.toggles.len(), rows.count(State::InSync));
    let stuck = rows.count(State::Failing) + rows.count(State::Held);
    let settled = in_sync + if has_end { 0 } else { stuck };
    let line = format!(
        "syncing: {in_sync} of {total} toggles are in sync{}",
        rows.stuck()
    );
    (settled < total).then_some(line)
}
