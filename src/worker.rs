//! The worker thread: it owns the engine, hands out jobs, and is the only one that waits for time.

mod log;
mod systemd;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, Sender, unbounded};

use crate::audit::Audit;
use crate::config::Config;
use crate::crew::Crew;
use crate::engine::{Engine, Event, Mode, Moment};
use crate::job::{Done, Load, SourceId};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::status::{Clocks, Status};
pub(crate) use systemd::Notifier;
use systemd::StatusLine;

/// How long a shutdown waits for requests in flight; the whole of it takes 10 s at most.
const GOODBYE: Duration = Duration::from_secs(7);

/// How long to wait if nothing is due: any long time will do.
const LONG: Duration = Duration::from_secs(3600);

/// Owns all mutable state.
pub(crate) struct Worker {
    pub(crate) callbacks: Arc<PendingCallbacks>,
    current: Generation,
    /// Those before a reload that still have requests in flight.
    former: Vec<Generation>,
    /// The engine of a single pass, while its toggles are retired that have left the configuration.
    finished: Option<Engine>,
    /// Makes the requests; the engine bounds their number.
    requests: Crew,
    sender: Sender<Message>,
    messages: Receiver<Message>,
    /// The end of a shutdown.
    deadline: Option<Instant>,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    audit: Arc<Audit>,
    status_line: StatusLine,
}

/// Gives orders to the worker.
#[derive(Clone)]
pub(crate) struct Orders(Sender<Message>);

impl Orders {
    /// Once the worker has ended, no order is needed.
    pub(crate) fn give(&self, order: Order) {
        let _ = self.0.send(Message::Order(order));
    }
}

pub(crate) enum Order {
    Stop,
    Reload(Assignment),
    /// A reload was rejected: the status says so.
    Rejected,
}

/// What a worker is to do.
#[derive(Clone)]
pub(crate) struct Assignment {
    pub(crate) config: Arc<Config>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) mode: Mode,
}

/// From the other threads. Sources are named by their ids, which outlive a reload.
enum Message {
    Order(Order),
    Callback(String),
    Loaded(String, Load),
    /// A job of the generation with this number has ended.
    Done(u64, Done),
}

impl Worker {
    /// A worker that has not started. `Order::Stop` ends it.
    pub(crate) fn new(
        assignment: Assignment,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
        audit: Arc<Audit>,
        notifier: Notifier,
    ) -> io::Result<Worker> {
        let (sender, messages) = unbounded();
        // Whoever asks from now on is told that users are not known yet.
        assignment.peers.begin();
        Ok(Worker {
            callbacks: Arc::new(PendingCallbacks::new(&assignment.config, sender.clone())),
            current: Generation::first(assignment),
            former: Vec::new(),
            finished: None,
            requests: Crew::new("request", usize::MAX)?,
            sender,
            messages,
            deadline: None,
            status,
            status_line: StatusLine::new(notifier),
            metrics,
            audit,
        })
    }

    pub(crate) fn orders(&self) -> Orders {
        Orders(self.sender.clone())
    }

    /// Runs until it is stopped, or has finished; returns the engines for a report.
    pub(crate) fn run(mut self) -> Vec<Engine> {
        self.current.engine.start(moment());
        loop {
            self.hand_out();
            if let Some(config) = self.current.engine.take_found() {
                self.retire(config);
                continue;
            }
            let ends = |end| self.may_end() || Instant::now() >= end;
            if self.deadline.is_some_and(ends) || self.current.engine.is_finished() {
                return Vec::from_iter(self.finished.into_iter().chain([self.current.engine]));
            }
            let wait = self.time_left();
            self.status.set_next_turn(Instant::now() + wait);
            match self.next_message(wait) {
                Some(message) => self.hear(message),
                None => self.current.engine.handle(Event::Time, moment()),
            }
            self.status.set_next_turn(Instant::now());
            // Results come in bursts: hand out jobs once for all of them.
            while let Ok(message) = self.messages.try_recv() {
                self.hear(message);
            }
        }
    }

