//! The feature management platform that holds the toggles.

mod flagd;
mod launchdarkly;
mod restapi;

use std::sync::Arc;

use crate::check::Answers;
use crate::config::{self, Config};
use crate::job::{Applies, Edit, Reads, TargetTerms, ToggleId};
use crate::metrics::Requests;
use flagd::Flagd;
use launchdarkly::LaunchDarkly;
use restapi::RestApi;

/// Makes the requests to a platform. Of a toggle, at most one is under way.
pub trait Target: Send + Sync {
    /// How it is to be dealt with.
    fn terms(&self) -> TargetTerms;

    /// What the target holds of each of these toggles. Of several, those that it cannot tell of at once
    /// may be left unknown: each of them is then asked for by itself.
    fn read(&self, toggles: &[ToggleId]) -> Reads;

    /// Makes edits, of one toggle or of several as its terms say. Where the toggle to describe or to
    /// update is not there, a failure has the status 404.
    fn apply(&self, edits: &[Edit]) -> Applies;

    /// Asks the target for all that the configuration takes for granted of it, without writing
    /// anything.
    fn check(&self) -> Answers;
}

/// The target of the configuration; its requests are counted in `requests`.
///
/// # Errors
///
/// Says what of its configuration cannot be used.
pub fn open(config: &Arc<Config>, requests: Requests) -> Result<Box<dyn Target>, String> {
    match &config.target {
        config::Target::Flagd(flagd) => Ok(Box::new(Flagd::new(flagd, config))),
        config::Target::LaunchDarkly(launchdarkly) => {
            Ok(Box::new(LaunchDarkly::new(launchdarkly, config, requests)?))
        }
        config::Target::RestApi(restapi) => Ok(Box::new(RestApi::new(restapi, config, requests)?)),
    }
}
