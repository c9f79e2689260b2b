//! The integration tests: the real executable against stand-ins on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails should fail loudly, where it stands"
)]

mod support;

mod audit;
mod adapter;
mod check_config_online;
mod check_config_options;
mod check_config;
mod completions;
mod deploy;
mod doors;
mod examples;
mod explain;
mod faults;
mod file_source;
mod flagd;
mod half_a_minute;
#[cfg(target_os = "linux")]
mod hostile;
mod house;
mod init;
mod launchdarkly;
mod limit;
mod man;
mod notify;
mod openfeature;
mod load;
mod log;
mod metrics;
mod readme;
mod reload;
mod secrets;
mod serve;
mod signals;
mod sync;
mod terminal;
mod unleash;
