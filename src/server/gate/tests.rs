//! The gate with a real HTTP server behind it.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use tiny_http::{Method, Response, Server};

use super::{Gate, Inner, InnerListener, Limits, open};

mod bodies;
mod closing;
mod crowded;
#[cfg(target_os = "linux")]
mod descriptors;
mod heads;

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the answer to `/large`: more than the system buffers for one connection.
const LARGE: usize = 24 * 1024 * 1024;

const GET: &str = "GET / HTTP/1.1\r\nHost: me\r\n\r\n";

/// An open gate, and what goes on behind it.
struct Fixture {
    address: SocketAddr,
    gate: Gate,
    broken: Receiver<String>,
    /// Hears of each request for `/held`, which is answered when it answers this.
    held: Receiver<Sender<()>>,
}

impl Fixture {
    fn new(limits: Limits) -> Fixture {
        let (inner, inner_listener) = Inner::bind().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Fixture::behind(listener, inner, Some(inner_listener), limits)
    }

    fn behind(
        listener: TcpListener,
        inner: Inner,
        inner_listener: Option<InnerListener>,
        limits: Limits,
    ) -> Fixture {
        let address = listener.local_addr().unwrap();
        let (tell_held, held) = unbounded();
        if let Some(inner_listener) = inner_listener {
            let server = Server::from_listener(inner_listener, None).unwrap();
            thread::spawn(move || serve(server, &tell_held));
        }
        let (tell_broken, broken) = unbounded();
        let on_broken = move |reason| tell_broken.send(reason).unwrap();
        let gate = open(listener, inner, limits, |_, _| (), on_broken).unwrap();
        Fixture {
            address,
            gate,
            broken,
            held,
        }
    }

    fn connect(&self) -> TcpStream {
        connect(self.address).unwrap()
    }

    /// Sends `request` on a new connection and reads until the gate closes it.
    fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.write_all(request.as_ref()).unwrap();
        read(&mut client).unwrap()
    }
}

/// Answers every request, in one thread, as `server.rs` does.
fn serve(server: Server, held: &Sender<Sender<()>>) {
    while let Ok(request) = server.recv() {
        let answer = match (request.method(), request.url()) {
            (Method::Post, _) => Response::from_string("{}").with_status_code(202),
            (_, "/large") => Response::from_data(vec![b'x'; LARGE]),
            (_, "/held") => {
                let (release, released) = unbounded();
                held.send(release).unwrap();
                released.recv_timeout(PATIENCE).unwrap();
                Response::from_string("held")
            }
            (method, url) => Response::from_string(format!("{method} {url}")),
        };
        request
            .respond(answer.with_chunked_threshold(usize::MAX))
            .unwrap();
    }
    // It cannot be dropped while it listens at a Unix socket without a path: that panics.
    mem::forget(server);
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let client = TcpStream::connect_timeout(&address, PATIENCE)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    Ok(client)
}

/// Reads until the gate closes; a reset is an error.
fn read(client: &mut TcpStream) -> io::Result<String> {
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

fn status(answer: &str) -> &str {
    let line = answer.split("\r\n").next().unwrap_or_default();
    line.split(' ').nth(1).unwrap_or("none")
}

/// Waits until the gate has closed the connection, whichever way.
fn wait_for_end(client: &mut TcpStream) {
    let mut bytes = [0; 1024];
    loop {
        match client.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "it is still open");
                return;
            }
        }
    }
}

#[test]
fn a_request_is_answered_and_its_connection_closed() {
    let fixture = Fixture::new(Limits::default());
    let answer = fixture.ask("GET /a?b HTTP/1.1\r\nHost: me\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nContent-Length: 8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nGET /a?b"), "{answer}");

    let old = fixture.ask("GET / HTTP/1.0\r\n\r\n");
    assert!(
        old.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"),
        "{old}"
    );
    assert!(old.ends_with("\r\n\r\nGET /"), "{old}");
}

#[test]
fn head_gets_no_body_from_the_server_nor_from_the_gate() {
    let fixture = Fixture::new(Limits::default());
    let answer = fixture.ask("HEAD / HTTP/1.1\r\nHost: me\r\n\r\n");
    assert_eq!(status(&answer), "200");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");

    let refusal = fixture.ask("HEAD / HTTP/1.1\r\n\r\n");
    assert_eq!(status(&refusal), "400");
    assert!(refusal.ends_with("\r\n\r\n"), "{refusal}");
}

#[test]
fn an_answer_of_any_size_arrives_whole() {
    let fixture = Fixture::new(Limits::default());
    let answer = fixture.ask("GET /large HTTP/1.0\r\n\r\n");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), LARGE);
}
