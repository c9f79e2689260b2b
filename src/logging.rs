//! The log: lines on stderr, with UTC timestamps.

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use crate::terminal::above_last_line;

/// The environment variable that sets the level.
const VARIABLE: &str = "OPTOGGLES_LOG";

/// Starts the log. The level is that of `-q` or `-v`, else that of `$OPTOGGLES_LOG`, else info.
///
/// # Errors
///
/// Where `$OPTOGGLES_LOG` is no level.
pub fn start(quiet: bool, verbose: u8, env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => from_environment(env)?,
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    // The crates below write what they send and receive into the trace, tokens included.
    let others = level.min(LevelFilter::Info);
    let logger = SimpleLogger::new()
        .with_utc_timestamps()
        .with_level(others)
        .with_module_level("optoggles", level);
    log::set_max_level(logger.max_level());
    log::set_boxed_logger(Box::new(AboveLastLine(logger)))
        .map_err(|error| format!("failed to start the log: {error}"))
}

/// The log does not run into the line that a terminal shows last.
struct AboveLastLine(SimpleLogger);

impl Log for AboveLastLine {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            above_last_line(|| self.0.log(record));
        }
    }

    fn flush(&self) {}
}

fn from_environment(env: &dyn Fn(&str) -> Option<String>) -> Result<LevelFilter, String> {
    let Some(text) = env(VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(LevelFilter::Info);
    };
    text.parse().map_err(|_| {
        format!(
            "${VARIABLE} is `{}`, which is no level: use one of off, error, warn, info, debug, trace",
            text.escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_comes_from_the_environment_unless_that_is_wrong() {
        let level = |text: &'static str| from_environment(&move |_| Some(text.to_owned()));
        assert_eq!(level("Debug"), Ok(LevelFilter::Debug));
        assert_eq!(level(""), Ok(LevelFilter::Info));
        let words = "$OPTOGGLES_LOG is `loud`, which is no level: use one of off,";
        assert!(level("loud").unwrap_err().starts_with(words));
    }
}
