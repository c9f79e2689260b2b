//! Lookups of hosts: shared, bounded in number, and each with a deadline.
//!
//! The system's resolver blocks, for much longer than `http_timeout` if the name server does not answer. So it is
//! called on threads of its own. ureq would start one for each request, and panic without it.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Lookups at once in the whole process, reloads included. A host has one at most, so one that is not
/// answered holds up no other host unless there are this many of its kind.
const AT_ONCE: usize = 32;

/// An idle thread ends after this time, but the last one stays: requests could use up all threads that the
/// system allows, and then no host would be found again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most addresses of a host that ureq takes.
const MOST: usize = 16;

/// The lookups of this process.
static LOOKUPS: Lookups = Lookups::new(find, start);

type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

type Work = Box<dyn FnOnce() + Send>;

pub(super) struct Lookups {
    find: fn(&str) -> io::Result<Vec<SocketAddr>>,
    start: fn(Work) -> io::Result<()>,
    board: Mutex<Board>,
    news: Condvar,
}

struct Board {
    /// What is found for each host that requests wait for.
    asked: BTreeMap<String, Arc<OnceLock<Found>>>,
    /// Those of them that no thread has taken.
    waiting: VecDeque<String>,
    threads: usize,
    idle: usize,
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
        start: fn(Work) -> io::Result<()>,
    ) -> Lookups {
        Lookups {
            find,
            start,
            board: Mutex::new(Board {
                asked: BTreeMap::new(),
                waiting: VecDeque::new(),
                threads: 0,
                idle: 0,
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
                self.find_thread(&mut board).map_err(Lost::NoThread)?;
                board.waiting.push_back(host.to_owned());
                let found = board.asked.entry(host.to_owned()).or_default();
                Arc::clone(found)
            }
        };
        self.news.notify_all();
        let is_open = |_: &mut Board| found.get().is_none();
        drop(self.news.wait_timeout_while(board, timeout, is_open));
        let found = found.get().cloned().ok_or(Lost::Late)?;
        found.map_err(Lost::Failed)
    }

    /// Sees to it that there is a thread for one more lookup, now or later.
    fn find_thread(&'static self, board: &mut Board) -> io::Result<()> {
        if board.idle <= board.waiting.len() && board.threads < AT_ONCE {
            match (self.start)(Box::new(|| self.work())) {
                Ok(()) => board.threads += 1,
                Err(error) if board.threads == 0 => return Err(error),
                // It waits for another.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn work(&self) {
        let mut board = self.board();
        loop {
            if let Some(host) = board.waiting.pop_front() {
                // All who waited may have given up.
                let wanted = |found: &&Arc<_>| Arc::strong_count(found) > 1;
                if let Some(found) = board.asked.get(&host).filter(wanted).cloned() {
                    drop(board);
                    let _ = found.set((self.find)(&host).map_err(Arc::new));
                    board = self.board();
                }
                board.asked.remove(&host);
                self.news.notify_all();
                continue;
            }
            board.idle += 1;
            let is_idle = |board: &mut Board| board.waiting.is_empty();
            let waited = self.news.wait_timeout_while(board, PATIENCE, is_idle);
            board = waited.unwrap_or_else(PoisonError::into_inner).0;
            board.idle -= 1;
            if board.waiting.is_empty() && board.threads > 1 {
                board.threads -= 1;
                return;
            }
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

fn start(work: Work) -> io::Result<()> {
    let thread = thread::Builder::new().name("lookup".into());
    thread.spawn(work).map(drop)
}

/// The addresses of a host, at the latest after a time.
pub(crate) fn look_up(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Lost> {
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
