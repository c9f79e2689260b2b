//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::duration::{EXAMPLES, Wrong, parse, parse_or_zero};

/// Above the options that every command has.
const GLOBAL: &str = "Global options";

/// Keeps feature flags in step with authorization policy.
///
/// A rule in OPA names the users that may use a feature; optoggles keeps the feature's toggle on for
/// exactly these users, and follows every change, because the OPAL client calls it back.
#[derive(Debug, Parser)]
#[command(name = "optoggles", version)]
pub struct Cli {
    /// The configuration file [default: $OPTOGGLES_CONFIG, else ./optoggles.toml, else
    /// /etc/optoggles/optoggles.toml]
    #[arg(short, long, value_name = "FILE", global = true, help_heading = GLOBAL)]
    pub config: Option<PathBuf>,
    /// Say more in the log, and in what `sync` prints who comes and goes; twice: everything [default: $OPTOGGLES_LOG, else info]
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the toggles in sync, live: listen for OPAL's callbacks, answer health checks
    Serve,
    /// Sync the toggles from here, without listening
    Sync(Sync),
    /// Check the configuration file
    CheckConfig(CheckConfig),
    /// Print a script with which a shell completes this command line
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// The options of `sync`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("one_pass").args(["once", "dry_run"]).multiple(true))]
pub struct Sync {
    /// One pass, then exit (for cron and CI)
    #[arg(long)]
    pub once: bool,
    /// One pass that only prints what would change
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: exit with status 3 if anything would change
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
    /// Only this toggle; can be given several times
    #[arg(long = "toggle", value_name = "KEY")]
    pub toggles: Vec<String>,
    /// For one pass: start no retry that would come later than this [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = timeout,
          allow_hyphen_values = true, requires = "one_pass")]
    pub timeout: Option<Duration>,
    /// Time between passes [default: resync_interval of the configuration]
    #[arg(long, value_name = "DURATION", value_parser = interval,
          allow_hyphen_values = true, conflicts_with_all = ["once", "dry_run"])]
    pub interval: Option<Duration>,
    /// For one pass: apply what max_removal holds back
    #[arg(long, requires = "one_pass")]
    pub force: bool,
    /// For one pass: how to print what it did [default: human]
    #[arg(long, value_enum, requires = "one_pass")]
    pub format: Option<SyncFormat>,
}

/// The options of `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfig {
    /// Also ask every source and the target, and report each answer; nothing is changed there
    #[arg(long)]
    pub online: bool,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
    /// How to print what is wrong
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The formats of what one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SyncFormat {
    /// A line for each toggle, and a summary
    #[default]
    Human,
    /// One JSON document
    Json,
    /// A table for a comment on a pull request, with who comes and who goes
    Markdown,
}

/// The formats of a report on the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Human,
    /// One JSON document
    Json,
}

/// Zero means no wait: the first attempt only.
fn timeout(text: &str) -> Result<Duration, String> {
    parse_or_zero(text).map_err(explain)
}

fn interval(text: &str) -> Result<Duration, String> {
    parse(text).map_err(explain)
}

fn explain(wrong: Wrong) -> String {
    format!("it {wrong}; write a number and its unit, such as {EXAMPLES}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn refused(arguments: &[&str]) -> String {
        let line = ["optoggles", "sync"].iter().chain(arguments);
        Cli::try_parse_from(line).unwrap_err().to_string()
    }

    #[test]
    fn a_duration_that_cannot_be_used_is_answered_with_what_to_write() {
        assert!(Cli::try_parse_from(["optoggles", "sync", "--once", "--timeout", "0s"]).is_ok());
        for (wrong, words) in [
            ("90", "it is not a duration; write a number and its unit"),
            (
                "-1s",
                "it is not a duration; write a number and its unit, such as 30s",
            ),
            ("2y", "it is neither 0s nor between 1ms and 1 year; write"),
            (
                "18446744073709551615s 1000ms",
                "it is neither 0s nor between",
            ),
        ] {
            let said = refused(&["--timeout", wrong]);
            assert!(said.contains(words), "{said}");
        }
        for wrong in ["0s", "1ns"] {
            let said = refused(&["--interval", wrong]);
            assert!(
                said.contains("it is not between 1ms and 1 year; write"),
                "{said}"
            );
        }
    }
}
