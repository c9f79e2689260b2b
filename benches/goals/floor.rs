//! The same exchanges without the program: the cost of the peers and the loopback.

use std::thread;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::wire::{Connection, request};
use crate::world::{World, users};

/// Persistent connections, such as the program has.
pub(crate) struct Bare<'a> {
    world: &'a World,
    opa: Vec<Connection>,
    target: Connection,
    update: Vec<u8>,
}

impl<'a> Bare<'a> {
    /// Opens this many connections to OPA.
    pub(crate) fn new(world: &'a World, connections: usize) -> Bare<'a> {
        let open = |_| Connection::open(world.opa.address);
        let body = [b"{\"users\":", &*users(world.users), b"}"].concat();
        Bare {
            world,
            update: request("PATCH", "/toggles/toggle-0", "none", &body),
            opa: (0..connections).map(open).collect(),
            target: Connection::open(world.target.address),
        }
    }

    /// A callback, on its own connection as OPAL makes them.
    pub(crate) fn call_back(&self) {
        let body = br#"{"update_id":"39c8","reports":[],"policy_hash":null,"user_data":{}}"#;
        let bytes = request("POST", "/opa_update/main", "none", body);
        exchange(&mut Connection::open(self.world.opal.address), &bytes);
    }

    /// A callback and the queries of a pass.
    pub(crate) fn pass(&mut self) {
        self.call_back();
        if self.world.asks_if_ready {
            self.ask_if_ready();
        }
        let (world, connections) = (self.world, self.opa.len());
        if connections == 1 {
            return ask(&mut self.opa[0], world, 0, 1);
        }
        thread::scope(|scope| {
            for (first, connection) in self.opa.iter_mut().enumerate() {
                scope.spawn(move || ask(connection, world, first, connections));
            }
        });
    }

    /// The same, and the update that it leads to.
    pub(crate) fn change(&mut self) {
        self.pass();
        self.update();
    }

    pub(crate) fn update(&mut self) {
        exchange(&mut self.target, &self.update);
    }

    /// What the program requests at startup, before its first update.
    pub(crate) fn start(&mut self) {
        let mut opal = Connection::open(self.world.opal.address);
        exchange(
            &mut opal,
            &request("GET", "/policy-store/config", "none", b""),
        );
        exchange(&mut opal, &request("POST", "/callbacks", "none", b"{}"));
        self.ask_if_ready();
        ask(&mut self.opa[0], self.world, 0, 1);
        exchange(
            &mut self.target,
            &request("POST", "/toggles", "none", b"{}"),
        );
    }

    fn ask_if_ready(&mut self) {
        for path in ["/v1/data/system/opal/ready", "/metrics"] {
            exchange(&mut self.opa[0], &request("GET", path, "none", b""));
        }
    }
}

/// The CPU time of receiving an answer from OPA, in seconds.
pub(crate) fn cpu_of_query(world: &World) -> f64 {
    let mut connection = Connection::open(world.opa.address);
    let before = cpu();
    exchange(&mut connection, &world.query(0));
    cpu() - before
}

/// How long something takes, in seconds.
pub(crate) fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn ask(connection: &mut Connection, world: &World, first: usize, step: usize) {
    for toggle in (first..world.toggles).step_by(step) {
        exchange(connection, &world.query(toggle));
    }
}

fn exchange(connection: &mut Connection, bytes: &[u8]) {
    let answer = connection.exchange(bytes);
    answer.expect("the peer answers");
}

/// Of this thread, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
