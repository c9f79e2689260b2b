//! SIGHUP: the configuration is read again.

use std::sync::Arc;

use super::{Stop, assignment, complain};
use crate::config::Config;
use crate::config::leaving::left_behind;
use crate::engine::Mode;
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::worker::Assignment;

/// Reads the configuration that is to be used from now on, and says in which mode.
pub(super) type Read<'a> = &'a dyn Fn() -> Result<(Config, Mode), Stop>;

/// The configuration in use, and how to read it again.
pub(super) struct Reload<'a> {
    pub(super) read: Read<'a>,
    pub(super) current: Arc<Config>,
    pub(super) callback_token: Secret,
    pub(super) metrics: Arc<Metrics>,
}

impl Reload<'_> {
    /// What the worker is to do from now on; none where the configuration is refused: then the log
    /// says why, and all goes on as before.
    pub(super) fn run(&mut self) -> Option<Assignment> {
        match self.try_run() {
            Ok(assignment) => Some(assignment),
            Err(stop) => {
                // The log has an event on one line; what to do about it may take more.
                let mut lines = stop.words.trim_end().lines();
                let first = lines.next().unwrap_or_default();
                log::error!("reload refused, the configuration stays as it was: {first}");
                if lines.next().is_some() {
                    complain(&stop.words);
                }
                None
            }
        }
    }

    fn try_run(&mut self) -> Result<Assignment, Stop> {
        let (config, mode) = (self.read)()?;
        let config = Arc::new(config);
        let assignment = assignment(&config, mode, &self.callback_token, &self.metrics)?;
        for words in left_behind(&self.current, &config) {
            log::warn!("{words}");
        }
        let (sources, toggles) = (config.sources.len(), config.toggles.len());
        log::info!("reloaded sources={sources} toggles={toggles}");
        self.current = config;
        Ok(assignment)
    }
}
