//! Hostile and clumsy clients, at the daemon as a process of its own.
//!
//! Each test is one client, or a crowd of them. While they are there, and when they have gone, the
//! daemon answers and keeps the target in step; afterwards it holds nothing on their account.

mod bodies;
mod crowds;
mod descriptors;
mod heads;
mod kept;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::World;
use crate::support::program::Daemon;
use crate::support::usage::Usage;

/// The promise is a second. Four of them, for a machine that is busy with other tests, are still less
/// than the five for which a client may keep its place: nobody has waited for a client.
const PROMPT: Duration = Duration::from_secs(4);

/// The most memory that it may ever have taken, in kB.
const MEMORY: u64 = 40 * 1024;

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: me\r\n\r\n";

/// The daemon in step with its policy, and what it takes when there is nothing to do.
struct Serving {
    world: World,
    daemon: Daemon,
    authorization: String,
    before: Usage,
    changes: AtomicUsize,
}

/// These clients harm nobody, neither while they are there nor afterwards.
#[track_caller]
fn withstands<T>(clients: impl FnOnce(&Serving) -> T) {
    let serving = Serving::start(None);
    let there = clients(&serving);
    serving.serves();
    drop(there);
    serving.is_as_before();
}

impl Serving {
    /// With few descriptors, where that is said.
    #[track_caller]
    fn start(descriptors: Option<&'static str>) -> Serving {
        // One request at a time to each peer: so the connections that it keeps do not vary.
        let world = World::of(&["us"]).setting("concurrency = 1");
        let mut world = world.and_memory().build();
        if let Some(limit) = descriptors {
            world.program.limit_descriptors(limit);
        }
        world.opa.allow("us", &["ann"]);
        let daemon = world.serve_in_step();
        let serving = Serving {
            authorization: world.opal.authorization(),
            before: Usage::of(&daemon.process),
            changes: AtomicUsize::new(0),
            world,
            daemon,
        };
        serving.serves();
        Serving {
            before: Usage::of(&serving.daemon.process),
            ..serving
        }
    }

    fn usage(&self) -> Usage {
        Usage::of(&self.daemon.process)
    }

    /// Answers at once, and takes a change to the target.
    #[track_caller]
    fn serves(&self) {
        let start = Instant::now();
        assert_eq!(self.daemon.get("/health/live").status, 200);
        let took = start.elapsed();
        assert!(took < PROMPT, "/health/live took {took:?}");
        let user = format!("user-{}", self.changes.fetch_add(1, Ordering::Relaxed));
        self.world.change("us", &[&user]);
        self.world.wait_for_users("us", &[&user]);
        let usage = self.usage();
        assert!(usage.peak < MEMORY, "{usage:?}");
    }

    /// Serves, and what it took on account of clients is free again.
    #[track_caller]
    fn is_as_before(&self) {
        self.serves();
        let before = self.before;
        let what = format!("it takes no more than {before:?}");
        let fits = |usage: Usage| {
            // A thread that still serves a client has its descriptor.
            usage.threads <= before.threads
                && usage.request_threads <= before.request_threads + 1
                && usage.descriptors <= before.descriptors
        };
        self.world.wait_until(&what, || fits(self.usage()));
    }

    /// A client that has sent this.
    #[track_caller]
    fn send(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut client = self.daemon.connect();
        client.write_all(bytes.as_ref()).unwrap();
        client
    }

    /// What a client that sends this reads to the end of its connection.
    #[track_caller]
    fn ask(&self, request: impl AsRef<[u8]>) -> String {
        read(&mut self.send(request)).unwrap()
    }

    /// The head of a callback, with more headers and the blank line.
    fn callback(&self, headers: &str) -> String {
        let authorization = &self.authorization;
        format!(
            "POST /opa_update/main HTTP/1.1\r\nHost: me\r\nAuthorization: {authorization}\r\n\
             {headers}\r\n"
        )
    }
}

fn read(client: &mut TcpStream) -> io::Result<String> {
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

fn status_of(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1);
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}
