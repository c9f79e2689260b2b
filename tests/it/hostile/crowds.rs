//! Many clients at once.

use std::sync::Barrier;
use std::thread;

use crossbeam_channel::{bounded, select, tick};

use super::*;

#[test]
fn five_hundred_connections_that_are_idle_or_begin_a_request() {
    for bytes in ["", "GET /health HTTP/1.1\r\nHo"] {
        withstands(|serving| -> Vec<TcpStream> { (0..500).map(|_| serving.send(bytes)).collect() });
    }
}

/// More than there are places for, so that each has to be taken from another.
#[test]
fn a_hundred_clients_that_send_one_byte_a_second() {
    withstands(|serving| {
        let mut clients: Vec<TcpStream> = (0..100).map(|_| serving.send("G")).collect();
        let (done, end) = bounded::<()>(0);
        thread::scope(|scope| {
            scope.spawn(move || {
                let second = tick(Duration::from_secs(1));
                loop {
                    select! {
                        recv(second) -> _ => {}
                        recv(end) -> _ => return,
                    }
                    // Whoever lost its place comes again.
                    for client in &mut clients {
                        if client.write_all(b"E").is_err() {
                            *client = serving.send("G");
                        }
                    }
                }
            });
            for _ in 0..3 {
                serving.serves();
                serving
                    .world
                    .stays("it serves", || serving.daemon.health() == 200);
            }
            drop(done);
        });
    });
}

#[test]
fn five_clients_that_would_keep_their_connections() {
    const CLIENTS: usize = 5;
    withstands(|serving| {
        let together = Barrier::new(CLIENTS);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    for _ in 0..20 {
                        together.wait();
                        let request = "GET /health/live HTTP/1.1\r\nHost: me\r\n\
                                       Connection: keep-alive\r\n\r\n";
                        let mut client = serving.send(request);
                        let mut answer = [0; 15];
                        client.read_exact(&mut answer).unwrap();
                        assert_eq!(&answer, b"HTTP/1.1 200 OK");
                        // Nobody leaves before all have their answers.
                        together.wait();
                    }
                });
            }
        });
    });
}

#[test]
fn clients_that_reset_their_connections() {
    let half = &LIVE[..30];
    withstands(|serving| {
        for bytes in [
            "",
            half,
            LIVE,
            &serving.callback("Content-Length: 5000\r\n"),
        ]
        .repeat(50)
        {
            let client = serving.send(bytes);
            let now = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&client, now).unwrap();
        }
    });
}

#[test]
fn clients_that_leave_without_their_answers() {
    withstands(|serving| {
        for _ in 0..200 {
            drop(serving.send("GET /status HTTP/1.1\r\nHost: me\r\n\r\n"));
        }
    });
}

#[test]
fn clients_that_do_not_read_their_answers() {
    withstands(|serving| -> Vec<TcpStream> {
        let request = "GET /status HTTP/1.1\r\nHost: me\r\n\r\n";
        (0..200).map(|_| serving.send(request)).collect()
    });
}
