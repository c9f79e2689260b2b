//! The gate with a real HTTP server behind it; what clients can do to the whole program is in
//! `tests/it/hostile`.

mod kept;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, unbounded};
use tiny_http::{Method, Response, Server};

use crate::crew::tests::crew;
use crate::metrics::Metrics;
use crate::target::Evaluations;

use super::{CLOSING, Connection, Door, Gate, Hooks, Inner, LINKS, PAUSE, open, places_within};

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(10);

const GET: &str = "GET / HTTP/1.1\r\nHost: me\r\n\r\n";

/// An open gate, and what goes on behind it.
struct Fixture {
    address: SocketAddr,
    gate: Gate,
    /// Hears of each request for `/held`, which is answered when it answers this.
    held: Receiver<Sender<()>>,
    /// The path and the body of each request that was accepted.
    bodies: Receiver<(String, String)>,
}

fn nothing_to_evaluate() -> Arc<Evaluations> {
    Arc::new(Evaluations::new(&Metrics::new(UNIX_EPOCH).unwrap()))
}

impl Fixture {
    fn new(places: usize) -> Fixture {
        Fixture::with(places, places, nothing_to_evaluate())
    }

    /// In a system that allows so many threads for connections.
    fn with(places: usize, threads: usize, evaluations: Arc<Evaluations>) -> Fixture {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (inner, behind) = Inner::bind(|why| panic!("{why}")).unwrap();
        // It cannot be dropped while it listens at a Unix socket without a path: that panics.
        let server = Arc::new(mem::ManuallyDrop::new(
            Server::from_listener(behind, None).unwrap(),
        ));
        let (tell_held, held) = unbounded();
        let answers = Arc::new(AtomicUsize::new(0));
        for _ in 0..LINKS {
            let (server, tell_held) = (Arc::clone(&server), tell_held.clone());
            let answers = Arc::clone(&answers);
            thread::spawn(move || serve(&server, &tell_held, &answers));
        }
        let (tell_body, bodies) = unbounded();
        let hooks = Hooks {
            on_body: Box::new(move |path, body| {
                let mut read = String::new();
                if body.read_to_string(&mut read).is_ok() {
                    let _ = tell_body.send((path.to_owned(), read));
                }
            }),
            ..no_hooks()
        };
        let door = Door::new(places, inner, evaluations, hooks);
        let crew = crew(places, &Arc::new(AtomicUsize::new(threads - 1)));
        let gate = door.open(listener, places, crew).unwrap();
        Fixture {
            address,
            gate,
            held,
            bodies,
        }
    }

    /// A new client that has sent this.
    fn send(&self, request: impl AsRef<[u8]>) -> TcpStream {
        let mut client = connect(self.address).unwrap();
        client.write_all(request.as_ref()).unwrap();
        client
    }

    /// What a client that sends this reads until the gate closes its connection.
    fn ask(&self, request: impl AsRef<[u8]>) -> String {
        read(&mut self.send(request))
    }
}

/// Answers every request, as `server.rs` does; no two reports are the same.
fn serve(server: &Server, held: &Sender<Sender<()>>, answers: &AtomicUsize) {
    while let Ok(request) = server.recv() {
        let number = answers.fetch_add(1, Ordering::SeqCst);
        let answer = match (request.method(), request.url()) {
            (Method::Post, _) => Response::from_string("{}").with_status_code(202),
            (_, "/status") => Response::from_string(format!("{number}").repeat(300_000)),
            (_, "/health") => Response::from_string(format!("{number}")),
            (_, "/held" | "/metrics") => {
                let (release, released) = unbounded();
                held.send(release).unwrap();
                released.recv_timeout(PATIENCE).unwrap();
                Response::from_string("held")
            }
            (method, url) => Response::from_string(format!("{method} {url}")),
        };
        let answer = answer.with_chunked_threshold(usize::MAX);
        request.respond(answer).unwrap();
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let client = TcpStream::connect_timeout(&address, PATIENCE)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    Ok(client)
}

/// Reads until the gate closes the connection; a reset is a failure.
fn read(client: &mut TcpStream) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn post(headers: &str) -> String {
    format!("POST /opa_update/a?b HTTP/1.1\r\nHost: me\r\n{headers}\r\n\r\n")
}

fn no_hooks() -> Hooks {
    Hooks {
        on_head: Box::new(|_| ()),
        on_body: Box::new(|_, _| ()),
    }
}

#[test]
fn a_head_that_just_fits_is_answered() {
    let fixture = Fixture::new(64);
    let rest = "GET / HTTP/1.0\r\nA: \r\n\r\n".len();
    for (wanted, length) in [("200", 8 * 1024), ("431", 8 * 1024 + 1)] {
        let request = format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "a".repeat(length - rest));
        assert_eq!(status(&fixture.ask(request)), wanted);
    }
}

#[test]
fn the_body_of_an_accepted_request_is_passed_on() {
    let fixture = Fixture::new(64);
    // Larger than what may follow an answer.
    let large = "x".repeat(8 << 20);
    for body in ["", "hello", &large] {
        let head = post(&format!("Content-Length: {}", body.len()));
        for (first, second) in [(head.clone() + body, ""), (head.clone(), body)] {
            let mut client = fixture.send(first);
            client.write_all(second.as_bytes()).unwrap();
            let passed = fixture.bodies.recv_timeout(PATIENCE).unwrap();
            assert!(passed == ("/opa_update/a".to_owned(), body.to_owned()));
            assert!(read(&mut client).ends_with("\r\n\r\n{}"));
        }
    }
}

