//! The worker thread: owns the engine, is the only one that waits for time, hands out jobs.

mod bells;
mod caption;
mod generation;
mod pool;
mod telling;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, never, select_biased, unbounded};

use crate::config::Config;
use crate::engine::{Engine, Event, Mode, Moment};
use crate::job::{Done, Load};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::peers::Peers;
use crate::status::{Clocks, Status};
pub use bells::{Bells, WorkerGone};
use caption::Caption;
use generation::Generation;
use pool::Pool;

/// How long requests in flight may take to end on shutdown. The whole of it takes 10 s at most.
const GOODBYE: Duration = Duration::from_secs(8);

/// How long to wait where nothing is due: any long time will do.
const LONG: Duration = Duration::from_secs(3600);

/// Owns all mutable state.
pub struct Worker {
    current: Generation,
    /// Those before the last reloads, which still have requests in flight.
    retired: Vec<Generation>,
    pool: Pool,
    bells: Arc<Bells>,
    news: Receiver<News>,
    orders: Receiver<Order>,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    caption: Caption,
}

/// What the process is told to do.
pub enum Order {
    /// End.
    Stop,
    /// Go on with another configuration.
    Reload(Assignment),
    /// Go on with this one: the other was refused.
    Refused,
}

/// What a worker is to do.
#[derive(Clone)]
pub struct Assignment {
    /// The configuration.
    pub config: Arc<Config>,
    /// Those whom it names.
    pub peers: Arc<Peers>,
    /// For how long, and how.
    pub mode: Mode,
}

/// What the other threads have to tell.
#[derive(Debug)]
enum News {
    /// OPAL called back for the source of this id.
    Callback(String),
    /// OPAL has reported a load to the source of this id.
    Loaded(String, Load),
    /// A job of the generation with this number has ended.
    Done(u64, Done),
}

impl Worker {
    /// A worker that has not started. An order to stop, or the end of the orders, ends it.
    pub fn new(
        assignment: Assignment,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
        notifier: Notifier,
        orders: Receiver<Order>,
    ) -> Worker {
        let (sender, news) = unbounded();
        Worker {
            bells: Arc::new(Bells::new(&assignment.config, sender.clone())),
            current: Generation::first(assignment),
            retired: Vec::new(),
            pool: Pool::new(sender),
            news,
            orders,
            status,
            caption: Caption::new(notifier),
            metrics,
        }
    }

    /// Where callbacks are told.
    pub fn bells(&self) -> Arc<Bells> {
        Arc::clone(&self.bells)
    }

    /// Runs until it is stopped, or the engine has finished; gives the engine back for a report.
    pub fn run(mut self) -> Engine {
        self.current.engine.start(moment());
        let mut deadline: Option<Instant> = None;
        loop {
            self.hand_out();
            let over = deadline.is_some_and(|end| self.may_end() || Instant::now() >= end);
            if over || self.current.engine.is_finished() {
                return self.current.engine;
            }
            match self.wait(deadline) {
                Next::Order(Order::Stop) => {
                    deadline = Some(Instant::now() + GOODBYE);
                    self.orders = never();
                    self.current.engine.handle(Event::Stop, moment());
                }
                Next::Order(Order::Reload(assignment)) => self.reload(assignment),
                Next::Order(Order::Refused) => self.caption.refused = true,
                Next::News(news) => self.hear(news),
                Next::Time => self.current.engine.handle(Event::Time, moment()),
            }
            // Results come in bursts; what they have in common is done once.
            while let Ok(news) = self.news.try_recv() {
                self.hear(news);
            }
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Callback(source) => {
                // First, so that a callback from now on is not taken for this one.
                self.bells.clear(&source);
                if let Some(id) = self.current.source(&source) {
                    self.current.engine.handle(Event::Callback(id), moment());
                }
            }
            News::Loaded(source, load) => {
                if let Some(id) = self.current.source(&source) {
                    self.current
                        .engine
                        .handle(Event::Loaded(id, load), moment());
                }
            }
            News::Done(number, done) if number == self.current.number => {
                self.current.engine.handle(Event::Done(done), moment());
            }
            News::Done(number, done) => self.hear_of_old(number, done),
        }
    }

    /// Goes on with another configuration; what is in flight is left to end.
    fn reload(&mut self, assignment: Assignment) {
        let now = Instant::now();
        let mut next = self.current.succeed(assignment, now);
        for older in &self.retired {
            next.engine.wait_for(&older.engine, now);
        }
        self.bells.set(&next.config);
        self.caption.refused = false;
        next.engine.start(moment());
        self.status
            .show(&next.config, &mut next.engine, Clocks::read());
        let old = std::mem::replace(&mut self.current, next);
        self.retired.push(old);
    }

    /// A job of a generation before this one has ended: those after it may have waited for that.
    fn hear_of_old(&mut self, number: u64, done: Done) {
        let Some(index) = self.retired.iter().position(|it| it.number == number) else {
            return;
        };
        let has_left = matches!(done, Done::Leave(..));
        let keys = self.retired[index].keys(&done);
        let old = &mut self.retired[index];
        old.engine.handle(Event::Done(done), moment());
        let later = self.retired[index + 1..].iter_mut();
        for generation in later.chain([&mut self.current]) {
            generation.ended(&keys, moment());
            if has_left {
                generation.engine.handle(Event::Left, moment());
            }
        }
    }

    fn hand_out(&mut self) {
        for generation in self.retired.iter_mut().chain([&mut self.current]) {
            while let Some(job) = generation.engine.next_job(moment()) {
                self.pool.run(generation.number, &generation.peers, job);
            }
            telling::tell(generation.engine.take_notices(), &self.metrics);
        }
        self.retired
            .retain(|generation| !generation.engine.is_idle());
        let now = Clocks::read();
        self.status.publish(&mut self.current.engine, now);
        self.caption.tell(&self.status, now.at);
    }

    fn may_end(&self) -> bool {
        let mut all = self.retired.iter().chain([&self.current]);
        all.all(|generation| generation.engine.may_end())
    }

    /// Waits until something happens, or is due.
    fn wait(&self, deadline: Option<Instant>) -> Next {
        let now = Instant::now();
        let due = [self.current.engine.next_time(now), self.caption.due];
        let due = due.into_iter().flatten().min();
        let end = due
            .filter(|_| deadline.is_none())
            .or(deadline)
            .map_or(LONG, |end| end.saturating_duration_since(now));
        let time = after(end);
        select_biased! {
            recv(self.orders) -> order => Next::Order(order.unwrap_or(Order::Stop)),
            recv(self.news) -> news => news.map_or(Next::Time, Next::News),
            recv(time) -> _ => Next::Time,
        }
    }
}

/// What happened first.
enum Next {
    Order(Order),
    News(News),
    Time,
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
