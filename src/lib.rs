//! optoggles keeps feature flags in step with authorization policy.
//!
//! This is a program; the library is what its tests and measurements need of it. The modules stand in
//! the order in which they build on each other; `ARCHITECTURE.md` describes how they work together.

pub mod address;
pub mod duration;
pub mod config;
pub mod error;
pub mod document;
pub mod job;
pub mod engine;
pub mod metrics;
mod http;
pub mod source;
pub mod target;
pub mod peers;
pub mod status;
pub mod worker;
pub mod server;
mod terminal;
mod logging;
mod cli;
mod commands;
pub mod plan;
pub mod schedule;
pub mod secret;
pub mod seconds;
pub mod users;
#[cfg(test)]
mod tests;

pub use commands::{command_line, run};