    /// None: nothing came in this time.
    ///
    /// Sleeps at once: `recv_timeout` yields first, and where other programs need the cores, that gives them a
    /// turn for each result.
    fn next_message(&self, wait: Duration) -> Option<Message> {
        let mut select = Select::new();
        select.recv(&self.messages);
        let chosen = select.select_timeout(wait).ok()?;
        chosen.recv(&self.messages).ok()
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Order(order) => self.obey(order),
            Message::Callback(source) => {
                // First, so that the next callback is not taken for this one.
                self.callbacks.clear(&source);
                self.tell_source(&source, Event::Callback);
            }
            Message::Loaded(source, load) => {
                self.tell_source(&source, |id| Event::Loaded(id, load))
            }
            Message::Done(number, done) if number == self.current.number => {
                self.current.engine.handle(Event::Done(done), moment());
            }
            Message::Done(number, done) => self.hear_of_old(number, done),
        }
    }

    /// After [`Order::Stop`], no other counts.
    fn obey(&mut self, order: Order) {
        match order {
            _ if self.deadline.is_some() => {}
            Order::Reload(assignment) => {
                self.switch(assignment);
                self.status.note_reload(true);
            }
            Order::Rejected => self.status.note_reload(false),
            Order::Stop => {
                self.deadline = Some(Instant::now() + GOODBYE);
                self.current.engine.handle(Event::Stop, moment());
            }
        }
    }

    fn tell_source(&mut self, id: &str, event: impl FnOnce(SourceId) -> Event) {
        let mut sources = self.current.config.sources.iter();
        if let Some(id) = sources.position(|source| source.id == id) {
            self.current.engine.handle(event(id), moment());
        }
    }

    /// Goes on with the toggles to retire that were found, which `config` has too.
    fn retire(&mut self, config: Config) {
        let Generation {
            mode, ref peers, ..
        } = self.current;
        let is_single = matches!(mode, Mode::Once { .. });
        let config = Arc::new(match is_single {
            true => config.retired_only(),
            false => config,
        });
        let peers = match peers.for_other(Arc::clone(&config)) {
            Ok(peers) => Arc::new(peers),
            Err(error) => return ::log::error!("cannot retire toggles: {error}"),
        };
        let assignment = Assignment {
            config,
            peers,
            mode,
        };
        if !is_single {
            return self.switch(assignment);
        }
        let mut next = Generation::first(assignment);
        next.engine.start(moment());
        self.status
            .show(&next.config, &mut next.engine, Clocks::read());
        self.finished = Some(std::mem::replace(&mut self.current, next).engine);
    }

    /// Continues with another configuration; requests in flight may end.
    fn switch(&mut self, assignment: Assignment) {
        let mut next = self.current.succeed(assignment);
        for older in &self.former {
            next.engine.wait_for(&older.engine);
        }
        self.callbacks.set(&next.config);
        self.audit.set_path(next.config.audit_log.as_deref());
        next.engine.start(moment());
        self.status
            .show(&next.config, &mut next.engine, Clocks::read());
        // Counters of a toggle that the status does not show yet could be dropped.
        next.peers.begin();
        let old = std::mem::replace(&mut self.current, next);
        self.former.push(old);
    }

    /// A job of an earlier generation has ended: later ones may have waited for it.
    fn hear_of_old(&mut self, number: u64, done: Done) {
        let Some(index) = self.former.iter().position(|it| it.number == number) else {
            return;
        };
        let has_left = matches!(done, Done::Leave(..));
        let was_edit = matches!(done, Done::Apply(..));
        let (older, later) = self.former.split_at_mut(index + 1);
        older[index].engine.handle(Event::Done(done), moment());
        if has_left {
            for generation in later.iter_mut().chain([&mut self.current]) {
                generation.engine.handle(Event::Left, moment());
            }
        }
        if was_edit {
            let older = self.former.iter_mut();
            let older = older.map(|generation| &mut generation.engine);
            self.current.engine.go_on(older, moment());
        }
    }

    fn hand_out(&mut self) {
        for generation in self.former.iter_mut().chain([&mut self.current]) {
            while let Some(job) = generation.engine.next_job(moment()) {
                let (number, peers) = (generation.number, Arc::clone(&generation.peers));
                let results = self.sender.clone();
                let perform = move || peers.perform(job);
                self.requests.run_and_tell(perform, move |done| {
                    // Without a worker, nothing needs the result.
                    let _ = results.send(Message::Done(number, done));
                });
            }
            let Generation { engine, config, .. } = generation;
            log::tell(engine, config, &self.metrics, &self.audit);
        }
        self.former
            .retain(|generation| !generation.engine.is_idle());
        let now = Clocks::read();
        self.status.publish(&mut self.current.engine, now);
        self.status_line.update(|| self.status.line(), now.at);
    }

    fn may_end(&self) -> bool {
        let mut all = self.former.iter().chain([&self.current]);
        all.all(|generation| generation.engine.may_end())
    }

    /// How long until something is due.
    fn time_left(&self) -> Duration {
        let now = Instant::now();
        let due = [self.current.engine.next_time(now), self.status_line.due];
        let due = self.deadline.or_else(|| due.into_iter().flatten().min());
        due.map_or(LONG, |due| due.saturating_duration_since(now))
    }
}

