//! The commands, and what they share: the log, the configuration, how the program ends.

mod check_config;
mod explain;
mod init;
mod machine;
mod serve;
mod sync;

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use crossbeam_channel::{Receiver, bounded};
use log::LevelFilter;
use signal_hook::consts::SIGXFSZ;

use crate::cli::{self, Cli, Command};
use crate::config::Config;
use crate::config::load::{self, LoadError, Loaded};
use crate::config::report::{Report, Severity};
use crate::error::visible;
use crate::logging::{self, Patient, complain};
use crate::peers::catalog;
use crate::terminal::is_colourful;
use machine::Signals;

/// How the program ends.
#[derive(Clone, Copy)]
enum Exit {
    Done = 0,
    /// A toggle, a source or the target failed, or a change is held back.
    Failed = 1,
    /// The command line or the configuration is invalid.
    Invalid = 2,
    /// `sync --dry-run --exit-code` found differences.
    Differences = 3,
}

/// Why a command ends early.
struct Stop {
    exit: Exit,
    /// What goes before the words; nothing where they are a report, each problem of which starts with it.
    label: &'static str,
    words: String,
}

/// Reads the configuration again.
type Again = Box<dyn Fn() -> Result<Config, Stop> + Send + Sync>;

/// Names the shell for which a command line is to be completed.
const COMPLETE: &str = "OPTOGGLES_COMPLETE";

/// How long a daemon's end waits for a reader of its log.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    end_on_panic();
    // A limit on the size of files is an error of writing then, and not the end of the process.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    let exit = try_run().unwrap_or_else(|stop| {
        complain(&stop.to_string());
        stop.exit
    });
    logging::flush();
    ExitCode::from(exit as u8)
}

/// The command line, for the tests of what describes it.
pub fn command_line() -> clap::Command {
    Cli::command()
}

fn try_run() -> Result<Exit, Stop> {
    let folder = std::env::current_dir().ok();
    let completes = CompleteEnv::with_factory(Cli::command)
        .var(COMPLETE)
        .try_complete(std::env::args_os(), folder.as_deref());
    if completes.map_err(Stop::failed_to("complete the command line"))? {
        return Ok(Exit::Done);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            return Err(Stop {
                label: "",
                ..Stop::invalid(error.render())
            });
        }
        Err(help) => {
            print(&help.render().to_string())?;
            return Ok(Exit::Done);
        }
    };
    // clap finds this conflict only if both are on the same side of the command.
    if cli.quiet && cli.verbose > 0 {
        return Err(Stop::invalid(
            "the argument '--quiet' cannot be used with '--verbose'",
        ));
    }
    let env = |name: &str| std::env::var(name).ok();
    let default = match cli.command {
        // What it prints says the same.
        Command::Explain(_) => LevelFilter::Error,
        _ => LevelFilter::Info,
    };
    let level = logging::level(cli.quiet, cli.verbose, default, &env).map_err(Stop::invalid)?;
    let is_single = |options: &cli::Sync| options.interval.is_none();
    let patience = match &cli.command {
        Command::Serve => PATIENCE,
        Command::Sync(options) if !is_single(options) => PATIENCE,
        // People page through what the other commands print.
        _ => Duration::MAX,
    };
    logging::start(level, patience).map_err(Stop::failed_to("start the log"))?;
    let load = move |file: Option<&Path>| load::load(file, &env, &catalog());
    let quiet = cli.quiet;
    let read = move |file: Option<&Path>| usable(load(file), quiet);
    let again = |file: PathBuf| -> Again { Box::new(move || Ok(read(Some(&file))?.1)) };
    let explicit = cli.config.clone();
    // Where a file system hangs, a signal would not end this thread.
    let read_first = |explicit: Option<PathBuf>| {
        let read = on_thread(move || read(explicit.as_deref()))?;
        // A panic in the thread has already ended the process.
        read.recv()
            .map_err(Stop::failed_to("read the configuration"))?
    };
    match &cli.command {
        Command::Serve => {
            let signals = Signals::hear(Exit::Done)?.and_reloads()?;
            let server = on_thread(serve::Server::start)?;
            let (file, config) = read_first(explicit)?;
            log_start(&file);
            serve::run(config, signals, again(file), &server)
        }
        Command::Sync(options) => {
            let is_single = is_single(options);
            let signals = match is_single {
                true => Signals::hear(Exit::Failed)?,
                false => Signals::hear(Exit::Done)?.and_reloads()?,
            };
            let (file, config) = read_first(explicit)?;
            if !is_single {
                log_start(&file);
            }
            sync::run(config, signals, again(file), options, cli.verbose > 0)
        }
        Command::Explain(options) => {
            let signals = Signals::hear(Exit::Failed)?;
            let (file, config) = read_first(explicit)?;
            explain::run(config, signals, again(file), options)
        }
        Command::CheckConfig(options) => {
            let unset = match options.allow_unset {
                true => Severity::Note,
                false => Severity::Error,
            };
            let loaded = load::load_with(explicit.as_deref(), &env, &catalog(), unset);
            check_config::run(loaded, options)
        }
        Command::Init(options) => init::run(options),
        Command::Completions { shell } => completions(*shell),
    }
}

