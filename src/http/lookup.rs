//! Lookups of hosts: shared, bounded in number, and each with a deadline.
//!
//! The system's resolver blocks, for much longer than `http_timeout` if the name server does not answer. So it is
//! called on threads of its own. ureq would start one for each request, and panic without it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::crew::Crew;

/// Lookups at once in the whole process, reloads included. A host has one at most, so one that is not
/// answered holds up no other host unless there are this many of its kind.
const AT_ONCE: usize = 32;

/// The most addresses of a host that ureq takes.
const MOST: usize = 16;

/// The lookups of this process.
static LOOKUPS: Lookups = Lookups::new(find, || Crew::new("lookup", AT_ONCE));

type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

pub(super) struct Lookups {
    find: fn(&str) -> io::Result<Vec<SocketAddr>>,
    assemble: fn() -> io::Result<Crew>,
    board: Mutex<Board>,
    news: Condvar,
}

struct Board {
    /// Since the first lookup.
    crew: Option<Crew>,
    /// What is found for each host that requests wait for.
    asked: BTreeMap<String, Arc<OnceLock<Found>>>,
}

/// Why a host was not looked up, or not found.
#[derive(Debug)]
pub(crate) enum Lost {
    Failed(Arc<io::Error>),
    Late,
    NoThread(io::Error),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Failed(error) => write!(f, "host not found: {error}"),
            Lost::Late => {
                f.write_str("host not found within http_timeout: does the name server answer?")
            }
            Lost::NoThread(error) => write!(f, "failed to start a thread for the lookup: {error}"),
        }
    }
}

impl Error for Lost {}

impl Lookups {
    pub(super) const fn new(
        find: fn(&str) -> io::Result<Vec<SocketAddr>>,
        assemble: fn() -> io::Result<Crew>,
    ) -> Lookups {
        Lookups {
            find,
            assemble,
            board: Mutex::new(Board {
                crew: None,
                asked: BTreeMap::new(),
            }),
            news: Condvar::new(),
        }
    }

    /// The addresses of a host, without ports.
    pub(super) fn of(
        &'static self,
        host: &str,
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, Lost> {
        let mut board = self.board();
        let found = match board.asked.get(host) {
            Some(found) => Arc::clone(found),
            None => {
                let crew = match board.crew.take() {
                    Some(crew) => crew,
                    None => (self.assemble)().map_err(Lost::NoThread)?,
                };
                let name = host.to_owned();
                let crew = board.crew.insert(crew);
                crew.run(move || self.look_up(&name));
                Arc::clone(board.asked.entry(host.to_owned()).or_default())
            }
        };
        let is_open = |_: &mut Board| found.get().is_none();
        drop(self.news.wait_timeout_while(board, timeout, is_open));
        let found = found.get().cloned().ok_or(Lost::Late)?;
        found.map_err(Lost::Failed)
    }

    fn look_up(&self, host: &str) {
        let mut board = self.board();
        // All who waited may have given up.
        let wanted = |found: &&Arc<_>| Arc::strong_count(found) > 1;
        if let Some(found) = board.asked.get(host).filter(wanted).cloned() {
            drop(board);
            let _ = found.set((self.find)(host).map_err(Arc::new));
            board = self.board();
        }
        board.asked.remove(host);
        self.news.notify_all();
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

/// The addresses of a host, at the latest after a time. An IP address needs no lookup.
pub(crate) fn look_up(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Lost> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let found = LOOKUPS.of(host, timeout);
    let with_port = |mut address: SocketAddr| {
        address.set_port(port);
        address
    };
    found.map(|found| found.into_iter().map(with_port).collect())
}

/// As ureq wants them. IP addresses need no lookup.
#[derive(Debug, Default)]
pub(super) struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let parts = uri.scheme().zip(uri.authority());
        let address = parts.and_then(|(scheme, host)| DefaultResolver::host_and_port(scheme, host));
        let address = address.unwrap_or_default();
        let mut addresses = self.empty();
        if let Ok(address) = address.parse() {
            addresses.push(address);
            return Ok(addresses);
        }
        let parts = address.rsplit_once(':');
        let Some((host, Ok(port))) = parts.map(|(host, port)| (host, port.parse())) else {
            return Err(ureq::Error::BadUri(String::new()));
        };
        let found = look_up(host, port, *timeout.after);
        let found = found.map_err(|lost| ureq::Error::Other(Box::new(lost)))?;
        found
            .into_iter()
            .take(MOST)
            .for_each(|it| addresses.push(it));
        match addresses.is_empty() {
            true => Err(ureq::Error::HostNotFound),
            false => Ok(addresses),
        }
    }
}

#[cfg(test)]
mod tests;
