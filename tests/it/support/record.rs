//! What a server was asked, and what it answered.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::fault::is_meant;
use super::http::Server;
use super::lock;
use super::wire::{Answer, Request};

/// So much of an answer's body is remembered, in bytes.
const SHORT: usize = 1024;

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) request: Request,
    pub(crate) received: Instant,
    /// None while it is in flight, and where the connection ended without an answer.
    pub(crate) answered: Option<Instant>,
    status: Option<u16>,
    /// The beginning of the answer's body.
    pub(crate) said: Vec<u8>,
    /// How many were in flight when it came, with it.
    in_flight: usize,
    over: bool,
}

/// All requests of a server, in the order in which they were received.
pub(super) struct Record {
    origin: Instant,
    log: Mutex<Log>,
}

struct Log {
    seen: VecDeque<Seen>,
    /// How many were there before these.
    forgotten: usize,
    /// How many are kept.
    most: usize,
    in_flight: usize,
}

impl Log {
    /// The request of this number is over.
    fn end(&mut self, number: usize) -> Option<&mut Seen> {
        let seen = self.seen.get_mut(number.checked_sub(self.forgotten)?)?;
        self.in_flight -= usize::from(!seen.over);
        seen.over = true;
        Some(seen)
    }
}

impl Record {
    pub(super) fn new() -> Record {
        Record {
            origin: Instant::now(),
            log: Mutex::new(Log {
                seen: VecDeque::new(),
                forgotten: 0,
                most: usize::MAX,
                in_flight: 0,
            }),
        }
    }

    /// A request was received: gives its number.
    pub(super) fn receive(&self, request: Request) -> usize {
        let mut log = lock(&self.log);
        log.in_flight += 1;
        let in_flight = log.in_flight;
        log.seen.push_back(Seen {
            request,
            received: Instant::now(),
            answered: None,
            status: None,
            said: Vec::new(),
            in_flight,
            over: false,
        });
        let first_is_over = |log: &Log| log.seen.front().is_some_and(|seen| seen.over);
        while log.seen.len() > log.most && first_is_over(&log) {
            log.seen.pop_front();
            log.forgotten += 1;
        }
        log.forgotten + log.seen.len() - 1
    }

    /// It is about to be answered: the client must not be able to know of that first.
    pub(super) fn settle(&self, number: usize, answer: &Answer) {
        if let Some(seen) = lock(&self.log).end(number) {
            seen.answered = Some(Instant::now());
            seen.status = Some(answer.status);
            seen.said = answer.body[..answer.body.len().min(SHORT)].to_vec();
        }
    }

    /// It was answered, or never will be.
    pub(super) fn end(&self, number: usize) {
        lock(&self.log).end(number);
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = lock(&self.log);
        write!(f, "{} requests", log.forgotten + log.seen.len())?;
        for seen in log.seen.iter().skip(log.seen.len().saturating_sub(20)) {
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
        let meant = log
            .seen
            .iter()
            .filter(|seen| is_meant(which, &seen.request));
        meant.cloned().collect()
    }

    /// Keeps no more than so many requests from now on: for very many.
    #[allow(dead_code, reason = "for the soak")]
    pub(crate) fn remember(&self, most: usize) {
        lock(&self.shared.record.log).most = most;
    }

    /// How many requests were received, also of those that are not kept.
    #[allow(dead_code, reason = "for the soak")]
    pub(crate) fn total(&self) -> usize {
        let log = lock(&self.shared.record.log);
        log.forgotten + log.seen.len()
    }

    pub(crate) fn count(&self, which: &str) -> usize {
        let log = lock(&self.shared.record.log);
        let meant = log
            .seen
            .iter()
            .filter(|seen| is_meant(which, &seen.request));
        meant.count()
    }

    pub(crate) fn answered(&self, which: &str) -> usize {
        let seen = self.seen(which);
        seen.iter().filter(|seen| seen.answered.is_some()).count()
    }

    /// The requests of this kind, as `METHOD PATH BODY`.
    pub(crate) fn lines(&self, which: &str) -> Vec<String> {
        let seen = self.seen(which);
        seen.iter().map(|seen| seen.request.line()).collect()
    }

    pub(crate) fn max_in_flight(&self) -> usize {
        let log = lock(&self.shared.record.log);
        log.seen
            .iter()
            .map(|seen| seen.in_flight)
            .max()
            .unwrap_or(0)
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
