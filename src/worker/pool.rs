//! The request threads.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::Message;
use crate::job::Job;
use crate::peers::Peers;

/// An idle thread ends after this time, unless it is the last one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Request threads take jobs and send back the results. There are as many as there are jobs at once, which
/// the engine bounds. If the system allows no more threads, jobs wait for the existing ones.
#[derive(Clone)]
pub(super) struct Pool {
    jobs: Sender<Work>,
    waiting: Receiver<Work>,
    results: Sender<Message>,
    crew: Arc<Mutex<Crew>>,
}

type Work = Box<dyn FnOnce() -> Message + Send>;

#[derive(Default)]
struct Crew {
    threads: usize,
    /// Threads that wait for a job, less the jobs that wait for a thread.
    idle: isize,
}

impl Pool {
    /// Starts the first thread: there is always one for which jobs can wait.
    pub(super) fn new(results: Sender<Message>) -> io::Result<Pool> {
        let (jobs, waiting) = unbounded();
        let pool = Pool {
            jobs,
            waiting,
            results,
            crew: Arc::default(),
        };
        pool.start_thread(&mut pool.crew())?;
        pool.crew().idle += 1;
        Ok(pool)
    }

    pub(super) fn run(&self, generation: u64, peers: &Arc<Peers>, job: Job) {
        let peers = Arc::clone(peers);
        let work: Work = Box::new(move || Message::Done(generation, peers.perform(job)));
        self.find_thread();
        // The pool holds a receiver, so the channel is never closed.
        let _ = self.jobs.send(work);
    }

    /// Reserves a thread for a job, now or later.
    fn find_thread(&self) {
        let mut crew = self.crew();
        if !crew.claim()
            && let Err(error) = self.start_thread(&mut crew)
        {
            // Once for all jobs that wait.
            if crew.idle == 0 {
                log::error!("failed to start a request thread, requests must wait: {error}");
            }
            crew.idle -= 1;
        }
    }

    fn start_thread(&self, crew: &mut Crew) -> io::Result<()> {
        let pool = self.clone();
        let thread = thread::Builder::new().name("request".into());
        thread.spawn(move || pool.work())?;
        crew.threads += 1;
        Ok(())
    }

    fn work(self) {
        loop {
            match self.waiting.recv_timeout(PATIENCE) {
                Ok(work) => {
                    let done = work();
                    self.crew().idle += 1;
                    self.tell(done);
                }
                Err(_) => {
                    let mut crew = self.crew();
                    // Not if this thread was claimed: then its job is on its way.
                    if crew.threads > 1 && crew.claim() {
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
        // Without a worker, nothing needs the result.
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
