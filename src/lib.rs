//! optoggles keeps feature flags in step with authorization policy.
//!
//! This is a program; the library is what its tests and measurements need of it. The modules stand in
//! the order in which they build on each other; `ARCHITECTURE.md` describes how they work together.

pub mod address;
pub mod duration;
pub mod config;
mod error;
mod document;
pub mod job;
mod check;
mod engine;
pub mod metrics;
mod http;
mod source;
pub mod target;
mod peers;
pub use peers::catalog;
mod status;
pub mod worker;
pub mod server;
mod terminal;
mod logging;
mod cli;
mod commands;
pub mod plan;
mod schedule;
pub mod secret;
pub mod users;
#[cfg(test)]
mod tests;

pub use commands::{command_line, run};
