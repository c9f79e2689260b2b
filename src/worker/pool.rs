//! The request threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::News;
use crate::job::Job;
use crate::peers::Peers;

/// A thread that has had nothing to do for so long ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Request threads take jobs and send back what came of them. There are as many as there are jobs
/// at once: the engine bounds these.
pub(super) struct Pool {
    jobs: Sender<Order>,
    shared: Shared,
}

/// A job, those whom it asks, and the number of the generation that wants it done.
struct Order(u64, Arc<Peers>, Job);

#[derive(Clone)]
struct Shared {
    jobs: Receiver<Order>,
    results: Sender<News>,
    /// Threads that wait for a job, less the jobs that wait for a thread.
    idle: Arc<AtomicUsize>,
}

impl Pool {
    pub(super) fn new(results: Sender<News>) -> Pool {
        let (sender, jobs) = unbounded();
        Pool {
            jobs: sender,
            shared: Shared {
                jobs,
                results,
                idle: Arc::default(),
            },
        }
    }

    /// Has a thread do a job, now.
    pub(super) fn run(&mut self, generation: u64, peers: &Arc<Peers>, job: Job) {
        let order = Order(generation, Arc::clone(peers), job);
        if !self.shared.claim()
            && let Err(error) = self.shared.start_thread()
        {
            // Late, and one after the other, is better than never.
            log::error!("failed to start a request thread: {error}");
            self.shared.tell(order.perform());
            return;
        }
        // The pool holds a receiver, so that the channel is never closed.
        let _ = self.jobs.send(order);
    }
}

impl Order {
    fn perform(self) -> News {
        let Order(generation, peers, job) = self;
        News::Done(generation, peers.perform(job))
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
                Ok(order) => {
                    let done = order.perform();
                    self.idle.fetch_add(1, Ordering::AcqRel);
                    self.tell(done);
                }
                // Nobody has claimed this thread: it may go. Otherwise its job is on its way.
                Err(_) if self.claim() => return,
                Err(_) => {}
            }
        }
    }

    fn tell(&self, done: News) {
        // Where the worker is gone, nobody needs the result.
        let _ = self.results.send(done);
    }
}
