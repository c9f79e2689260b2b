//! `optoggles completions`: scripts for shells.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{Exit, Stop, print};
use crate::cli::Cli;

/// Prints the script for a shell.
pub(super) fn run(shell: Shell) -> Result<Exit, Stop> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