#[test]
fn what_follows_the_body_of_an_accepted_request_is_not_passed_on() {
    let fixture = Fixture::new(64);
    let answer = fixture.ask(post("Content-Length: 5") + "hello" + GET);
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    let (_, body) = fixture.bodies.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body, "hello");
}

#[test]
fn a_client_that_is_being_answered_keeps_its_place() {
    let fixture = Fixture::new(1);
    let mut first = fixture.send("GET /held HTTP/1.0\r\n\r\n");
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    let mut second = fixture.send(GET);
    release.send(()).unwrap();
    assert!(read(&mut first).ends_with("held"));
    assert_eq!(status(&read(&mut second)), "200");
}

#[test]
fn a_client_that_has_just_connected_has_time_to_send_its_request() {
    let fixture = Fixture::new(1);
    let start = Instant::now();
    let mut idle = fixture.send("");
    let mut second = fixture.send(GET);
    assert_eq!(read(&mut idle), "");
    assert!(start.elapsed() >= PAUSE);
    assert_eq!(status(&read(&mut second)), "200");
}

#[test]
fn reads_and_writes_end_in_time_however_they_are_split() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut client = connect(listener.local_addr().unwrap()).unwrap();
    let connection = Connection::new(listener.accept().unwrap().0);
    let time = Duration::from_millis(200);
    let start = Instant::now();
    let writing = thread::spawn(move || while client.write_all(b"x").is_ok() {});
    let error = io::copy(&mut connection.within(time), &mut io::sink()).unwrap_err();
    let late = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
    assert!(late.contains(&error.kind()), "{error}");
    let error = connection
        .within(time)
        .write_all(&vec![b'x'; 8 << 20])
        .unwrap_err();
    assert!(late.contains(&error.kind()), "{error}");
    assert!(start.elapsed() < PATIENCE);
    drop(connection);
    writing.join().unwrap();
}

#[test]
fn a_report_that_takes_long_holds_up_no_callback() {
    let fixture = Fixture::new(64);
    let mut reader = fixture.send("GET /metrics HTTP/1.0\r\n\r\n");
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    assert_eq!(status(&fixture.ask(post("Content-Length: 0"))), "202");
    release.send(()).unwrap();
    assert!(read(&mut reader).ends_with("held"));
}

#[test]
fn a_large_report_is_made_once_for_many_clients_and_a_small_one_for_each() {
    let fixture = Fixture::new(64);
    let different = |path: &str| {
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        let answers: BTreeSet<String> = (0..20).map(|_| fixture.ask(&request)).collect();
        answers.len()
    };
    // One for each second, however slow the machine is.
    let start = Instant::now();
    let made = different("/status") as u64;
    assert!(made <= 1 + start.elapsed().as_secs(), "{made}");
    assert_eq!(different("/health"), 20);
}

#[test]
fn the_number_of_places_follows_the_limit_of_descriptors() {
    for (descriptors, places) in [(0, 1), (40, 2), (64, 8), (288, 64), (u64::MAX, 64)] {
        assert_eq!(places_within(descriptors), places);
    }
}

#[test]
fn a_closed_gate_refuses_connections_and_does_not_wait_for_idle_ones() {
    let is_prompt = |_| {
        let fixture = Fixture::new(64);
        let mut idle = fixture.send("");
        assert_eq!(status(&fixture.ask(GET)), "200");
        let start = Instant::now();
        fixture.gate.close();
        let took = start.elapsed();
        let refused = connect(fixture.address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(read(&mut idle), "");
        took < CLOSING
    };
    // However slow the machine is, it is not so each time.
    assert!((0..20).any(is_prompt), "idle connections delay it");
}

#[test]
fn a_client_that_is_being_answered_when_the_gate_closes_gets_the_answer() {
    let fixture = Fixture::new(64);
    let mut client = fixture.send("GET /held HTTP/1.0\r\n\r\n");
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    let closing = thread::spawn(move || fixture.gate.close());
    // Not so often that the gate has no time to close.
    while connect(fixture.address).is_ok() {
        thread::park_timeout(Duration::from_millis(5));
    }
    release.send(()).unwrap();
    assert!(read(&mut client).ends_with("held"));
    drop(client);
    closing.join().unwrap();
}

#[test]
fn an_answer_that_does_not_come_delays_closing_for_a_moment_only() {
    let fixture = Fixture::new(64);
    let _client = fixture.send("GET /held HTTP/1.0\r\n\r\n");
    let release = fixture.held.recv_timeout(PATIENCE).unwrap();
    fixture.gate.close();
    // The server still waits, for up to `PATIENCE`.
    release.send(()).unwrap();
}

#[test]
fn a_server_that_does_not_answer_is_reported_and_clients_are_told() {
    let (tell, broken) = unbounded();
    let on_broken = move |reason: &str| tell.send(reason.to_owned()).unwrap();
    let (inner, gone) = Inner::bind(on_broken).unwrap();
    drop(gone);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let _gate = open(listener, 1, inner, nothing_to_evaluate(), no_hooks()).unwrap();
    let mut client = connect(address).unwrap();
    client.write_all(GET.as_bytes()).unwrap();
    assert_eq!(status(&read(&mut client)), "503");
    let reason = broken.recv_timeout(PATIENCE).unwrap();
    assert!(
        reason.starts_with("the HTTP server does not answer: "),
        "{reason}"
    );
}
