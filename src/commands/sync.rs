//! `optoggles sync`: one pass, or a pass every interval, without listening.

pub(super) mod report;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::machine::{Machine, Signals};
use super::{Again, Exit, Stop, complain, print, print_briefly};
use crate::cli::{Sync, SyncFormat};
use crate::config::Config;
use crate::engine::{Engine, Mode};
use crate::secret::Secret;
use crate::terminal::is_colourful;
use report::Report;

/// The default of `--timeout`.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Syncs as the options say; `again` reads the configuration again.
pub(super) fn run(
    config: Config,
    signals: Signals,
    again: Again,
    options: &Sync,
    verbose: bool,
) -> Result<Exit, Stop> {
    let start = Instant::now();
    let choice = options.clone();
    let chosen = move |config: Config| {
        // A pass that is followed by others could not say that there is no such toggle.
        let config = config.only(&choice.toggles, choice.force, choice.interval.is_none());
        let config = config.map_err(Stop::invalid)?;
        if let Some(target) = config.targets.iter().find(|it| it.kind.is_served) {
            return Err(Stop::invalid(format!(
                "sync cannot keep toggles of target {} (type {}), which only serve holds: use serve, or \
                 select those of other targets with --toggle TARGET/KEY",
                target.id, target.kind.peer.name
            )));
        }
        let mode = mode(&choice, start);
        let until = match mode {
            Mode::Once { until, .. } => Some(until),
            Mode::Serve | Mode::Sync { .. } => None,
        };
        Ok((Config { until, ..config }, mode))
    };
    let (config, mode) = chosen(config)?;
    let config = Arc::new(config);
    // Nothing calls back, so the token is never used.
    let machine = Machine::new(Arc::clone(&config), mode, Secret::new(""), signals)?;
    let end = machine.run(Arc::new(move || chosen(again()?)), || {})?;
    if let Err(words) = &end.audited {
        complain(&format!("error: {words}"));
    }
    let Mode::Once { dry_run, .. } = mode else {
        log::info!("stopped");
        return Ok(match end.audited {
            Ok(()) => Exit::Done,
            Err(_) => Exit::Failed,
        });
    };
    let report = Report::new(&end.engines, dry_run, verbose, start.elapsed());
    let words = match options.format.unwrap_or_default() {
        SyncFormat::Human => report.human(is_colourful(&io::stdout())),
        SyncFormat::Json => {
            serde_json::to_string_pretty(&report).map_err(Stop::failed_to("write the report"))?
        }
        SyncFormat::Markdown => report.markdown(),
    };
    match end.is_stopped {
        true => print_briefly(words)?,
        false => print(&words)?,
    }
    if !(end.is_stopped || report.has_errors()) {
        let wrong = misnamed(&end.engines);
        if !wrong.is_empty() {
            return Err(Stop::invalid(wrong.join("\n")));
        }
    }
    Ok(if report.has_failures() || end.audited.is_err() {
        Exit::Failed
    } else if options.exit_code && report.has_differences() {
        Exit::Differences
    } else {
        Exit::Done
    })
}

/// What to say of names that neither the configuration has nor toggles to retire, which the last engine has.
pub(super) fn misnamed(engines: &[Engine]) -> Vec<&str> {
    let ends = engines.first().zip(engines.last());
    ends.map_or_else(Vec::new, |(first, last)| {
        first.config().misnamed(last.config())
    })
}

fn mode(options: &Sync, now: Instant) -> Mode {
    match options.interval {
        Some(interval) => Mode::Sync { interval },
        None => Mode::Once {
            until: now + options.timeout.unwrap_or(TIMEOUT),
            dry_run: options.dry_run,
            force: options.force,
        },
    }
}
