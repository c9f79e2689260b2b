//! Threads that share work. They start on demand, up to a number, and idle ones end after a while.
//!
//! One that is free, or will be, always stays, because others could use up all threads that the system allows.
//! If it refuses another, work waits for those there.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

/// An idle thread ends after this time.
const PATIENCE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

type Start = Box<dyn Fn(&str, Work) -> io::Result<()> + Send + Sync>;

/// Once it is dropped, the threads end after the work that waits.
pub(crate) struct Crew {
    name: &'static str,
    most: usize,
    patience: Duration,
    /// Starts a thread with a name.
    start: Start,
    work: Sender<Work>,
    waiting: Receiver<Work>,
    count: Arc<Mutex<Count>>,
}

#[derive(Default)]
struct Count {
    threads: usize,
    /// Pieces of work that wait or are under way.
    pieces: usize,
}

impl Crew {
    /// Starts the first thread; there are `most` at most.
    pub(crate) fn new(name: &'static str, most: usize) -> io::Result<Crew> {
        let (work, waiting) = unbounded();
        let crew = Crew {
            name,
            most,
            patience: PATIENCE,
            start: Box::new(start),
            work,
            waiting,
            count: Arc::default(),
        };
        crew.start_thread(&mut lock(&crew.count))?;
        Ok(crew)
    }

    pub(crate) fn run(&self, work: Work) {
        let mut count = lock(&self.count);
        count.pieces += 1;
        // Work that waits may have been refused a thread.
        while count.threads < count.pieces.min(self.most) {
            if let Err(error) = self.start_thread(&mut count) {
                // Once for all work that waits.
                if count.pieces == count.threads + 1 {
                    let name = self.name;
                    log::error!("failed to start a {name} thread, work must wait: {error}");
                }
                break;
            }
        }
        // The crew holds a receiver, so the channel is never closed.
        let _ = self.work.send(work);
    }

    /// Whether work waits for a thread that the system refused.
    pub(crate) fn is_short(&self) -> bool {
        let count = lock(&self.count);
        count.threads < count.pieces.min(self.most)
    }

    fn start_thread(&self, count: &mut Count) -> io::Result<()> {
        let (waiting, shared, patience) = (self.waiting.clone(), self.count.clone(), self.patience);
        let work = Box::new(move || take_part(&waiting, &shared, patience));
        (self.start)(self.name, work)?;
        count.threads += 1;
        Ok(())
    }
}

fn start(name: &str, work: Work) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map(drop)
}

fn take_part(waiting: &Receiver<Work>, count: &Mutex<Count>, patience: Duration) {
    loop {
        match waiting.recv_timeout(patience) {
            Ok(work) => {
                work();
                lock(count).pieces -= 1;
            }
            Err(RecvTimeoutError::Timeout) => {
                let mut count = lock(count);
                // Only if another is idle.
                if count.threads > count.pieces + 1 {
                    count.threads -= 1;
                    return;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Locks what threads share. A thread that panics ends the process, so there is nothing half changed.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
