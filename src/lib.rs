//! optoggles keeps feature flags in step with authorization policy.
//!
//! It is a program, and this library is its inside. The modules stand in the order in which they
//! build on each other; `ARCHITECTURE.md` tells how they work together.

pub mod address;
pub mod duration;
pub mod config;
pub mod error;
pub mod document;
pub mod job;
pub mod check;
pub mod engine;
pub mod metrics;
pub mod http;
pub mod source;
pub mod target;
pub mod peers;
pub mod status;
pub mod worker;
pub mod server;
pub mod terminal;
pub mod logging;
pub mod cli;
pub mod commands;
pub mod plan;
pub mod schedule;
pub mod secret;
pub mod seconds;
pub mod users;
#[cfg(test)]
mod tests;
