//! The feature management platform that holds the toggles.

mod flagd;
mod launchdarkly;
mod restapi;

use std::sync::Arc;

use crate::check::Answers;
use crate::config::{self, Config};
use crate::error::Failure;
use crate::job::{Created, TargetTerms, ToggleId};
use crate::metrics::Requests;
use crate::plan::Observed;
use crate::users::Users;
use flagd::Flagd;
use launchdarkly::LaunchDarkly;
use restapi::RestApi;

/// What came of reading some toggles.
pub type Reads = Vec<(ToggleId, Result<Observed, Failure>)>;

/// Makes the requests to a platform. Each may be repeated, because its outcome can get lost.
///
/// What is observed is what the target said itself when the toggle was read or created, with the users
/// that were sent to it since.
pub trait Target: Send + Sync {
    /// How it wants to be dealt with.
    fn terms(&self) -> TargetTerms;

    /// What the target holds of each of these toggles. Of several, those that it cannot tell of at once
    /// may be left unknown: each of them is then asked for by itself.
    fn read(&self, toggles: &[ToggleId]) -> Reads;

    /// Creates a toggle as its `spec` says; one that is there is left as it is.
    ///
    /// # Errors
    ///
    /// Where the target refuses.
    fn create(&self, toggle: ToggleId) -> Result<Created, Failure>;

    /// Brings a toggle's metadata in line with its `spec`.
    ///
    /// # Errors
    ///
    /// Where the target refuses; 404 where the toggle is not there.
    fn describe(&self, toggle: ToggleId, observed: &Observed) -> Result<(), Failure>;

    /// Turns a toggle on for exactly these users.
    ///
    /// # Errors
    ///
    /// Where the target refuses; 404 where the toggle is not there.
    fn update(
        &self,
        toggle: ToggleId,
        users: &Arc<Users>,
        observed: &Observed,
    ) -> Result<(), Failure>;

    /// Asks the target for all that the configuration takes for granted of it, without writing
    /// anything.
    fn check(&self) -> Answers;
}

/// The target of the configuration; what it is asked is counted in `requests`.
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
