//! A proxy that tunnels (CONNECT), and leads every name to where the test says.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::lock;
use super::port::Acceptor;

/// A proxy on loopback that records what it is asked.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    acceptor: Acceptor,
}

#[derive(Default)]
struct Shared {
    leads: Mutex<BTreeMap<String, SocketAddr>>,
    heads: Mutex<Vec<String>>,
}

impl Proxy {
    /// One that leads nowhere.
    pub(crate) fn start() -> Proxy {
        let shared = Arc::<Shared>::default();
        let acceptor = Acceptor::start({
            let shared = shared.clone();
            move |stream| shared.serve(stream)
        });
        Proxy { shared, acceptor }
    }

    /// A host and port, which only it knows, lead there.
    pub(crate) fn lead(&self, authority: &str, to: SocketAddr) {
        lock(&self.shared.leads).insert(authority.to_owned(), to);
    }

    pub(crate) fn authority(&self) -> String {
        self.acceptor.address.to_string()
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        lock(&self.shared.heads).clone()
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
