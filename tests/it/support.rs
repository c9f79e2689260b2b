//! What the tests stand on: stand-ins for OPAL, OPA and the target, and a runner of the program.

pub(crate) mod client;
pub(crate) mod daemon;
pub(crate) mod fault;
pub(crate) mod http;
pub(crate) mod launchdarkly;
pub(crate) mod opa;
pub(crate) mod opal;
pub(crate) mod output;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod record;
pub(crate) mod stage;
pub(crate) mod store;
pub(crate) mod terminal;
pub(crate) mod tls;
#[cfg(target_os = "linux")]
pub(crate) mod usage;
pub(crate) mod wire;
pub(crate) mod world;

pub(crate) use fault::{Fault, Hold};
pub(crate) use http::Server;
pub(crate) use stage::Stage;
pub(crate) use wire::Answer;
pub(crate) use world::World;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks also what a failed test left poisoned: the picture of it is wanted then.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `["a", "b"]` as owned strings, to compare with what a stand-in holds.
pub(crate) fn owned(users: &[&str]) -> Vec<String> {
    users.iter().map(|&user| user.to_owned()).collect()
}
