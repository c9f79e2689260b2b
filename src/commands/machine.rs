//! Runs the worker until a signal stops it, and reloads the configuration on SIGHUP.

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Exit, Stop, complain};
use crate::config::Config;
use crate::config::left_behind;
use crate::engine::{Engine, Mode};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::secret::Secret;
use crate::status::{Clocks, Status};
use crate::worker::{Assignment, Notifier, Order, Worker};

/// A worker that has not started, and what the other threads share with it.
pub(super) struct Machine {
    pub(super) status: Arc<Status>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) worker: Worker,
    orders: Sender<Order>,
    signals: Signals,
    notifier: Notifier,
    config: Arc<Config>,
    callback_token: Secret,
}

impl Machine {
    pub(super) fn new(
        config: Arc<Config>,
        mode: Mode,
        callback_token: Secret,
    ) -> Result<Machine, Stop> {
        let metrics = Metrics::new(Clocks::read().wall);
        let metrics = Arc::new(metrics.map_err(Stop::failed_to("set up the metrics"))?);
        let assignment = assign(Arc::clone(&config), mode, &callback_token, &metrics)?;
        // A single pass cannot be reloaded, and ends before a service manager could rely on it.
        let (signals, notifier) = match mode {
            Mode::Once { .. } => (Signals::new([SIGTERM, SIGINT]), Notifier::default()),
            Mode::Serve | Mode::Sync { .. } => (
                Signals::new([SIGTERM, SIGINT, SIGHUP]),
                Notifier::new(&|name| std::env::var(name).ok()),
            ),
        };
        let status = Arc::new(Status::new(&config, Instant::now()));
        let (orders, receiver) = unbounded();
        let worker = Worker::new(
            assignment,
            Arc::clone(&status),
            Arc::clone(&metrics),
            notifier.clone(),
            receiver,
        );
        Ok(Machine {
            status,
            metrics,
            worker: worker.map_err(Stop::failed_to("start a request thread"))?,
            orders,
            signals: signals.map_err(Stop::failed_to("listen for signals"))?,
            notifier,
            config,
            callback_token,
        })
    }

    /// Runs until the worker has finished, or a signal stops it; then calls `on_stop`. A second signal
    /// ends the process at once. `read` reads the configuration again.
    pub(super) fn run(
        self,
        read: &dyn Fn() -> Result<(Config, Mode), Stop>,
        on_stop: impl FnOnce(),
    ) -> Result<Engine, Stop> {
        let mut signals = self.signals;
        let handle = signals.handle();
        let work = move || {
            let engine = self.worker.run();
            handle.close();
            engine
        };
        let thread = thread::Builder::new().name("worker".into()).spawn(work);
        let thread = thread.map_err(Stop::failed_to("start the worker thread"))?;
        self.notifier.ready();
        let mut config = self.config;
        let mut on_stop = Some(on_stop);
        for signal in &mut signals {
            if signal == SIGHUP && on_stop.is_some() {
                self.notifier.reloading();
                let assigned = read().and_then(|(next, mode)| {
                    assign(Arc::new(next), mode, &self.callback_token, &self.metrics)
                });
                let order = reload(&mut config, assigned);
                // If the worker has ended, so will this loop.
                let _ = self.orders.send(order);
                self.notifier.ready();
            } else if signal != SIGHUP {
                let Some(on_stop) = on_stop.take() else {
                    process::exit(Exit::Failed as i32);
                };
                log::info!("stopping signal={signal}");
                let _ = self.orders.send(Order::Stop);
                self.notifier.stopping();
                on_stop();
            }
        }
        // A panic in the thread has already ended the process.
        let engine = thread.join();
        engine.map_err(|_| Stop::new(Exit::Failed, "the worker thread failed"))
    }
}

fn assign(
    config: Arc<Config>,
    mode: Mode,
    callback_token: &Secret,
    metrics: &Metrics,
) -> Result<Assignment, Stop> {
    let peers = Peers::new(Arc::clone(&config), callback_token, metrics).map_err(Stop::invalid)?;
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
