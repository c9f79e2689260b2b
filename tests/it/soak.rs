//! `soak [SECONDS] [RATE]`: so many callbacks a second, each with a change of the policy, while one
//! request in a hundred to OPAL, OPA and the target goes wrong. The daemon must not grow, and in the
//! end the target must be what the policy says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that fails should fail loudly, where it stands"
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "the harness serves the integration tests in the first place"
)]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossbeam_channel::tick;

use support::program::Daemon;
use support::usage::Usage;
use support::{Fault, Server, World};

const TOGGLES: [&str; 5] = ["ada", "bea", "cleo", "dora", "eva"];

/// Rows of the table: the first is the warm-up, the second is compared with the last.
const ROWS: u32 = 10;

/// Requests in flight, and connections kept for the next ones, come and go; what grows by more than
/// this grows for ever.
const FLUCTUATION: usize = 16;

/// After the faults have ended: longer than the longest pause between two attempts.
const RECOVERY: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let argument = |n: usize, default: u32| {
        let given = std::env::args().nth(n);
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    let (seconds, rate) = (argument(1, 600), argument(2, 100));
    let mut soak = Soak::start();
    let rows = soak.run(Duration::from_secs(seconds.into()), rate);
    let complaints = [grown(&rows), soak.recover()].concat();
    for complaint in &complaints {
        println!("FAILED: {complaint}");
    }
    match complaints.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

struct Soak {
    world: World,
    daemon: Daemon,
    callbacks: usize,
}

/// The most that was taken within a part of the time.
#[derive(Clone, Copy, Default)]
struct Row {
    resident: u64,
    descriptors: usize,
    threads: usize,
}

impl Soak {
    fn start() -> Soak {
        let world = World::of(&TOGGLES)
            .readable()
            .setting("http_timeout = \"1s\"")
            .setting("resync_interval = \"30s\"")
            .build();
        for key in TOGGLES {
            world.opa.allow(key, &["ann"]);
        }
        let daemon = world.serve_in_step();
        for server in Soak::servers(&world) {
            server.remember(1000);
            for (one_in, fault) in faults() {
                server.sometimes(one_in, "*", fault);
            }
        }
        Soak {
            world,
            daemon,
            callbacks: 0,
        }
    }

    fn servers(world: &World) -> [&Server; 3] {
        [&world.opal.http, &world.opa.http, &world.store.http]
    }

    /// Calls back at this rate, and prints a row after each part of the time.
    fn run(&mut self, time: Duration, rate: u32) -> Vec<Row> {
        println!(
            "seconds  callbacks  to OPAL  to OPA  to target  resident kB  descriptors  threads"
        );
        let start = Instant::now();
        let turn = tick(Duration::from_millis(10));
        (1..=ROWS)
            .map(|number| {
                let mut row = Row::default();
                while start.elapsed() < time * number / ROWS {
                    turn.recv().expect("it never ends");
                    // Where the machine was busy with something else, it is caught up with.
                    let due = start.elapsed().as_secs_f64() * f64::from(rate);
                    (self.callbacks..due as usize).for_each(|_| self.change());
                    row.note(Usage::of(&self.daemon.process));
                }
                self.print(start.elapsed(), row);
                row
            })
            .collect()
    }

    /// The policy changes for one toggle, and OPAL calls back.
    fn change(&mut self) {
        let key = TOGGLES[self.callbacks % TOGGLES.len()];
        let users: Vec<String> = (0..20)
            .map(|n| format!("user-{:04}", (self.callbacks * 31 + n * 17) % 1000))
            .collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        self.world.change(key, &users);
        self.callbacks += 1;
    }

    fn print(&self, time: Duration, row: Row) {
        let [opal, opa, target] = Soak::servers(&self.world).map(Server::total);
        println!(
            "{:7}  {:9}  {opal:7}  {opa:6}  {target:9}  {:11}  {:11}  {:7}",
            time.as_secs(),
            self.callbacks,
            row.resident,
            row.descriptors,
            row.threads
        );
    }

    /// Ends the faults; complains of toggles that do not get what the policy says.
    fn recover(&self) -> Vec<String> {
        for server in Soak::servers(&self.world) {
            server.heal();
        }
        let start = Instant::now();
        let differs = |key: &&str| self.world.store.users(key) != Some(self.world.opa.users(key));
        let well = || !TOGGLES.iter().any(differs) && self.daemon.health() == 200;
        if self.world.stage.wait(RECOVERY, well) {
            println!(
                "in step {:.1} s after the last fault",
                start.elapsed().as_secs_f64()
            );
        }
        let late = TOGGLES.into_iter().filter(|key| differs(key));
        let late = late.map(|key| format!("{key} has not got what the policy says"));
        let ill = (self.daemon.health() != 200).then(|| "/health is not 200".to_owned());
        late.chain(ill).collect()
    }
}

impl Row {
    fn note(&mut self, usage: Usage) {
        self.resident = self.resident.max(usage.resident);
        self.descriptors = self.descriptors.max(usage.descriptors);
        let crews = usage.request_threads + usage.connection_threads;
        self.threads = self.threads.max(usage.threads + crews);
    }
}

/// What can go wrong with a request, and with one in how many: together with one in a hundred. After
/// the third it is not known whether it was done.
fn faults() -> [(usize, Fault); 5] {
    [
        (461, Fault::status(503)),
        (479, Fault::Reset),
        (499, Fault::Delay(Duration::from_millis(1500))),
        (521, Fault::Truncate),
        (541, Fault::Close),
    ]
}

/// What the last part of the time took more than the first one after the warm-up.
fn grown(rows: &[Row]) -> Vec<String> {
    let (warm, end) = (rows[1], rows[rows.len() - 1]);
    let grows = [
        (
            "memory",
            end.resident > warm.resident + warm.resident / 10 + 1024,
        ),
        (
            "descriptors",
            end.descriptors > warm.descriptors + FLUCTUATION,
        ),
        ("threads", end.threads > warm.threads + FLUCTUATION),
    ];
    let grown = grows.into_iter().filter(|(_, grows)| *grows);
    grown
        .map(|(what, _)| format!("{what} have grown"))
        .collect()
}
