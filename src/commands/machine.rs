//! Runs the worker until a signal stops it, and reloads the configuration on SIGHUP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::SignalsInfo;

use super::{Exit, PATIENCE, Stop, complain};
use crate::audit::Audit;
use crate::config::Config;
use crate::config::{left_behind, load::FIRST_LIMIT};
use crate::disk::Disk;
use crate::engine::{Engine, Mode};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::secret::Secret;
use crate::status::{Clocks, Status};
use crate::target::Evaluations;
use crate::worker::{Assignment, Notifier, Order, Orders, Worker};

/// SIGTERM, SIGINT and SIGHUP, heard from the moment this is made, whatever the other threads wait for.
pub(super) struct Signals {
    heard: SignalsInfo,
    /// Before the worker runs, there is nothing to end in order: SIGTERM and SIGINT end the process.
    is_starting: Arc<AtomicBool>,
    /// Set by the first SIGTERM or SIGINT: the second ends the process.
    is_stopping: Arc<AtomicBool>,
}

impl Signals {
    /// `exit` is for a process that is stopped before it has begun.
    pub(super) fn hear(exit: Exit) -> Result<Signals, Stop> {
        let is_starting = Arc::new(AtomicBool::new(true));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let register = || -> io::Result<SignalsInfo> {
            for signal in [SIGTERM, SIGINT] {
                let ends = [(exit, &is_starting), (Exit::Failed, &is_stopping)];
                for (exit, condition) in ends {
                    let condition = Arc::clone(condition);
                    flag::register_conditional_shutdown(signal, exit as i32, condition)?;
                }
                // After the others, which are called in this order.
                flag::register(signal, Arc::clone(&is_stopping))?;
            }
            SignalsInfo::new([SIGTERM, SIGINT])
        };
        Ok(Signals {
            heard: register().map_err(Stop::failed_to("listen for signals"))?,
            is_starting,
            is_stopping,
        })
    }

    /// A reload can follow: SIGHUP no longer ends the process.
    pub(super) fn and_reloads(self) -> Result<Signals, Stop> {
        let added = self.heard.add_signal(SIGHUP);
        added.map_err(Stop::failed_to("listen for signals"))?;
        Ok(self)
    }
}

/// A worker that has not started, and what the other threads share with it.
pub(super) struct Machine {
    pub(super) status: Arc<Status>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) worker: Worker,
    pub(super) evaluations: Arc<Evaluations>,
    audit: Arc<Audit>,
    http_timeout: Duration,
    signals: Signals,
    reloads: Reloads,
}

/// What is left when the worker has ended.
pub(super) struct End {
    /// One after the other.
    pub(super) engines: Vec<Engine>,
    /// By a signal.
    pub(super) is_stopped: bool,
    /// Fails where lines of the audit log were not written.
    pub(super) audited: Result<(), String>,
}

/// Reads the configuration again.
pub(super) type Read = Arc<dyn Fn() -> Result<(Config, Mode), Stop> + Send + Sync>;

/// How much longer a reload may take than to read its files.
const MORE: Duration = Duration::from_secs(5);

/// How many reloads may hang at a file system before a further one waits for them.
const HANGING: usize = 32;

/// What a reload needs. It has a thread of its own, since a file can be slow to read, or hang.
struct Reloads {
    config: Arc<Config>,
    disk: Disk,
    callback_token: Secret,
    metrics: Arc<Metrics>,
    evaluations: Arc<Evaluations>,
    orders: Orders,
    notifier: Notifier,
    is_stopping: Arc<AtomicBool>,
}

impl Machine {
    pub(super) fn new(
        config: Arc<Config>,
        mode: Mode,
        callback_token: Secret,
        signals: Signals,
    ) -> Result<Machine, Stop> {
        let metrics = Metrics::new(Clocks::read().wall);
        let metrics = Arc::new(metrics.map_err(Stop::failed_to("set up the metrics"))?);
        let evaluations = Arc::new(Evaluations::new(&metrics));
        let assignment = assign(
            Arc::clone(&config),
            mode,
            &callback_token,
            &metrics,
            &evaluations,
        )?;
        let notifier = match mode {
            // It ends before a service manager could rely on it.
            Mode::Once { .. } => Notifier::default(),
            Mode::Serve | Mode::Sync { .. } => Notifier::new(&|name| std::env::var(name).ok()),
        };
        let status = Arc::new(Status::new(&config, Instant::now()));
        let audit = Audit::start(Arc::clone(&status.audit), Arc::clone(&metrics));
        let audit = audit.map_err(Stop::failed_to("start the thread of the audit log"))?;
        let audit = Arc::new(audit);
        if !matches!(mode, Mode::Once { dry_run: true, .. }) {
            audit.set_path(config.audit_log.as_deref());
        }
        let worker = Worker::new(
            assignment,
            Arc::clone(&status),
            Arc::clone(&metrics),
            Arc::clone(&audit),
            notifier.clone(),
        );
        let worker = worker.map_err(Stop::failed_to("start a request thread"))?;
        let http_timeout = config.http_timeout;
        let disk = Disk::new("configuration".to_owned(), http_timeout, None);
        let reloads = Reloads {
            config,
            disk: disk.at_once(HANGING),
            callback_token,
            metrics: Arc::clone(&metrics),
            evaluations: Arc::clone(&evaluations),
            orders: worker.orders(),
            notifier,
            is_stopping: Arc::clone(&signals.is_stopping),
        };
        Ok(Machine {
            status,
            metrics,
            evaluations,
            audit,
            http_timeout,
            worker,
            signals,
            reloads,
        })
    }

