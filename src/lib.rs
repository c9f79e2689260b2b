//! optoggles keeps feature flags in step with authorization policy.
//!
//! It is a program, and this library is its inside. The modules stand in the order in which they
//! build on each other; `ARCHITECTURE.md` tells how they work together.

pub mod address;
pub mod duration;
pub mod config;
mod error;
mod document;
pub mod job;
mod check;
mod engine;
pub mod metrics;
pub mod http;
mod source;
pub mod target;
mod peers;
pub use peers::catalog;
mod status;
pub mod worker;
pub mod server;
pub mod terminal;
pub mod logging;
pub mod cli;
pub mod commands;
pub mod plan;
mod schedule;
pub mod secret;
mod seconds;
pub mod users;
#[cfg(test)]
mod tests;
