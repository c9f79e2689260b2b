//! optoggles keeps feature flags in step with authorization policy.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use optoggles::cli::Cli;
use optoggles::commands::{self, Exit};

fn main() -> ExitCode {
    end_on_panic();
    commands::run(&Cli::parse()).into()
}

/// A panic in any thread ends the process: a daemon that is half alive would be the worse one.
fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(std::io::stderr(), "optoggles: internal error: {panic}");
        std::process::exit(Exit::Failed as i32);
    }));
}