/// A script that has the shell ask this program for completions.
fn completions(shell: Shell) -> Result<Exit, Stop> {
    const NAME: &str = "optoggles";
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&shell.to_string());
    let written = shell.map(|it| it.write_registration(COMPLETE, NAME, NAME, NAME, &mut script));
    written
        .transpose()
        .map_err(Stop::failed_to("write the script"))?;
    let script = String::from_utf8_lossy(&script);
    let script = script.trim_start();
    print(&match script.starts_with("#compdef") {
        // zsh reads a file of this name at the first completion, and expects it to complete.
        true => format!(
            "{script}\n[ \"$funcstack[1]\" = _{NAME} ] && _clap_dynamic_completer_{NAME} \"$@\"\n"
        ),
        false => script.to_owned(),
    })?;
    Ok(Exit::Done)
}

/// Logs what one asks first after an incident: which version ran, with which file.
fn log_start(file: &Path) {
    let version = env!("CARGO_PKG_VERSION");
    log::info!("started version={version} config={}", file.display());
}

/// The configuration and its file, with the warnings shown.
fn usable(loaded: Result<Loaded, LoadError>, quiet: bool) -> Result<(PathBuf, Config), Stop> {
    match loaded {
        Ok(loaded) => {
            if !quiet && !loaded.warnings.problems.is_empty() {
                complain(&shown(&loaded.warnings));
            }
            Ok((loaded.warnings.file, loaded.config))
        }
        Err(LoadError::Invalid(report)) => Err(Stop {
            label: "",
            ..Stop::invalid(shown(&report))
        }),
        Err(error) => Err(Stop::invalid(error)),
    }
}

/// A report for stderr, coloured if that shows colours.
fn shown(report: &Report) -> String {
    report.render(is_colourful(&io::stderr()))
}

impl Stop {
    fn new(exit: Exit, words: impl ToString) -> Stop {
        let (label, words) = ("error: ", words.to_string());
        Stop { exit, label, words }
    }

    fn invalid(words: impl ToString) -> Stop {
        Stop::new(Exit::Invalid, words)
    }

    fn failed_to<E: fmt::Display>(what: &str) -> impl Fn(E) -> Stop {
        move |error| Stop::new(Exit::Failed, format!("failed to {what}: {error}"))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.label, self.words)
    }
}

/// Writes a command's result to stdout, after what the log has for stderr. A reader that leaves early is not
/// a failure.
fn print(words: &str) -> Result<(), Stop> {
    logging::flush();
    let mut stdout = Patient(io::stdout().lock());
    let written = writeln!(stdout, "{}", visible(words.trim_end())).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Stop::failed_to("write the result")(error))
        }
        _ => Ok(()),
    }
}

/// The same for at most a second: a signal has asked the process to end.
fn print_briefly(words: String) -> Result<(), Stop> {
    logging::set_patience(PATIENCE);
    let printing = on_thread(move || print(&words))?;
    printing.recv_timeout(PATIENCE).unwrap_or(Ok(()))
}

/// Does something that can hang on a thread of its own, while this one can still end the process.
fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Receiver<T>, Stop> {
    let (done, result) = bounded(1);
    let thread = thread::Builder::new().spawn(move || drop(done.send(work())));
    thread.map_err(Stop::failed_to("start a thread"))?;
    Ok(result)
}

/// A panic in any thread ends the process: half a daemon is worse than none.
fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        complain(&format!("optoggles: internal error: {panic}"));
        fail();
    }));
}

/// Ends the process from any thread.
fn fail() -> ! {
    logging::flush();
    process::exit(Exit::Failed as i32)
}

#[cfg(test)]
mod tests;
