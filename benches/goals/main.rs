//! `goals [RUNS] [--write] [GROUP…]`: measures the release executable against stand-ins on loopback, and
//! prints a table. The stand-ins share the processors: the floor is what they and the loopback take for the
//! same bytes without the program. Fails where a ratio to the floor is worse by more than a third than the one
//! in `benches/goals.toml`; with `--write`, writes that file instead.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that fails should fail loudly, where it stands"
)]

mod daemon;
mod floor;
mod peer;
mod platform;
mod rows;
mod table;
mod wire;
mod world;
mod written;

use std::process::ExitCode;
use std::thread;

/// The default number of runs.
const RUNS: usize = 5;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let writes = args.iter().any(|arg| arg == "--write");
    // `cargo bench` adds arguments that begin with dashes.
    args.retain(|arg| !arg.starts_with('-'));
    let given = args.first().and_then(|arg| arg.parse().ok());
    let names = &args[usize::from(given.is_some())..];
    let all = names.is_empty();
    assert!(all || !writes, "only all rows together can be written down");
    let (runs, cores) = (given.unwrap_or(RUNS), thread::available_parallelism());
    println!(
        "Medians of {runs} runs (lowest–highest) on {} cores.\n",
        cores.map_or(1, usize::from)
    );
    println!("{}", table::head());
    let mut ratios = Vec::new();
    for (name, measure) in rows::ALL {
        if !all && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        for row in measure(runs) {
            println!("{}", table::show(&row));
            ratios.extend(row.ratio().map(|ratio| (row.what, ratio)));
        }
    }
    if writes {
        written::write(&ratios);
        return ExitCode::SUCCESS;
    }
    let complaints = written::complaints(&ratios, &written::read(), all);
    println!();
    complaints.iter().for_each(|it| eprintln!("{it}"));
    ExitCode::from(u8::from(!complaints.is_empty()))
}
