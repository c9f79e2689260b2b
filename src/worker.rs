//! The worker thread: owns the engine, is the only one that waits for time, hands out jobs.

mod log;
mod pool;
mod systemd;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, never, select_biased, unbounded};

use crate::config::Config;
use crate::engine::{Engine, Event, Mode, Moment};
use crate::job::{Done, Load, SourceId};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::status::{Clocks, Status};
use pool::Pool;
use systemd::Caption;
pub use systemd::Notifier;

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
            log::tell(generation.engine.take_notices(), &self.metrics);
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

struct Generation {
    /// 0, 1, 2 … with each reload.
    number: u64,
    config: Arc<Config>,
    peers: Arc<Peers>,
    engine: Engine,
}

impl Generation {
    fn first(assignment: Assignment) -> Generation {
        let terms = assignment.peers.terms();
        Generation {
            number: 0,
            engine: Engine::new(Arc::clone(&assignment.config), assignment.mode, terms),
            config: assignment.config,
            peers: assignment.peers,
        }
    }

    /// The next one, which has not started; this one ends what it has in flight.
    fn succeed(&mut self, assignment: Assignment, now: Instant) -> Generation {
        let (config, terms) = (Arc::clone(&assignment.config), assignment.peers.terms());
        let engine = self.engine.succeed(config, assignment.mode, terms, now);
        self.engine.retire(&assignment.config);
        Generation {
            number: self.number + 1,
            config: assignment.config,
            peers: assignment.peers,
            engine,
        }
    }

    fn source(&self, id: &str) -> Option<SourceId> {
        self.config.sources.iter().position(|it| it.id == id)
    }

    /// The keys of the toggles about which a job asked or told the target.
    fn keys(&self, done: &Done) -> Vec<String> {
        let toggles = done.toggles_at_target().into_iter();
        toggles
            .map(|id| self.config.toggles[id].key.clone())
            .collect()
    }

    /// An older generation's requests for these toggles have ended.
    fn ended(&mut self, keys: &[String], now: Moment) {
        for (id, toggle) in self.config.toggles.iter().enumerate() {
            if keys.contains(&toggle.key) {
                self.engine.handle(Event::Ended(id), now);
            }
        }
    }
}

/// A bell for each source, which rings once until the worker has heard it: however many callbacks
/// come, at most one for each source waits in the channel, and nobody waits for the worker.
pub struct Bells {
    /// By the source's id, whether it has rung.
    rung: Mutex<BTreeMap<String, bool>>,
    news: Sender<News>,
}

/// Nobody takes callbacks any more: the process has to end.
#[derive(Clone, Copy, Debug)]
pub struct WorkerGone;

impl Bells {
    fn new(config: &Config, news: Sender<News>) -> Bells {
        let bells = Bells {
            rung: Mutex::default(),
            news,
        };
        bells.set(config);
        bells
    }

    /// OPAL called back for a source; whether there is one of this id.
    ///
    /// # Errors
    ///
    /// Where the worker is gone.
    pub fn ring(&self, source: &str) -> Result<bool, WorkerGone> {
        match self.rung().get_mut(source) {
            None => return Ok(false),
            Some(rung) if *rung => return Ok(true),
            Some(rung) => *rung = true,
        }
        let callback = News::Callback(source.to_owned());
        self.news
            .send(callback)
            .map(|()| true)
            .map_err(|_| WorkerGone)
    }

    /// OPAL reports a load to a source.
    pub fn report(&self, source: &str, load: Load) {
        // Where the worker is gone, the next callback says so.
        let _ = self.news.send(News::Loaded(source.to_owned(), load));
    }

    /// The worker has heard it.
    fn clear(&self, source: &str) {
        if let Some(rung) = self.rung().get_mut(source) {
            *rung = false;
        }
    }

    /// There are these sources now.
    fn set(&self, config: &Config) {
        let mut rung = self.rung();
        let sources = config.sources.iter().map(|source| source.id.clone());
        *rung = sources
            .map(|id| {
                let has_rung = rung.get(&id).copied().unwrap_or_default();
                (id, has_rung)
            })
            .collect();
    }

    /// It is held for a moment only, never while anybody waits.
    fn rung(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
