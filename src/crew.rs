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

type Start = Box<dyn Fn(&str, Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

/// Once it is dropped, the threads end after the work that waits.
pub(crate) struct Crew {
    name: &'static str,
    most: usize,
    patience: Duration,
    /// Starts a thread with a name.
    start: Start,
    work: Sender<Box<Work>>,
    /// For the threads.
    waiting: Receiver<Box<Work>>,
    count: Arc<Mutex<Count>>,
}

#[derive(Default)]
struct Count {
    threads: usize,
    /// Pieces of work that wait or are under way.
    pieces: usize,
}

/// Gets what its thread shares, to say when it has ended.
type Work = dyn FnOnce(&Mutex<Count>) + Send;

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

    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        self.run_and_tell(work, drop);
    }

    /// Runs work, and passes on its result once the thread counts as free: work that follows from the result
    /// then needs no other thread.
    pub(crate) fn run_and_tell<T: 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        tell: impl FnOnce(T) + Send + 'static,
    ) {
        let mut count = lock(&self.count);
        count.pieces += 1;
        // Work that waits may have been refused a thread.
        while count.is_short(self.most) {
            if let Err(error) = self.start_thread(&mut count) {
                // Once for all work that waits.
                if count.pieces == count.threads + 1 {
                    let name = self.name;
                    log::error!("failed to start a {name} thread, work must wait: {error}");
                }
                break;
            }
        }
        drop(count);
        // The crew holds a receiver, so the channel is never closed.
        let _ = self.work.send(Box::new(move |count: &Mutex<Count>| {
            let result = work();
            lock(count).pieces -= 1;
            tell(result);
        }));
    }

    /// Whether work waits for a thread that the system refused.
    pub(crate) fn is_short(&self) -> bool {
        lock(&self.count).is_short(self.most)
    }

    fn start_thread(&self, count: &mut Count) -> io::Result<()> {
        let (waiting, shared, patience) = (self.waiting.clone(), self.count.clone(), self.patience);
        (self.start)(
            self.name,
            Box::new(move || take_part(&waiting, &shared, patience)),
        )?;
        count.threads += 1;
        Ok(())
    }
}

impl Count {
    fn is_short(&self, most: usize) -> bool {
        self.threads < self.pieces.min(most)
    }
}

fn start(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map(drop)
}

fn take_part(waiting: &Receiver<Box<Work>>, count: &Mutex<Count>, patience: Duration) {
    loop {
        // It yields before it sleeps, because work often follows from the last result.
        match waiting.recv_timeout(patience) {
            Ok(work) => work(count),
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
