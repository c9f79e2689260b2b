//! File descriptors run out and come back, in a process of its own.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines, stdin};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::*;
use crate::server::gate::connections_within;

const NAME: &str = "server::gate::tests::descriptors::the_gate_survives_running_out_of_descriptors";

/// Set in the process whose descriptors run out.
const ROLE: &str = "OPTOGGLES_TEST_STARVES";

/// The other process: it does what it is told in lines, and tells in lines what happens.
struct Starving {
    child: Child,
    orders: ChildStdin,
    news: Lines<BufReader<ChildStdout>>,
}

impl Starving {
    fn new() -> Starving {
        let mut child = Command::new("sh")
            .args([
                "-c",
                "ulimit -n 60 && exec \"$0\" --exact --nocapture \"$1\"",
            ])
            .arg(env::current_exe().unwrap())
            .arg(NAME)
            .env(ROLE, "yes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Starving {
            orders: child.stdin.take().unwrap(),
            news: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// What follows `start` in the next line of news that has it.
    fn news(&mut self, start: &str) -> String {
        for line in &mut self.news {
            if let Some((_, rest)) = line.unwrap().split_once(start) {
                return rest.to_owned();
            }
        }
        panic!("it ended before it said {start:?}");
    }
}

struct Tell;

impl log::Log for Tell {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("log: {}", record.args());
    }

    fn flush(&self) {}
}

/// Opens files until none can be opened any more, then closes so many again.
fn fill_all_but(spare: usize) -> Vec<File> {
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.truncate(files.len() - spare);
    files
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn starve() {
    log::set_logger(&Tell).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let limits = Limits::of_this_process();
    println!("places: {}", limits.connections);
    // Two listeners, the two ends of what wakes the gate, the gate's end of the connection to the
    // server, and the server's, which it holds twice. Not counted when they are there, for threads
    // that start open files for a moment.
    let at_rest = open_descriptors() + 7;
    let fixture = Fixture::new(limits);
    println!("address: {}", fixture.address);
    let mut files = Vec::new();
    for order in stdin().lines().map(Result::unwrap) {
        files.clear();
        if let Some(spare) = order.strip_prefix("all but ") {
            // What answered clients leave behind is closed a moment after they have gone.
            while open_descriptors() > at_rest {
                thread::yield_now();
            }
            files = fill_all_but(spare.parse().unwrap());
        }
        println!("done: {}", files.len());
    }
}

#[test]
fn the_gate_survives_running_out_of_descriptors() {
    if env::var_os(ROLE).is_some() {
        return starve();
    }
    let mut other = Starving::new();
    assert_eq!(other.news("places: "), "7");
    let address = other.news("address: ").parse().unwrap();
    let ask = || {
        let mut client = connect(address).unwrap();
        client.write_all(GET.as_bytes()).unwrap();
        client
    };
    assert_eq!(status(&read(&mut ask()).unwrap()), "200");

    other.order("all but 0");
    other.news("done: ");
    let mut waiting = ask();
    other.news("log: cannot accept connections");
    other.order("free all");
    other.news("done: 0");
    assert_eq!(status(&read(&mut waiting).unwrap()), "200");
    drop(waiting);

    // Enough for one client: to answer it takes no more.
    other.order("all but 1");
    other.news("done: ");
    assert_eq!(status(&read(&mut ask()).unwrap()), "200");
    other.order("free all");
    other.news("done: 0");
    assert_eq!(status(&read(&mut ask()).unwrap()), "200");

    let Starving {
        mut child, orders, ..
    } = other;
    drop(orders);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_number_of_connections_follows_the_limit_of_descriptors() {
    for (descriptors, connections) in [(0, 1), (64, 8), (288, 64), (1024, 248)] {
        assert_eq!(connections_within(descriptors), connections);
    }
}