/// Now, with a random number that shortens waits.
fn moment() -> Moment {
    // As random as the keys of a hash map, which take no system call for each event.
    let random = RandomState::new().hash_one(());
    Moment {
        at: Instant::now(),
        chance: random as f64 / u64::MAX as f64,
    }
}

struct Generation {
    /// Counts the reloads.
    number: u64,
    config: Arc<Config>,
    peers: Arc<Peers>,
    mode: Mode,
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
            mode: assignment.mode,
        }
    }

    /// The next one, which has not started; this one only ends what it has in flight.
    fn succeed(&mut self, assignment: Assignment) -> Generation {
        let (config, terms) = (Arc::clone(&assignment.config), assignment.peers.terms());
        let mut engine = self.engine.succeed(config, assignment.mode, terms);
        self.engine.hand_over(&mut engine);
        Generation {
            number: self.number + 1,
            config: assignment.config,
            peers: assignment.peers,
            mode: assignment.mode,
            engine,
        }
    }
}

/// Callbacks that the worker has not handled yet: however many come, at most one for each source waits in
/// the channel, and no client waits for the worker.
pub(crate) struct PendingCallbacks {
    /// By the source's id, whether a callback is pending.
    pending: Mutex<BTreeMap<String, bool>>,
    messages: Sender<Message>,
}

/// The worker has ended: so must the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerGone;

impl PendingCallbacks {
    fn new(config: &Config, messages: Sender<Message>) -> PendingCallbacks {
        let callbacks = PendingCallbacks {
            pending: Mutex::default(),
            messages,
        };
        callbacks.set(config);
        callbacks
    }

    /// Notes that OPAL has called back for a source; an unknown id is ignored.
    pub(crate) fn add(&self, source: &str) -> Result<(), WorkerGone> {
        match self.pending().get_mut(source) {
            Some(pending) if !*pending => *pending = true,
            _ => return Ok(()),
        }
        let callback = Message::Callback(source.to_owned());
        self.messages.send(callback).map_err(|_| WorkerGone)
    }

    /// Whether there is a source with this id.
    pub(crate) fn has(&self, source: &str) -> bool {
        self.pending().contains_key(source)
    }

    pub(crate) fn report(&self, source: &str, load: Load) {
        // If the worker has ended, the next callback finds out.
        let _ = self.messages.send(Message::Loaded(source.to_owned(), load));
    }

    /// The worker handles it now.
    fn clear(&self, source: &str) {
        if let Some(pending) = self.pending().get_mut(source) {
            *pending = false;
        }
    }

    /// Forgets sources that are not in the configuration.
    fn set(&self, config: &Config) {
        let mut pending = self.pending();
        let is_pending = |id: &String| pending.get(id).copied().unwrap_or_default();
        let sources = config.sources.iter().map(|source| &source.id);
        *pending = sources.map(|id| (id.clone(), is_pending(id))).collect();
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
