//! The worker thread: owns the engine, is the only one that waits for time, hands out jobs.

mod pool;
mod telling;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, never, select_biased, unbounded};

use crate::engine::{Engine, Event, Moment};
use crate::job::SourceId;
use crate::peers::Peers;
use crate::status::{Clocks, Status};
use pool::Pool;

/// How long requests in flight may take to end on shutdown. The whole of it takes 10 s at most.
const GOODBYE: Duration = Duration::from_secs(8);

/// How long to wait where nothing is due: any long time will do.
const LONG: Duration = Duration::from_secs(3600);

/// Owns all mutable state.
pub struct Worker {
    engine: Engine,
    pool: Pool,
    bells: Arc<Bells>,
    events: Receiver<Event>,
    stop: Receiver<()>,
    status: Arc<Status>,
}

/// How the http thread tells the worker of callbacks, without ever waiting for it.
///
/// Each source has a flag, and an event is sent only where it was clear: however many callbacks
/// come, at most one for each source waits in the channel.
pub struct Bells {
    rung: Vec<AtomicBool>,
    events: Sender<Event>,
}

impl Bells {
    /// OPAL called back for a source.
    ///
    /// # Errors
    ///
    /// Where the worker is gone.
    pub fn ring(&self, source: SourceId) -> Result<(), WorkerGone> {
        if self.rung[source].swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.events
            .send(Event::Callback(source))
            .map_err(|_| WorkerGone)
    }
}

/// Nobody takes callbacks any more: the process has to end.
#[derive(Clone, Copy, Debug)]
pub struct WorkerGone;

impl Worker {
    /// A worker for an engine that has not started; a message, or the end, of `stop` ends it.
    pub fn new(
        engine: Engine,
        peers: Arc<Peers>,
        sources: usize,
        status: Arc<Status>,
        stop: Receiver<()>,
    ) -> Worker {
        let (sender, events) = unbounded();
        let bells = Bells {
            rung: (0..sources).map(|_| AtomicBool::new(false)).collect(),
            events: sender.clone(),
        };
        Worker {
            engine,
            pool: Pool::new(peers, sender),
            bells: Arc::new(bells),
            events,
            stop,
            status,
        }
    }

    /// Where callbacks are told.
    pub fn bells(&self) -> Arc<Bells> {
        Arc::clone(&self.bells)
    }

    /// Runs until it is stopped, or the engine has finished; gives the engine back for a report.
    pub fn run(mut self) -> Engine {
        self.engine.start(moment());
        let mut deadline: Option<Instant> = None;
        loop {
            self.hand_out();
            telling::tell(self.engine.take_notices());
            self.status.publish(&mut self.engine, Clocks::read());
            let over = deadline.is_some_and(|end| self.engine.is_idle() || Instant::now() >= end);
            if over || self.engine.is_finished() {
                return self.engine;
            }
            match self.wait(deadline) {
                Some(event) => {
                    if matches!(event, Event::Stop) {
                        deadline = Some(Instant::now() + GOODBYE);
                        self.stop = never();
                    }
                    self.handle(event);
                }
                None => self.handle(Event::Time),
            }
            // Results come in bursts; what they have in common is done once.
            while let Ok(event) = self.events.try_recv() {
                self.handle(event);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        if let Event::Callback(source) = event {
            // First, so that a callback from now on is not taken for this one.
            self.bells.rung[source].store(false, Ordering::Release);
        }
        self.engine.handle(event, moment());
    }

    fn hand_out(&mut self) {
        while let Some(job) = self.engine.next_job(moment()) {
            self.pool.run(job);
        }
    }

    /// Waits for the next event: none where time has passed.
    fn wait(&self, deadline: Option<Instant>) -> Option<Event> {
        let now = Instant::now();
        let due = self.engine.next_time(now).filter(|_| deadline.is_none());
        let end = due
            .or(deadline)
            .map_or(LONG, |end| end.saturating_duration_since(now));
        let time = after(end);
        select_biased! {
            recv(self.stop) -> _ => Some(Event::Stop),
            recv(self.events) -> event => event.ok(),
            recv(time) -> _ => None,
        }
    }
}

fn moment() -> Moment {
    Moment {
        at: Instant::now(),
        chance: chance(),
    }
}

/// A random number from 0 to 1. Where the system gives none, waits are just not shortened.
fn chance() -> f64 {
    let random = getrandom::u32().unwrap_or_default();
    f64::from(random) / f64::from(u32::MAX)
}
