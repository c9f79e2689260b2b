//! A proxy that tunnels (CONNECT), and leads every name to where the test says.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::lock;
use super::port::listen_anywhere;

/// A proxy on loopback that records what it is asked.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    stopped: AtomicBool,
    leads: Mutex<BTreeMap<String, SocketAddr>>,
    heads: Mutex<Vec<String>>,
}

impl Proxy {
    /// One that knows nobody.
    pub(crate) fn start() -> Proxy {
        let listener = listen_anywhere();
        let shared = Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            stopped: AtomicBool::new(false),
            leads: Mutex::default(),
            heads: Mutex::default(),
        });
        let acceptor = std::thread::spawn({
            let shared = shared.clone();
            move || {
                for stream in listener.incoming() {
                    if shared.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let shared = shared.clone();
                    // It ends when the client leaves, or the stand-in.
                    std::thread::spawn(move || shared.serve(stream?));
                }
            }
        });
        Proxy {
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// A host and port, which only it knows, lead there.
    pub(crate) fn lead(&self, authority: &str, to: SocketAddr) {
        lock(&self.shared.leads).insert(authority.to_owned(), to);
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> String {
        self.shared.address.to_string()
    }

    /// The heads of the requests that it got.
    pub(crate) fn heads(&self) -> Vec<String> {
        lock(&self.shared.heads).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The acceptor waits for a connection: this is the one that ends it.
        drop(TcpStream::connect(self.shared.address));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let authority = head
            .strip_prefix("CONNECT ")
            .and_then(|rest| rest.split(' ').next());
        let to = authority.and_then(|authority| lock(&self.leads).get(authority).copied());
        lock(&self.heads).push(head.clone());
        let Some(to) = to else {
            return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        };
        let mut behind = TcpStream::connect(to)?;
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let back = std::thread::spawn({
            let (mut from, mut to) = (behind.try_clone()?, client.try_clone()?);
            move || {
                let _ = io::copy(&mut from, &mut to);
                to.shutdown(Shutdown::Both)
            }
        });
        let _ = io::copy(&mut client, &mut behind);
        let _ = behind.shutdown(Shutdown::Both);
        let _ = back.join();
        Ok(())
    }
}
