//! A remote that gives the same answer to everything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::address::Address;

/// Listens on loopback until it is dropped.
pub(crate) struct Canned {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    asked: AtomicUsize,
}

impl Canned {
    /// Answers these bytes, whatever they are, and closes the connection.
    pub(crate) fn raw(answer: Vec<u8>) -> Canned {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let serve = move || {
            while let Ok((client, _)) = listener.accept() {
                if ours.over.load(Ordering::SeqCst) {
                    return;
                }
                ours.asked.fetch_add(1, Ordering::SeqCst);
                // A client that has left misses nothing.
                let _ = serve(client, &answer);
            }
        };
        Canned {
            address,
            shared,
            thread: Some(thread::spawn(serve)),
        }
    }

    /// Answers with this status and body.
    pub(crate) fn answering(status: u16, body: &[u8]) -> Canned {
        let head = format!(
            "HTTP/1.1 {status} Canned\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        Canned::raw([head.as_bytes(), body].concat())
    }

    pub(crate) fn url(&self) -> Address {
        Address::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a whole request, and then answers.
fn serve(client: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(&client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    (&client).write_all(answer)
}
