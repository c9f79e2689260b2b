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

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    /// Where it is set, this test is what ends the process.
    const ENDS: &str = "OPTOGGLES_TEST_ENDS";

    #[test]
    fn a_panic_in_any_thread_ends_the_process_with_its_message_and_status_1() {
        if std::env::var_os(ENDS).is_some() {
            super::end_on_panic();
            let _ = thread::spawn(|| panic!("something is wrong")).join();
            return;
        }
        let name = thread::current().name().unwrap().to_owned();
        let mut again = Command::new(std::env::current_exe().unwrap());
        let again = again.args(["--exact", &name, "--nocapture"]).env(ENDS, "1");
        let output = again.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("optoggles: internal error: "), "{stderr}");
        assert!(stderr.contains("something is wrong"), "{stderr}");
    }
}
