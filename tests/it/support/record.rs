//! What a server was asked, and what it answered.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::fault::is_meant;
use super::http::Server;
use super::lock;
use super::wire::{Answer, Request};

/// So much of an answer's body is remembered, in bytes.
const SHORT: usize = 1024;

/// A request that was received, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) request: Request,
    pub(crate) received: Instant,
    /// None while it is in flight, and where the connection ended without an answer.
    pub(crate) answered: Option<Instant>,
    status: Option<u16>,
    /// The body of the answer, as far as it is short.
    pub(crate) said: Vec<u8>,
    /// How many were in flight when it came, with it.
    in_flight: usize,
    over: bool,
}

/// All requests of a server, in the order in which they were received.
pub(super) struct Record {
    origin: Instant,
    log: Mutex<Vec<Seen>>,
}

impl Record {
    /// An empty one.
    pub(super) fn new() -> Record {
        Record {
            origin: Instant::now(),
            log: Mutex::default(),
        }
    }

    /// A request was received: gives its number.
    pub(super) fn receive(&self, request: Request) -> usize {
        let mut log = lock(&self.log);
        let in_flight = log.iter().filter(|seen| !seen.over).count() + 1;
        log.push(Seen {
            request,
            received: Instant::now(),
            answered: None,
            status: None,
            said: Vec::new(),
            in_flight,
            over: false,
        });
        log.len() - 1
    }

    /// It is about to be answered: the client must not be able to know of that first.
    pub(super) fn settle(&self, number: usize, answer: &Answer) {
        let seen = &mut lock(&self.log)[number];
        seen.answered = Some(Instant::now());
        seen.status = Some(answer.status);
        seen.said = answer.body[..answer.body.len().min(SHORT)].to_vec();
        seen.over = true;
    }

    /// It was answered, or never will be.
    pub(super) fn end(&self, number: usize) {
        lock(&self.log)[number].over = true;
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = lock(&self.log);
        write!(f, "{} requests", log.len())?;
        for seen in &log[log.len().saturating_sub(20)..] {
            let at = seen.received.duration_since(self.origin).as_secs_f64();
            let line: String = seen.request.line().chars().take(160).collect();
            let status = seen.status.map_or("no answer".into(), |s| s.to_string());
            write!(f, "\n   {at:7.3}s {line} -> {status}")?;
        }
        Ok(())
    }
}

impl Server {
    /// The requests of this kind (`"PATCH /toggles/x"`, `"GET *"`), in order.
    pub(crate) fn seen(&self, which: &str) -> Vec<Seen> {
        let log = lock(&self.shared.record.log);
        let meant = log.iter().filter(|seen| is_meant(which, &seen.request));
        meant.cloned().collect()
    }

    /// How many requests of this kind were received.
    pub(crate) fn count(&self, which: &str) -> usize {
        let log = lock(&self.shared.record.log);
        let meant = log.iter().filter(|seen| is_meant(which, &seen.request));
        meant.count()
    }

    /// How many requests of this kind were answered.
    pub(crate) fn answered(&self, which: &str) -> usize {
        let seen = self.seen(which);
        seen.iter().filter(|seen| seen.answered.is_some()).count()
    }

    /// The requests of this kind, as `METHOD PATH BODY`.
    pub(crate) fn lines(&self, which: &str) -> Vec<String> {
        let seen = self.seen(which);
        seen.iter().map(|seen| seen.request.line()).collect()
    }

    /// The most requests that were in flight at once.
    pub(crate) fn max_in_flight(&self) -> usize {
        let log = lock(&self.shared.record.log);
        log.iter().map(|seen| seen.in_flight).max().unwrap_or(0)
    }

    /// The time from the end of each request of this kind to the next one.
    pub(crate) fn gaps(&self, which: &str) -> Vec<Duration> {
        let seen = self.seen(which);
        let gap = |pair: &[Seen]| {
            let end = pair[0].answered.unwrap_or(pair[0].received);
            pair[1].received.saturating_duration_since(end)
        };
        seen.windows(2).map(gap).collect()
    }
}
