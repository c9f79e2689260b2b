//! A small HTTP/1.1 server on loopback that records what it is asked, and misbehaves on request.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::fault::{Fault, Faults, Hold, When};
use super::port::Port;
use super::record::Record;
use super::wire::{Answer, Incoming, Request};
use super::{Stage, lock};

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// What a stand-in answers where nothing is wrong.
pub(crate) type Handler = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A server on a port of its own, which it keeps when it is stopped and started again.
pub(crate) struct Server {
    pub(super) shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

pub(super) struct Shared {
    name: String,
    stage: Stage,
    port: Port,
    handler: Handler,
    faults: Faults,
    pub(super) record: Record,
}

struct Running {
    stop: Arc<Stop>,
    acceptor: JoinHandle<()>,
}

#[derive(Default)]
struct Stop {
    stopped: AtomicBool,
    connections: Mutex<HashMap<usize, TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Starts one; the name is for the picture.
    pub(crate) fn start_new(stage: &Stage, name: &str, handler: Handler) -> Server {
        let port = Port::new();
        let listener = port.listen();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            stage: stage.clone(),
            port,
            handler,
            faults: Faults::default(),
            record: Record::new(),
        });
        let weak = Arc::downgrade(&shared);
        stage.add_picture(move || weak.upgrade().map(|shared| shared.picture()));
        let running = Mutex::new(Some(run(&shared, listener)));
        Server { shared, running }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.port.address()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.shared.port.address())
    }

    /// Breaks every connection; from here on connections are refused.
    pub(crate) fn stop(&self) {
        let Some(running) = lock(&self.running).take() else {
            return;
        };
        running.stop.stopped.store(true, Ordering::SeqCst);
        self.shared.stage.ring();
        // The acceptor waits for a connection: this is the one that ends it.
        drop(TcpStream::connect(self.shared.port.address()));
        running.acceptor.join().unwrap();
        for stream in lock(&running.stop.connections).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in lock(&running.stop.threads).drain(..) {
            let _ = thread.join();
        }
    }

    /// Listens again, at the same port.
    pub(crate) fn start(&self) {
        let running = Some(run(&self.shared, self.shared.port.listen()));
        *lock(&self.running) = running;
    }

    /// The next so many requests of this kind (`"PATCH /toggles/x"`, `"GET *"`) meet the fault.
    pub(crate) fn next(&self, times: usize, which: &str, fault: Fault) {
        self.shared.faults.plan(which, When::Next(times), fault);
    }

    /// All requests of this kind meet the fault, until [`Server::heal`].
    pub(crate) fn always(&self, which: &str, fault: Fault) {
        self.shared.faults.plan(which, When::Always, fault);
    }

    /// The answer to the next request of this kind is kept back.
    pub(crate) fn hold_next(&self, which: &str) -> Hold {
        let hold = Hold::new(&self.shared.stage);
        self.next(1, which, Fault::Hold(hold.clone()));
        hold
    }

    /// The answers to all requests of this kind are kept back, until [`Server::heal`].
    pub(crate) fn hold(&self, which: &str) -> Hold {
        let hold = Hold::new(&self.shared.stage);
        self.always(which, Fault::Hold(hold.clone()));
        hold
    }

    /// One in so many requests of this kind meets the fault, until [`Server::heal`].
    #[allow(dead_code, reason = "for the soak")]
    pub(crate) fn sometimes(&self, one_in: usize, which: &str, fault: Fault) {
        self.shared
            .faults
            .plan(which, When::OneIn(one_in, 0), fault);
    }

    /// No fault is met from here on.
    pub(crate) fn heal(&self) {
        self.shared.faults.clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(shared: &Arc<Shared>, listener: TcpListener) -> Running {
    let stop = Arc::new(Stop::default());
    let acceptor = std::thread::spawn({
        let (shared, stop) = (shared.clone(), stop.clone());
        move || accept(&shared, &stop, &listener)
    });
    Running { stop, acceptor }
}

fn accept(shared: &Arc<Shared>, stop: &Arc<Stop>, listener: &TcpListener) {
    for number in 0.. {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        if stop.stopped.load(Ordering::SeqCst) {
            // To drop it is not enough: a process that is being started may hold a copy for a moment,
            // and connections would be taken, and reset, instead of refused.
            let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
            return;
        }
        let _ = stream.set_nodelay(true);
        lock(&stop.connections).insert(number, stream.try_clone().unwrap());
        let thread = std::thread::spawn({
            let (shared, stop) = (shared.clone(), stop.clone());
            move || {
                let _ = shared.converse(&stop, &stream);
                // Only when both are dropped is the socket closed, with a reset where one is due.
                lock(&stop.connections).remove(&number);
            }
        });
        lock(&stop.threads).push(thread);
    }
}

impl Shared {
    fn converse(&self, stop: &Stop, stream: &TcpStream) -> io::Result<()> {
        while let Some(incoming) = Incoming::read(stream.try_clone()?)? {
            let number = self.record.receive(incoming.request.clone());
            let result = self.respond(stop, number, incoming);
            self.record.end(number);
            self.stage.ring();
            if !result? {
                break;
            }
        }
        Ok(())
    }

    /// Says whether the connection can be used for another request.
    fn respond(&self, stop: &Stop, number: usize, incoming: Incoming) -> io::Result<bool> {
        let fault = self.faults.take(&incoming.request);
        let instead = fault.as_ref().is_some_and(Fault::is_instead);
        let own = (!instead).then(|| (self.handler)(&incoming.request));
        self.stage.ring();
        let bytes = own.as_ref().map(Answer::bytes).unwrap_or_default();
        let stopped = || stop.stopped.load(Ordering::SeqCst);
        let answer = match (fault, own) {
            (Some(Fault::Answer(answer)), _) => answer,
            (Some(Fault::Reply(reply)), _) => reply(&incoming.request),
            (Some(Fault::Delay(time)), Some(own)) if !self.stage.wait(time, stopped) => own,
            (Some(Fault::Hold(hold)), Some(own)) => {
                let end = || stopped() || hold.is_open();
                self.stage.wait(FOR_EVER, end);
                own
            }
            (Some(Fault::Reset), _) => {
                incoming.reset(&bytes[..bytes.len() / 2])?;
                return Ok(false);
            }
            (Some(Fault::Truncate), _) => {
                incoming.finish()?.write_all(&bytes[..bytes.len() - 1])?;
                return Ok(false);
            }
            (Some(Fault::Raw(raw)), _) => {
                incoming.finish()?.write_all(&raw)?;
                return Ok(false);
            }
            (Some(Fault::Hang), _) => {
                self.stage.wait(FOR_EVER, stopped);
                return Ok(false);
            }
            (None, Some(own)) => own,
            _ => return incoming.finish().map(|_| false),
        };
        let keep = incoming.request.header("connection") != Some("close");
        let is_head = incoming.request.method == "HEAD";
        let mut stream = incoming.finish()?;
        self.record.settle(number, &answer);
        let bytes = match is_head {
            true => answer.head(),
            false => answer.bytes(),
        };
        stream.write_all(&bytes)?;
        Ok(keep)
    }

    fn picture(&self) -> String {
        format!(
            "== {} at {}: {}",
            self.name,
            self.port.address(),
            self.record
        )
    }
}
