//! optoggles keeps feature flags in step with authorization policy.

use std::process::ExitCode;

fn main() -> ExitCode {
    optoggles::run()
}
