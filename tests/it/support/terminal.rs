//! The program at a terminal.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What the program shows in a folder where all that it writes goes to one terminal, and its exit
/// status.
pub(crate) fn on_a_terminal(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> (String, i32) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let side = || {
        let name = name.to_str().unwrap();
        File::options().write(true).open(name).unwrap()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_optoggles"));
    command.args(args).current_dir(folder).env_clear();
    command.envs(env.iter().copied()).stdin(Stdio::null());
    command.stdout(side()).stderr(side());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut shown = Vec::new();
    let mut terminal = File::from(terminal);
    // The end of a terminal is an error of its own.
    if let Err(error) = terminal.read_to_end(&mut shown) {
        assert_ne!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let status = child.wait().unwrap().code().unwrap();
    let shown = String::from_utf8(shown).unwrap().replace("\r\n", "\n");
    (shown, status)
}
