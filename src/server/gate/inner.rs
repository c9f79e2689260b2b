//! The HTTP server behind the gate: where it listens, and how requests reach it.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

#[cfg(not(target_os = "linux"))]
pub(crate) use std::net::{TcpListener as InnerListener, TcpStream as Stream};
#[cfg(target_os = "linux")]
pub(crate) use std::os::unix::net::{UnixListener as InnerListener, UnixStream as Stream};

use crate::crew::lock;

use super::head::{self, Refusal, Request, UNAVAILABLE};

/// For each read and write. The server answers from memory: if it takes longer, it is stuck.
const TIME: Duration = Duration::from_secs(30);

/// The routes whose answers grow with the number of toggles.
const REPORTS: [&str; 4] = ["/", "/health", "/metrics", "/status"];

/// From so many bytes on, a report is used again for [`FRESH`], and while the next one is made.
const LARGE: usize = 256 * 1024;
const FRESH: Duration = Duration::from_secs(1);

/// How old a report is at most, however long the next one takes.
const STALE: Duration = Duration::from_secs(5);

/// The only connections to the HTTP server.
///
/// The server needs a descriptor to accept a connection, and stops for good if there is none. So it gets
/// its connections before the first client comes, and answers all requests there: reports on one of
/// their own, so that they hold up no callback.
pub(crate) struct Inner {
    prompt: Link,
    reports: Link,
    /// The last large report of each route, and when it was asked for.
    made: Mutex<HashMap<String, (Instant, Answer)>>,
    on_broken: Box<dyn Fn(&str) + Send + Sync>,
}

/// A whole answer.
type Answer = Arc<Vec<u8>>;

/// How many connections there are.
pub(crate) const LINKS: usize = 2;

/// A connection; `None` once it is broken.
type Link = Mutex<Option<BufReader<Stream>>>;

impl Inner {
    /// Connects to a new listener, which the server is to serve. `on_broken` is called with the reason when
    /// the server does not answer: only a new process helps then.
    pub(crate) fn bind(
        on_broken: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<(Inner, InnerListener)> {
        let (listener, streams) = connected()?;
        for stream in &streams {
            stream.set_read_timeout(Some(TIME))?;
            stream.set_write_timeout(Some(TIME))?;
        }
        let [prompt, reports] = streams.map(|stream| Mutex::new(Some(BufReader::new(stream))));
        let inner = Inner {
            prompt,
            reports,
            made: Mutex::default(),
            on_broken: Box::new(on_broken),
        };
        Ok((inner, listener))
    }

    /// Has the server answer on each connection, so that it has started all its threads: it panics where the
    /// system allows no more.
    pub(crate) fn warm_up(&self) -> io::Result<()> {
        let request = head::parse(b"GET /health/live HTTP/1.0\r\n\r\n");
        let request = request.ok().flatten().ok_or(ErrorKind::InvalidInput)?;
        for link in [&self.prompt, &self.reports] {
            let server = &mut *lock(link);
            let server = server.as_mut().ok_or(ErrorKind::NotConnected)?;
            exchange(server, &request)?;
        }
        Ok(())
    }

    /// The complete answer, so that a client that reads slowly does not hold up the server. Large ones are
    /// shared, so that however many clients do not read them, few are in memory.
    pub(super) fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        if !REPORTS.contains(&&*request.path) {
            return self.exchange(&mut lock(&self.prompt), request);
        }
        if let Some(report) = self.report(request, FRESH) {
            return Ok(report);
        }
        let mut link = match self.reports.try_lock() {
            Ok(link) => link,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => match self.report(request, STALE) {
                Some(report) => return Ok(report),
                None => lock(&self.reports),
            },
        };
        // Another client may have asked for it meanwhile.
        if let Some(report) = self.report(request, FRESH) {
            return Ok(report);
        }
        let asked = Instant::now();
        let report = self.exchange(&mut link, request)?;
        if report.len() >= LARGE {
            let kept = (asked, Arc::clone(&report));
            lock(&self.made).insert(request.path.clone(), kept);
        }
        Ok(report)
    }

    /// A report that is not older than that.
    fn report(&self, request: &Request, age: Duration) -> Option<Answer> {
        let made = lock(&self.made);
        let (asked, report) = made.get(&request.path).filter(|_| request.is("GET"))?;
        (asked.elapsed() < age).then(|| Arc::clone(report))
    }

    fn exchange(
        &self,
        link: &mut Option<BufReader<Stream>>,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let server = link.as_mut().ok_or(UNAVAILABLE)?;
        let answer = exchange(server, request).map_err(|error| {
            *link = None;
            (self.on_broken)(&format!("the HTTP server does not answer: {error}"));
            UNAVAILABLE
        });
        answer.map(Arc::new)
    }
}

/// Sends a request and reads its answer, with `Connection: close` added.
fn exchange(server: &mut BufReader<Stream>, request: &Request) -> io::Result<Vec<u8>> {
    server.get_mut().write_all(request.clean.as_bytes())?;
    let mut head = String::new();
    server.read_line(&mut head)?;
    head.push_str("Connection: close\r\n");
    let mut length = 0;
    while !head.ends_with("\r\n\r\n") {
        let line = head.len();
        if server.read_line(&mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = head[line..].strip_prefix("Content-Length: ") {
            length = value.trim_end().parse().map_err(io::Error::other)?;
        }
    }
    let mut answer = head.into_bytes();
    if !request.is("HEAD") {
        let body = answer.len();
        answer.resize(body + length, 0);
        server.read_exact(&mut answer[body..])?;
    }
    Ok(answer)
}

/// A Unix socket with an abstract name needs no file: it works in a read-only container.
#[cfg(target_os = "linux")]
fn connected() -> io::Result<(InnerListener, [Stream; LINKS])> {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let name = format!("optoggles-{:032x}", u128::from_ne_bytes(random));
    let address = SocketAddr::from_abstract_name(name)?;
    let listener = InnerListener::bind_addr(&address)?;
    let connect = || Stream::connect_addr(&address);
    Ok((listener, [connect()?, connect()?]))
}

#[cfg(not(target_os = "linux"))]
fn connected() -> io::Result<(InnerListener, [Stream; LINKS])> {
    let listener = InnerListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let connect = || Stream::connect(listener.local_addr()?);
    let streams = [connect()?, connect()?];
    Ok((listener, streams))
}
