//! `goals [RUNS] [GROUP…]`: measures the release executable against stand-ins on loopback, and prints
//! a table. The stand-ins share the processors: the floor is what they and the loopback take for the
//! same bytes without the program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that fails should fail loudly, where it stands"
)]

mod daemon;
mod floor;
mod peer;
mod rows;
mod table;
mod wire;
mod world;

use std::thread;

/// The default number of runs.
const RUNS: usize = 5;

fn main() {
    // `cargo bench` adds arguments that begin with dashes.
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    args.retain(|arg| !arg.starts_with('-'));
    let given = args.first().and_then(|arg| arg.parse().ok());
    let names = &args[usize::from(given.is_some())..];
    let (runs, cores) = (given.unwrap_or(RUNS), thread::available_parallelism());
    println!(
        "Medians of {runs} runs (lowest–highest) on {} cores.\n",
        cores.map_or(1, usize::from)
    );
    println!("{}", table::head());
    for (name, measure) in rows::ALL {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        for row in measure(runs) {
            println!("{}", table::show(&row));
        }
    }
}