    /// Runs until the worker has finished, or a signal stops it; then calls `on_stop`. A second signal
    /// ends the process at once, also while its result is printed.
    pub(super) fn run(self, read: Read, on_stop: impl FnOnce()) -> Result<End, Stop> {
        let Signals {
            mut heard,
            is_starting,
            is_stopping,
        } = self.signals;
        is_starting.store(false, Relaxed);
        let handle = heard.handle();
        let (orders, notifier) = (self.reloads.orders.clone(), self.reloads.notifier.clone());
        // However many signals come during a reload, they are one more reload.
        let (reload, reloads) = bounded(1);
        let reloading = move || self.reloads.run(&reloads, &read);
        let spawned = thread::Builder::new()
            .name("reload".into())
            .spawn(reloading);
        spawned.map_err(Stop::failed_to("start the thread that reloads"))?;
        // Last, because its requests can use up all threads that the system allows.
        let work = move || {
            let engines = self.worker.run();
            handle.close();
            engines
        };
        let thread = thread::Builder::new().name("worker".into()).spawn(work);
        let thread = thread.map_err(Stop::failed_to("start the worker thread"))?;
        notifier.ready();
        let mut on_stop = Some(on_stop);
        for signal in &mut heard {
            if signal == SIGHUP {
                // Whatever becomes of the reload: it may have been moved.
                self.audit.reopen();
                let _ = reload.try_send(());
            } else if let Some(on_stop) = on_stop.take() {
                log::info!("stopping signal={signal}");
                orders.give(Order::Stop);
                notifier.stopping();
                on_stop();
            }
        }
        let is_stopped = is_stopping.swap(true, Relaxed);
        // A panic in the thread has already ended the process.
        let engines = thread.join();
        let engines = engines.map_err(|_| Stop::new(Exit::Failed, "the worker thread failed"))?;
        let patience = if is_stopped {
            PATIENCE
        } else {
            self.http_timeout
        };
        Ok(End {
            engines,
            is_stopped,
            audited: self.audit.flush(patience),
        })
    }
}

impl Reloads {
    fn run(mut self, signals: &Receiver<()>, read: &Read) {
        for () in signals {
            if self.is_stopping.load(Relaxed) {
                return;
            }
            self.notifier.reloading();
            // Longer than any file of it has, whose own failure says more.
            let limit = FIRST_LIMIT.max(self.config.http_timeout) + MORE;
            self.disk.set_limit(limit);
            let (read, token) = (Arc::clone(read), self.callback_token.clone());
            let metrics = Arc::clone(&self.metrics);
            let evaluations = Arc::clone(&self.evaluations);
            let assigned = self.disk.run(move || {
                let (next, mode) = read()?;
                assign(Arc::new(next), mode, &token, &metrics, &evaluations)
            });
            let assigned = assigned.map_err(Stop::invalid).flatten();
            if self.is_stopping.load(Relaxed) {
                return;
            }
            self.orders.give(reload(&mut self.config, assigned));
            self.notifier.ready();
        }
    }
}

fn assign(
    config: Arc<Config>,
    mode: Mode,
    callback_token: &Secret,
    metrics: &Arc<Metrics>,
    evaluations: &Arc<Evaluations>,
) -> Result<Assignment, Stop> {
    let peers = Peers::new(Arc::clone(&config), callback_token, metrics, evaluations);
    let peers = peers.map_err(Stop::invalid)?;
    let mut sources = peers.terms().sources.into_iter().zip(&config.sources);
    // Standard input cannot change while serving, and is gone after a restart.
    if let Some((_, source)) = sources.find(|(terms, _)| terms.is_read_once)
        && mode == Mode::Serve
    {
        return Err(Stop::invalid(format!(
            "source {} reads standard input (`path = \"-\"`), which serve cannot follow: set \
             `path` to a file, or use sync",
            source.id
        )));
    }
    Ok(Assignment {
        config,
        peers: Arc::new(peers),
        mode,
    })
}

/// Replaces the configuration, or logs why it is rejected.
fn reload(current: &mut Arc<Config>, assigned: Result<Assignment, Stop>) -> Order {
    match assigned {
        Ok(assignment) => {
            for words in left_behind(current, &assignment.config) {
                log::warn!("{words}");
            }
            *current = Arc::clone(&assignment.config);
            let (sources, targets) = (current.sources.len(), current.targets.len());
            let toggles = current.toggles.len();
            log::info!("reloaded sources={sources} targets={targets} toggles={toggles}");
            Order::Reload(assignment)
        }
        Err(stop) => {
            // An event is one line of the log; the help may take more.
            let mut lines = stop.words.trim_end().lines();
            let first = lines.next().unwrap_or_default();
            log::error!("reload rejected, keeping the current configuration: {first}");
            if lines.next().is_some() {
                complain(&stop.words);
            }
            Order::Rejected
        }
    }
}
