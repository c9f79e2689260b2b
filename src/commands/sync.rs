//! `optoggles sync`: one pass, or a pass every interval, without listening.

mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reload::Reload;
use super::{Exit, Machine, Stop, print};
use crate::cli::{Sync, SyncFormat};
use crate::config::Config;
use crate::engine::Mode;
use crate::secret::Secret;
use crate::terminal::is_colourful;
use report::Report;

/// For how long retries are begun, unless `--timeout` says.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Syncs as the options say; `again` reads the configuration anew.
pub(super) fn run(
    config: Config,
    again: &dyn Fn() -> Result<Config, Stop>,
    options: &Sync,
    verbose: bool,
) -> Result<Exit, Stop> {
    let start = Instant::now();
    let chosen = |config: Config| config.only(&options.toggles).map_err(Stop::invalid);
    let config = Arc::new(chosen(config)?);
    let mode = mode(&config, options, start)?;
    let read = || {
        let config = chosen(again()?)?;
        let mode = self::mode(&config, options, start)?;
        Ok((config, mode))
    };
    // Nobody calls back, so that no token is needed.
    let token = Secret::new("");
    let machine = Machine::new(&config, mode, &token)?;
    let reload = Reload {
        read: &read,
        current: Arc::clone(&config),
        callback_token: token,
        metrics: Arc::clone(&machine.metrics),
    };
    let engine = machine.run(reload, || {})?;
    let Mode::Once { dry_run, .. } = mode else {
        log::info!("stopped");
        return Ok(Exit::Done);
    };
    let report = Report::new(&config, &engine, dry_run, start.elapsed());
    print(&match options.format.unwrap_or_default() {
        SyncFormat::Human => report.human(verbose, is_colourful(&std::io::stdout())),
        SyncFormat::Json => report.json(verbose),
        SyncFormat::Markdown => report.markdown(),
    })?;
    Ok(if report.has_failures() {
        Exit::Failed
    } else if options.exit_code && report.has_differences() {
        Exit::Differences
    } else {
        Exit::Done
    })
}

fn mode(config: &Config, options: &Sync, now: Instant) -> Result<Mode, Stop> {
    if options.once || options.dry_run {
        return Ok(Mode::Once {
            until: now + options.timeout.unwrap_or(TIMEOUT),
            dry_run: options.dry_run,
            force: options.force,
        });
    }
    let interval = options.interval.or(config.resync_interval);
    let interval = interval.ok_or_else(|| {
        Stop::invalid("resync_interval is 0s: say with --interval how often to sync, or use --once")
    })?;
    Ok(Mode::Sync { interval })
}
