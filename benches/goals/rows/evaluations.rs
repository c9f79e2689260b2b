//! What OpenFeature's SDKs are answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::after;

use super::repeat;
use crate::daemon::Daemon;
use crate::floor::time;
use crate::peer::{Peer, Reply};
use crate::table::{Row, Unit};
use crate::wire::{Connection, request};
use crate::world::{Target, World};

/// Each asks on a connection that it keeps.
const CLIENTS: usize = 4;

/// One flag, and all of a thousand.
pub(crate) fn rates(runs: usize) -> Vec<Row> {
    let world = World::new(Target::OpenFeature, 1000, 100);
    let daemon = world.start();
    let definition = request("GET", "/flagd/flags.json", "none", b"");
    while exchange(&mut daemon.connect(), &definition).0 != 200 {
        let _ = after(Duration::from_millis(10)).recv();
    }
    let row = |what, path, each| {
        let [measured, floor] = rate(runs, &daemon, path, each);
        Row::new(what, "", Unit::PerSecond, measured, floor)
    };
    vec![
        row(
            "evaluations a second, one flag, 4 kept connections",
            "/ofrep/v1/evaluate/flags/toggle-7",
            2000,
        ),
        row(
            "the same, all of 1,000 flags in one answer",
            "/ofrep/v1/evaluate/flags",
            100,
        ),
    ]
}

/// Of the program, and of a peer that answers with as many bytes.
fn rate(runs: usize, daemon: &Daemon, path: &str, each: usize) -> [Vec<f64>; 2] {
    let body = br#"{"context":{"targetingKey":"user-0000007@example.com"}}"#;
    let bytes = request("POST", path, "none", body);
    let (status, length) = exchange(&mut daemon.connect(), &bytes);
    assert_eq!(status, 200, "it evaluates");
    let answer = Arc::new(vec![b' '; length]);
    let peer = Peer::start(move |_| Reply {
        kind: "evaluation",
        status: 200,
        body: Arc::clone(&answer),
    });
    let rate = |address: SocketAddr| {
        let mut clients = repeat(CLIENTS, |_| Connection::open(address));
        let seconds = time(|| {
            thread::scope(|scope| {
                for client in &mut clients {
                    scope.spawn(|| {
                        for _ in 0..each {
                            exchange(client, &bytes);
                        }
                    });
                }
            });
        });
        (CLIENTS * each) as f64 / seconds
    };
    let both = repeat(runs, |_| [daemon.address(), peer.address].map(rate));
    [0, 1].map(|side| both.iter().map(|run| run[side]).collect())
}

fn exchange(connection: &mut Connection, bytes: &[u8]) -> (u16, usize) {
    connection.exchange(bytes).expect("it answers")
}
