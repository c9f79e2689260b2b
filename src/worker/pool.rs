//! The request threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::engine::Event;
use crate::job::{Done, Job};
use crate::peers::Peers;

/// A thread that has had nothing to do for so long ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Request threads take jobs and send back what came of them. There are as many as there are jobs
/// at once: the engine bounds these.
pub(super) struct Pool {
    jobs: Sender<Job>,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    peers: Arc<Peers>,
    jobs: Receiver<Job>,
    results: Sender<Event>,
    /// Threads that wait for a job, less the jobs that wait for a thread.
    idle: Arc<AtomicUsize>,
}

impl Pool {
    pub(super) fn new(peers: Arc<Peers>, results: Sender<Event>) -> Pool {
        let (sender, jobs) = unbounded();
        Pool {
            jobs: sender,
            shared: Shared {
                peers,
                jobs,
                results,
                idle: Arc::default(),
            },
        }
    }

    /// Has a thread do a job, now.
    pub(super) fn run(&mut self, job: Job) {
        if !self.shared.claim()
            && let Err(error) = self.shared.start_thread()
        {
            // Late, and one after the other, is better than never.
            log::error!("failed to start a request thread: {error}");
            self.shared.tell(self.shared.peers.perform(job));
            return;
        }
        // The pool holds a receiver, so that the channel is never closed.
        let _ = self.jobs.send(job);
    }
}

impl Shared {
    /// Takes an idle thread for a job, if there is one.
    fn claim(&self) -> bool {
        let take = |idle: usize| idle.checked_sub(1);
        self.idle
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }

    fn start_thread(&self) -> std::io::Result<()> {
        let shared = self.clone();
        let thread = thread::Builder::new().name("request".into());
        thread.spawn(move || shared.work()).map(drop)
    }

    fn work(self) {
        loop {
            match self.jobs.recv_timeout(PATIENCE) {
                Ok(job) => {
                    let done = self.peers.perform(job);
                    self.idle.fetch_add(1, Ordering::AcqRel);
                    self.tell(done);
                }
                // Nobody has claimed this thread: it may go. Otherwise its job is on its way.
                Err(_) if self.claim() => return,
                Err(_) => {}
            }
        }
    }

    fn tell(&self, done: Done) {
        // Where the worker is gone, nobody needs the result.
        let _ = self.results.send(Event::Done(done));
    }
}
