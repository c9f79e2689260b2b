//! The request threads.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::Message;
use crate::job::Job;
use crate::peers::Peers;

/// A thread that has had nothing to do for so long ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Request threads take jobs and send back what came of them. There are as many as there are jobs
/// at once: the engine bounds these. Where the system gives out no more threads, jobs wait for those
/// that there are.
pub(super) struct Pool {
    jobs: Sender<Work>,
    shared: Shared,
}

type Work = Box<dyn FnOnce() -> Message + Send>;

#[derive(Clone)]
struct Shared {
    jobs: Receiver<Work>,
    results: Sender<Message>,
    crew: Arc<Mutex<Crew>>,
}

#[derive(Default)]
struct Crew {
    threads: usize,
    /// Threads that wait for a job, less the jobs that wait for a thread.
    idle: isize,
}

impl Pool {
    pub(super) fn new(results: Sender<Message>) -> Pool {
        let (sender, jobs) = unbounded();
        Pool {
            jobs: sender,
            shared: Shared {
                jobs,
                results,
                crew: Arc::default(),
            },
        }
    }

    pub(super) fn run(&mut self, generation: u64, peers: &Arc<Peers>, job: Job) {
        let peers = Arc::clone(peers);
        let work: Work = Box::new(move || Message::Done(generation, peers.perform(job)));
        if self.shared.find_thread() {
            // The pool holds a receiver, so that the channel is never closed.
            let _ = self.jobs.send(work);
        } else {
            // Late, and one after the other, is better than never.
            self.shared.tell(work());
        }
    }
}

impl Shared {
    /// Finds a thread for a job; whether there will be one.
    fn find_thread(&self) -> bool {
        let mut crew = self.crew();
        if !crew.claim()
            && let Err(error) = self.start_thread(&mut crew)
        {
            // Once for all that wait for it.
            if crew.idle == 0 {
                log::error!("failed to start a request thread, requests must wait: {error}");
            }
            if crew.threads == 0 {
                return false;
            }
            crew.idle -= 1;
        }
        true
    }

    fn start_thread(&self, crew: &mut Crew) -> io::Result<()> {
        let shared = self.clone();
        let thread = thread::Builder::new().name("request".into());
        thread.spawn(move || shared.work())?;
        crew.threads += 1;
        Ok(())
    }

    fn work(self) {
        loop {
            match self.jobs.recv_timeout(PATIENCE) {
                Ok(work) => {
                    let done = work();
                    self.crew().idle += 1;
                    self.tell(done);
                }
                Err(_) => {
                    let mut crew = self.crew();
                    // Unless this thread was claimed, and its job is on its way.
                    if crew.claim() {
                        crew.threads -= 1;
                        return;
                    }
                }
            }
        }
    }

    fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, done: Message) {
        // Without a worker, the result is of no use.
        let _ = self.results.send(done);
    }
}

impl Crew {
    /// Takes an idle thread, if there is one.
    fn claim(&mut self) -> bool {
        let claimed = self.idle > 0;
        self.idle -= isize::from(claimed);
        claimed
    }
}
