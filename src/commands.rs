//! The commands, and what they have in common: start the log, read the configuration, run the
//! worker until a signal comes.

mod check_config;
mod completions;
mod progress;
mod reload;
mod serve;
mod sync;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::config::load::{self, LoadError, Loaded};
use crate::config::report::Report;
use crate::engine::{Engine, Mode};
use crate::logging;
use crate::metrics::Metrics;
use crate::peers::{Peers, catalog};
use crate::secret::Secret;
use crate::status::{Clocks, Status};
use crate::terminal::{above_last_line, is_colourful};
use crate::worker::Notifier;
use crate::worker::{Assignment, Order, PendingCallbacks, Worker};
use progress::Progress;
use reload::Reload;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done = 0,
    /// A toggle, a source or the target failed.
    Failed = 1,
    /// The command line or the configuration is invalid.
    Invalid = 2,
    /// `sync --dry-run --exit-code` found differences.
    Differences = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Runs a command line.
pub fn run(cli: &Cli) -> Exit {
    match try_run(cli) {
        Ok(exit) => exit,
        Err(Stop {
            exit,
            words,
            is_report,
        }) => {
            // As clap begins; a report's problems do so by themselves.
            let prefix = if is_report { "" } else { "error: " };
            complain(&format!("{prefix}{words}"));
            exit
        }
    }
}

/// Why a command cannot go on, in words for the user.
struct Stop {
    exit: Exit,
    words: String,
    /// The words are a report on the configuration.
    is_report: bool,
}

impl Stop {
    fn invalid(words: impl ToString) -> Stop {
        Stop {
            exit: Exit::Invalid,
            words: words.to_string(),
            is_report: false,
        }
    }

    fn reported(report: &Report) -> Stop {
        Stop {
            is_report: true,
            ..Stop::invalid(shown(report))
        }
    }

    fn failed(words: impl ToString) -> Stop {
        Stop {
            exit: Exit::Failed,
            words: words.to_string(),
            is_report: false,
        }
    }
}

fn try_run(cli: &Cli) -> Result<Exit, Stop> {
    if cli.quiet && cli.verbose > 0 {
        // Before and behind a command they are not seen together.
        return Err(Stop::invalid(
            "--quiet and --verbose contradict each other: leave one out",
        ));
    }
    let env = |name: &str| std::env::var(name).ok();
    logging::start(cli.quiet, cli.verbose, &env).map_err(Stop::invalid)?;
    let load = |file: Option<&Path>| load::load(file, &env, &catalog());
    let read = |file: Option<&Path>| usable(load(file), cli.quiet);
    let explicit = cli.config.as_deref();
    match &cli.command {
        Command::Serve => {
            let (file, config) = read(explicit)?;
            say_what_runs(&file);
            serve::run(config, &|| Ok(read(Some(&file))?.1))
        }
        Command::Sync(options) => {
            let (file, config) = read(explicit)?;
            let again = || Ok(read(Some(&file))?.1);
            if !options.once && !options.dry_run {
                say_what_runs(&file);
            }
            sync::run(config, &again, options, cli.verbose > 0)
        }
        Command::CheckConfig(options) => check_config::run(load(explicit), options),
        Command::Completions { shell } => completions::run(*shell),
    }
}

/// The first question after an incident: which program was it, and which file did it take?
fn say_what_runs(file: &Path) {
    let version = env!("CARGO_PKG_VERSION");
    log::info!("started version={version} config={}", file.display());
}

/// The configuration and its file, after its warnings were shown.
fn usable(loaded: Result<Loaded, LoadError>, quiet: bool) -> Result<(PathBuf, Config), Stop> {
    match loaded {
        Ok(loaded) => {
            if !quiet && !loaded.warnings.problems().is_empty() {
                complain(&shown(&loaded.warnings));
            }
            Ok((loaded.file, loaded.config))
        }
        Err(LoadError::Invalid(report)) => Err(Stop::reported(&report)),
        Err(error) => Err(Stop::invalid(error)),
    }
}

/// A report as it goes to stderr, with colours where that has any.
fn shown(report: &Report) -> String {
    match is_colourful(&std::io::stderr()) {
        true => report.colored(),
        false => report.to_string(),
    }
}

/// A worker that has not started, and what it is connected with.
struct Machine {
    worker: Worker,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    callbacks: Arc<PendingCallbacks>,
    signals: Signals,
    orders: Sender<Order>,
    notifier: Notifier,
    mode: Mode,
}

