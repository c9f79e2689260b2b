//! Threads that share work. They start on demand, up to a number, and idle ones end after a while.
//!
//! One that is free, or will be, always stays, because others could use up all threads that the system allows.
//! If it refuses another, work waits for those there.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

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
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<Work>>,
    /// The pieces of work that are under way.
    running: usize,
    threads: usize,
    /// Those that sleep until there is work.
    asleep: usize,
    is_over: bool,
}

/// Gets what its thread shares, to say when it has ended.
type Work = dyn FnOnce(&Shared) + Send;

impl Crew {
    /// Starts the first thread; there are `most` at most.
    pub(crate) fn new(name: &'static str, most: usize) -> io::Result<Crew> {
        let crew = Crew {
            name,
            most,
            patience: PATIENCE,
            start: Box::new(start),
            shared: Arc::default(),
        };
        crew.start_thread(&mut lock(&crew.shared.state))?;
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
        let mut state = lock(&self.shared.state);
        state.waiting.push_back(Box::new(move |shared: &Shared| {
            let result = work();
            lock(&shared.state).running -= 1;
            tell(result);
        }));
        // Work that waits may have been refused a thread.
        while state.is_short(self.most) {
            if let Err(error) = self.start_thread(&mut state) {
                // Once for all work that waits.
                if state.pieces() == state.threads + 1 {
                    let name = self.name;
                    log::error!("failed to start a {name} thread, work must wait: {error}");
                }
                break;
            }
        }
        // The others are about to look for work by themselves.
        let awake = state.threads - state.running - state.asleep;
        let is_one_needed = state.asleep > 0 && state.waiting.len() > awake;
        drop(state);
        if is_one_needed {
            self.shared.news.notify_one();
        }
    }

    /// Whether work waits for a thread that the system refused.
    pub(crate) fn is_short(&self) -> bool {
        lock(&self.shared.state).is_short(self.most)
    }

    fn start_thread(&self, state: &mut State) -> io::Result<()> {
        let (shared, patience) = (Arc::clone(&self.shared), self.patience);
        (self.start)(self.name, Box::new(move || take_part(&shared, patience)))?;
        state.threads += 1;
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        lock(&self.shared.state).is_over = true;
        self.shared.news.notify_all();
    }
}

impl State {
    fn pieces(&self) -> usize {
        self.waiting.len() + self.running
    }

    fn is_short(&self, most: usize) -> bool {
        self.threads < self.pieces().min(most)
    }
}

fn start(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map(drop)
}

fn take_part(shared: &Shared, patience: Duration) {
    let mut state = lock(&shared.state);
    loop {
        let mut is_late = false;
        while state.waiting.is_empty() {
            if state.is_over || is_late && state.threads > state.running + 1 {
                // Another is free, or nothing more comes.
                state.threads -= 1;
                return;
            }
            state.asleep += 1;
            let woken = shared.news.wait_timeout(state, patience);
            let (woken, time) = woken.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.asleep -= 1;
            is_late = time.timed_out();
        }
        if let Some(work) = state.waiting.pop_front() {
            state.running += 1;
            drop(state);
            work(shared);
            state = lock(&shared.state);
        }
    }
}

/// Locks what threads share. A thread that panics ends the process, so there is nothing half changed.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
