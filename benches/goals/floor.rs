//! The same exchanges without the program: the cost of the peers and the loopback.

use std::iter;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::wire::{Connection, request};
use crate::world::{Scene, World, users};

/// The default of `concurrency`: how many requests at once a peer gets.
pub(crate) const AT_ONCE: usize = 8;

/// Persistent connections, such as the program has, and what it sends over them.
pub(crate) struct Bare<'a> {
    world: &'a World,
    opa: Vec<Connection>,
    target: Vec<Connection>,
    queries: Vec<Vec<u8>>,
    update: Vec<u8>,
}

impl<'a> Bare<'a> {
    pub(crate) fn new(world: &'a World) -> Bare<'a> {
        let Scene {
            toggles,
            rules,
            users: [_, altered],
            ..
        } = world.scene;
        let open = |peer, count: usize| {
            let connections = 0..count.min(AT_ONCE);
            connections.map(|_| Connection::open(peer)).collect()
        };
        let query = |rule| {
            request(
                "GET",
                &format!("/v1/data/app/rbac/rule_{rule}"),
                "none",
                b"",
            )
        };
        let body = [b"{\"users\":", &*users(altered), b"}"].concat();
        Bare {
            world,
            opa: open(world.opa.address, rules),
            target: open(world.target.address, toggles),
            queries: (0..rules).map(query).collect(),
            update: request("PATCH", "/toggles/toggle-0", "none", &body),
        }
    }

    /// A callback, on its own connection as OPAL makes them.
    pub(crate) fn call_back(&self) {
        let body = br#"{"update_id":"39c8","reports":[],"policy_hash":null,"user_data":{}}"#;
        let bytes = request("POST", "/opa_update/main", "none", body);
        exchange(&mut Connection::open(self.world.opal.address), &bytes);
    }

    /// A callback and the queries of a pass; returns their CPU time on this side, in seconds.
    pub(crate) fn pass(&mut self) -> f64 {
        cpu_of(|| {
            self.call_back();
            if self.world.scene.asks_if_ready {
                self.ask_if_ready();
            }
            spread(&mut self.opa, self.queries.iter());
        })
    }

    /// The same, and so many updates.
    pub(crate) fn change(&mut self, updates: usize) -> f64 {
        let pass = self.pass();
        let updates = iter::repeat_n(&self.update, updates);
        pass + cpu_of(|| spread(&mut self.target, updates))
    }

    /// What the program requests at startup, up to its first update.
    pub(crate) fn start(&mut self) {
        let mut opal = Connection::open(self.world.opal.address);
        let config = request("GET", "/policy-store/config", "none", b"");
        exchange(&mut opal, &config);
        let register = request("POST", "/callbacks", "none", b"{}");
        exchange(&mut opal, &register);
        self.ask_if_ready();
        exchange(&mut self.opa[0], &self.queries[0]);
        let create = request("POST", "/toggles", "none", b"{}");
        exchange(&mut self.target[0], &create);
        exchange(&mut self.target[0], &self.update);
    }

    fn ask_if_ready(&mut self) {
        for path in ["/v1/data/system/opal/ready", "/metrics"] {
            exchange(&mut self.opa[0], &request("GET", path, "none", b""));
        }
    }
}

/// How long something takes, in seconds.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Sends requests over all connections at once, one on each.
fn spread<'a>(connections: &mut [Connection], requests: impl Iterator<Item = &'a Vec<u8>>) {
    let mut requests = requests.peekable();
    while requests.peek().is_some() {
        let asked = connections.iter_mut().zip(&mut requests);
        let asked = asked.map(|(connection, bytes)| {
            connection.send(bytes).expect("the peer is there");
            connection
        });
        for connection in asked.collect::<Vec<_>>() {
            connection.answered().expect("the peer answers");
        }
    }
}

fn exchange(connection: &mut Connection, bytes: &[u8]) {
    let answer = connection.exchange(bytes);
    answer.expect("the peer answers");
}

/// The CPU time of this thread for something, in seconds.
fn cpu_of(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = now();
    work();
    now() - before
}
