//! The feature management platform that holds the toggles.

mod restapi;

use crate::config::{self, Config, Toggle};
use crate::error::Failure;
use crate::job::Created;
use crate::plan::There;
use crate::users::Users;
use restapi::RestApi;

/// Makes the requests to a platform. Each may be repeated, because its outcome can get lost.
pub trait Target: Send + Sync {
    /// Whether [`Target::read`] works.
    fn is_readable(&self) -> bool;

    /// What the target holds of a toggle.
    ///
    /// # Errors
    ///
    /// Where the target does not tell.
    fn read(&self, toggle: &Toggle) -> Result<There, Failure>;

    /// Creates a toggle as its `spec` says; one that is there is left as it is.
    ///
    /// # Errors
    ///
    /// Where the target refuses.
    fn create(&self, toggle: &Toggle) -> Result<Created, Failure>;

    /// Brings a toggle's metadata in line with its `spec`.
    ///
    /// # Errors
    ///
    /// Where the target refuses; 404 where the toggle is not there.
    fn describe(&self, toggle: &Toggle) -> Result<(), Failure>;

    /// Turns a toggle on for exactly these users.
    ///
    /// # Errors
    ///
    /// Where the target refuses; 404 where the toggle is not there.
    fn update(&self, toggle: &Toggle, users: &Users) -> Result<(), Failure>;

    /// Asks the target for all that the configuration takes for granted of it, without writing
    /// anything: what was looked at, in a word or two, and what was found.
    fn check(&self, toggles: &[Toggle]) -> Vec<(String, Result<String, Failure>)>;
}

/// The target of the configuration.
///
/// # Errors
///
/// Says what of its configuration cannot be used.
pub fn open(config: &Config) -> Result<Box<dyn Target>, String> {
    match &config.target {
        config::Target::RestApi(restapi) => Ok(Box::new(RestApi::new(restapi, config)?)),
    }
}
