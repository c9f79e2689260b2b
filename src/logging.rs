//! The log: lines on stderr, with UTC timestamps.

use log::LevelFilter;
use simple_logger::SimpleLogger;

/// Starts the log, at the level of `-q` or `-v`, else of `$OPTOGGLES_LOG`, else info.
pub(crate) fn start(
    quiet: bool,
    verbose: u8,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(), String> {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => match env("OPTOGGLES_LOG").filter(|text| !text.is_empty()) {
            Some(text) => text.parse().map_err(|_| {
                format!(
                    "invalid log level `{}` in $OPTOGGLES_LOG: use off, error, warn, info, debug or trace",
                    text.escape_debug()
                )
            })?,
            None => LevelFilter::Info,
        },
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    // At trace, dependencies log what they send and receive, including tokens.
    SimpleLogger::new()
        .with_utc_timestamps()
        .with_level(level.min(LevelFilter::Info))
        .with_module_level("optoggles", level)
        .init()
        .map_err(|error| format!("failed to start the log: {error}"))
}
