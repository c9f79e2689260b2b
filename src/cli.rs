//! The command line.

use std::env;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::config::load;
use crate::duration::{EXAMPLES, Wrong, parse, parse_or_zero};
use crate::peers::catalog;

/// Help heading of the options that every command has.
const GLOBAL: &str = "Global options";

/// The version, and the commit if the build says so (Makefile, Dockerfile).
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("OPTOGGLES_COMMIT").filter(|commit| !commit.is_empty()) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
});

/// Keeps feature flags in step with authorization policy.
///
/// A rule in OPA names the users who may use a feature. optoggles keeps the feature's toggle on for
/// exactly those users, and follows every change: the OPAL client calls it back, or it polls OPA.
#[derive(Debug, Parser)]
#[command(name = "optoggles", version = VERSION.as_str())]
pub(crate) struct Cli {
    /// Configuration file [default: $OPTOGGLES_CONFIG, else ./optoggles.toml, else
    /// /etc/optoggles/optoggles.toml]
    #[arg(short, long, value_name = "FILE", global = true, help_heading = GLOBAL)]
    pub config: Option<PathBuf>,
    /// Log more, and list added and removed users in `sync`; twice: log everything [default:
    /// $OPTOGGLES_LOG, else info]
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Log only errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep the toggles in sync: listen for OPAL's callbacks and answer health checks
    Serve,
    /// Sync the toggles in one pass, for cron and CI, or periodically, without listening
    Sync(Sync),
    /// Say why a user has a toggle, or not; changes nothing
    Explain(Explain),
    /// Check the configuration file
    CheckConfig(CheckConfig),
    /// Write a first configuration file
    Init(Init),
    /// Print a shell completion script
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Sync {
    /// Run one pass and exit, which is the default
    #[arg(long)]
    pub once: bool,
    /// Only print what would change
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: exit with status 3 if anything would change
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
    /// Sync only this toggle; can be repeated
    #[arg(long = "toggle", value_name = "[TARGET/]KEY", add = toggle_names())]
    pub toggles: Vec<String>,
    /// Start no retry after this time [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = timeout, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,
    /// Run a pass at this interval, and do not exit
    #[arg(long, value_name = "DURATION", value_parser = interval, allow_hyphen_values = true,
          conflicts_with_all = ["once", "dry_run", "timeout", "force", "format"])]
    pub interval: Option<Duration>,
    /// Apply what max_removal holds back
    #[arg(long)]
    pub force: bool,
    /// Output format [default: human]
    #[arg(long, value_enum)]
    pub format: Option<SyncFormat>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Explain {
    /// The toggle
    #[arg(value_name = "[TARGET/]TOGGLE", add = toggle_names())]
    pub toggle: String,
    /// The user's key, as the rule has it
    #[arg(allow_hyphen_values = true, value_parser = user)]
    pub user: String,
    /// Start no retry after this time [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = timeout, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct CheckConfig {
    /// Also query every source and target; changes nothing
    #[arg(long)]
    pub online: bool,
    /// Accept references to variables and files that are not there, to check without secrets
    #[arg(long, conflicts_with = "online")]
    pub allow_unset: bool,
    /// Treat warnings as errors
    #[arg(long)]
    pub strict: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Init {
    /// Where the users of toggles come from
    #[arg(long, value_name = "TYPE", value_parser = sources(), default_value = "opal")]
    pub source: String,
    /// What holds the toggles
    #[arg(long, value_name = "TYPE", value_parser = targets())]
    pub target: String,
    /// Write to this file, which must not exist yet [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Output formats of one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncFormat {
    /// A line for each toggle and a summary
    #[default]
    Human,
    /// One JSON document
    Json,
    /// A table of added and removed users, for a pull request comment
    Markdown,
}

/// Output formats of a report on the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    #[default]
    Human,
    /// One JSON document
    Json,
}

/// Completes a toggle from the configuration file that the line names, else from the usual one.
fn toggle_names() -> ArgValueCandidates {
    // What a shell would not read as it stands is not offered: bash takes it as it is.
    let is_plain = |name: &String| {
        let is_of_word = |c: char| c.is_alphanumeric() || "-_./".contains(c);
        let is_first = |c: char| c.is_alphanumeric() || c == '_';
        name.starts_with(is_first) && name.chars().all(is_of_word)
    };
    ArgValueCandidates::new(move || {
        let line = env::args_os().skip_while(|arg| arg != "--").skip(1);
        let line = Cli::command()
            .ignore_errors(true)
            .try_get_matches_from(line);
        let line = line.ok();
        let file = line
            .as_ref()
            .and_then(|line| line.get_one::<PathBuf>("config"));
        let names = load::toggle_names(file.map(PathBuf::as_path), &|name| env::var(name).ok());
        let names = names.into_iter().flatten().filter(is_plain);
        names.map(CompletionCandidate::new).collect()
    })
}

fn sources() -> PossibleValuesParser {
    catalog()
        .sources
        .iter()
        .map(|it| it.name)
        .collect::<Vec<_>>()
        .into()
}

fn targets() -> PossibleValuesParser {
    catalog()
        .targets
        .iter()
        .map(|it| it.peer.name)
        .collect::<Vec<_>>()
        .into()
}

/// Zero allows only the first attempt.
fn timeout(text: &str) -> Result<Duration, String> {
    parse_or_zero(text).map_err(help)
}

fn interval(text: &str) -> Result<Duration, String> {
    parse(text).map_err(help)
}

/// To platforms, the empty key means users who are not signed in.
fn user(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("no user has an empty key"),
        _ => Ok(text.to_owned()),
    }
}

fn help(wrong: Wrong) -> String {
    format!("it {wrong}; write a number and its unit, such as {EXAMPLES}")
}

#[cfg(test)]
mod tests;