impl Machine {
    /// Puts the parts together for a configuration.
    fn new(config: &Arc<Config>, mode: Mode, callback_token: &Secret) -> Result<Machine, Stop> {
        let metrics = Metrics::new(Clocks::read().wall)
            .map_err(|error| Stop::failed(format!("failed to set up the metrics: {error}")))?;
        let assignment = assignment(config, mode, callback_token, &metrics)?;
        // A single pass has no use for another configuration, and ends with its terminal.
        let heard: &[i32] = match mode {
            Mode::Once { .. } => &[SIGTERM, SIGINT],
            Mode::Serve | Mode::Sync { .. } => &[SIGTERM, SIGINT, SIGHUP],
        };
        let signals = Signals::new(heard)
            .map_err(|error| Stop::failed(format!("failed to listen for signals: {error}")))?;
        // A single pass is over before anybody could rely on it.
        let notifier = match mode {
            Mode::Once { .. } => Notifier::default(),
            Mode::Serve | Mode::Sync { .. } => Notifier::new(&|name| std::env::var(name).ok()),
        };
        let status = Arc::new(Status::new(config, Instant::now()));
        let (orders, receiver) = unbounded();
        let metrics = Arc::new(metrics);
        let worker = Worker::new(
            assignment,
            Arc::clone(&status),
            Arc::clone(&metrics),
            notifier.clone(),
            receiver,
        );
        Ok(Machine {
            callbacks: worker.callbacks(),
            worker,
            status,
            metrics,
            signals,
            orders,
            notifier,
            mode,
        })
    }

    /// Runs until the worker has finished, or a signal stops it; then `on_stop` is called. A second
    /// signal ends the process at once.
    fn run(mut self, mut reload: Reload, on_stop: impl FnOnce()) -> Result<Engine, Stop> {
        let progress = Progress::show(Arc::clone(&self.status), self.mode);
        let handle = self.signals.handle();
        let work = move || {
            let engine = self.worker.run();
            handle.close();
            engine
        };
        let thread = thread::Builder::new().name("worker".into()).spawn(work);
        let thread = thread
            .map_err(|error| Stop::failed(format!("failed to start the worker thread: {error}")))?;
        self.notifier.ready();
        let mut on_stop = Some(on_stop);
        for signal in &mut self.signals {
            if signal == SIGHUP {
                if on_stop.is_some() {
                    self.notifier.reloading();
                    let order = reload.run().map_or(Order::Refused, Order::Reload);
                    // Where nobody listens any more, the worker is ending already.
                    let _ = self.orders.send(order);
                    self.notifier.ready();
                }
                continue;
            }
            let Some(on_stop) = on_stop.take() else {
                std::process::exit(Exit::Failed as i32);
            };
            log::info!("stopping signal={signal}");
            let _ = self.orders.send(Order::Stop);
            self.notifier.stopping();
            on_stop();
        }
        drop(progress);
        // A panic there would have ended the process.
        thread
            .join()
            .map_err(|_| Stop::failed("the worker thread failed"))
    }
}

/// What a worker is to do with a configuration.
fn assignment(
    config: &Arc<Config>,
    mode: Mode,
    callback_token: &Secret,
    metrics: &Metrics,
) -> Result<Assignment, Stop> {
    let peers = Peers::new(Arc::clone(config), callback_token, metrics).map_err(Stop::invalid)?;
    let mut sources = peers.terms().sources.into_iter().zip(&config.sources);
    // After a restart of the daemon, what standard input held is gone.
    match sources.find(|(terms, _)| terms.is_read_once) {
        Some((_, source)) if mode == Mode::Serve => Err(Stop::invalid(format!(
            "source {} reads standard input (`path = \"-\"`), which serve cannot follow: name a \
             file, or use sync",
            source.id
        ))),
        _ => Ok(Assignment {
            config: Arc::clone(config),
            peers: Arc::new(peers),
            mode,
        }),
    }
}

/// Writes to stderr. Where that is closed, there is nobody to tell.
fn complain(words: &str) {
    above_last_line(|| {
        let _ = writeln!(std::io::stderr(), "{}", words.trim_end());
    });
}

/// Writes a command's result to stdout. That nobody reads it to its end is no failure.
fn print(words: &str) -> Result<(), Stop> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", words.trim_end()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Stop::failed(format!("failed to write the result: {error}")))
        }
        _ => Ok(()),
    }
}
