//! How the http thread tells the worker of callbacks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use super::News;
use crate::config::Config;
use crate::job::Load;

/// A bell for each source, which rings once until the worker has heard it: however many callbacks
/// come, at most one for each source waits in the channel, and nobody waits for the worker.
pub struct PendingCallbacks {
    /// By the source's id, whether it has rung.
    rung: Mutex<BTreeMap<String, bool>>,
    news: Sender<News>,
}

/// Nobody takes callbacks any more: the process has to end.
#[derive(Clone, Copy, Debug)]
pub struct WorkerGone;

impl PendingCallbacks {
    pub(super) fn new(config: &Config, news: Sender<News>) -> PendingCallbacks {
        let callbacks = PendingCallbacks {
            rung: Mutex::default(),
            news,
        };
        callbacks.set(config);
        callbacks
    }

    /// OPAL called back for a source; whether there is one of this id.
    ///
    /// # Errors
    ///
    /// Where the worker is gone.
    pub fn ring(&self, source: &str) -> Result<bool, WorkerGone> {
        match self.rung().get_mut(source) {
            None => return Ok(false),
            Some(rung) if *rung => return Ok(true),
            Some(rung) => *rung = true,
        }
        let callback = News::Callback(source.to_owned());
        self.news
            .send(callback)
            .map(|()| true)
            .map_err(|_| WorkerGone)
    }

    /// OPAL reports a load to a source.
    pub fn report(&self, source: &str, load: Load) {
        // Where the worker is gone, the next callback says so.
        let _ = self.news.send(News::Loaded(source.to_owned(), load));
    }

    /// The worker has heard it.
    pub(super) fn clear(&self, source: &str) {
        if let Some(rung) = self.rung().get_mut(source) {
            *rung = false;
        }
    }

    /// There are these sources now.
    pub(super) fn set(&self, config: &Config) {
        let mut rung = self.rung();
        let sources = config.sources.iter().map(|source| source.id.clone());
        *rung = sources
            .map(|id| {
                let has_rung = rung.get(&id).copied().unwrap_or_default();
                (id, has_rung)
            })
            .collect();
    }

    /// It is held for a moment only, never while anybody waits.
    fn rung(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
