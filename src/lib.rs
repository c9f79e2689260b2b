//! optoggles keeps feature flags in step with authorization policy.
//!
//! This is a program: the library only lets its tests and benchmarks in. The modules are listed in the
//! order in which they build on each other; `ARCHITECTURE.md` describes how they work together.

mod address;
mod duration;
mod encoding;
mod file;
mod config;
mod error;
mod json;
mod disk;
mod crew;
mod document;
mod job;
mod check;
mod engine;
mod memory;
mod metrics;
mod audit;
mod http;
mod source;
mod target;
mod peers;
mod status;
mod worker;
mod server;
mod terminal;
mod logging;
mod cli;
mod commands;
mod plan;
mod schedule;
mod secret;
mod users;
#[cfg(test)]
mod tests;

pub use commands::{command_line, run};

/// What `benches/micro.rs` and `tests/it/launchdarkly/any.rs` use without the executable. Not an API.
#[doc(hidden)]
pub mod internals {
    pub use crate::config::Config;
    pub use crate::config::load::load;
    pub use crate::job::{Applied, Edit, What};
    pub use crate::metrics::Metrics;
    pub use crate::peers::catalog;
    pub use crate::plan::{Environment, Observed};
    pub use crate::target::{Evaluations, open};
    pub use crate::users::{Keys, Users};
}
