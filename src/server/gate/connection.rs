//! One admitted connection, from its head to its end.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::Door;
use super::head::{self, Refusal, Request};
use crate::crew::lock;
use crate::target::Reply;

/// The most bytes in a request's head: its first line and its headers.
const HEAD_BYTES: usize = 8 * 1024;

/// How long a client has to send its head, to take its answer, and to send the body of an accepted
/// request, however large it is: for the whole of each, however many reads and writes it takes.
const TIME: Duration = Duration::from_secs(5);

/// How much of a large answer a client has to take in a second, in bytes.
const SLOWEST: usize = 256 * 1024;

/// How long a connection is kept without a request.
const KEPT: Duration = Duration::from_secs(60);

/// The most bytes in the body of an evaluation.
const BODY_BYTES: usize = 64 * 1024;

/// How many bytes an answered client may still send, and for how long, before its connection is closed.
/// Closing it with unread bytes would reset it, and the client could lose the answer.
const LINGER: (u64, Duration) = (256 * 1024, Duration::from_millis(250));

/// How far a connection is, in the order in which connections leave when a place is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It has been answered, and may close first.
    Lingering,
    /// It waits for the next request.
    Kept,
    /// It has not sent a whole head, or the body of an evaluation, since this time.
    Head(Instant),
    /// It has been taking its answer or sending its body since this time.
    Transfer(Instant),
    /// Its answer is being made.
    Answering,
}

pub(super) struct Connection {
    pub(super) client: TcpStream,
    stage: Mutex<Stage>,
}

impl Connection {
    pub(super) fn new(client: TcpStream) -> Connection {
        let stage = Mutex::new(Stage::Head(Instant::now()));
        Connection { client, stage }
    }

    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        lock(&self.stage)
    }

    /// Answers one request, and any number of evaluations before it; what else the client sends is ignored.
    pub(super) fn serve(&self, door: &Door, peer: SocketAddr) {
        // Answers are sent in one piece: holding back the last packet gains nothing.
        let _ = self.client.set_nodelay(true);
        let mut bytes = Vec::new();
        let mut permit = None;
        while let Some(read) = self.read_head(&mut bytes, permit.is_some()) {
            let next = read.and_then(|request| match door.evaluations.has(&request.path) {
                true => self.evaluate(door, request, &mut permit),
                false => self.pass_on(door, request),
            });
            match next {
                Ok(Some(next)) => bytes = next,
                Ok(None) => return,
                Err(refusal) => {
                    log::debug!("request refused peer={peer} status={}", refusal.0);
                    // Line breaks before a request do not count (RFC 9112, section 2.2).
                    let is_head = bytes.trim_ascii_start().starts_with(b"HEAD ");
                    let answer = refusal.answer(is_head);
                    return self.answer_last(door, None, [&answer, &[]]);
                }
            }
        }
    }

    /// Reads on from what the client has sent already. `None` if it leaves before its head is complete.
    fn read_head(&self, bytes: &mut Vec<u8>, is_kept: bool) -> Option<Result<Request, Refusal>> {
        let mut is_idle = is_kept && bytes.is_empty();
        let mut client = self.within(if is_idle { KEPT } else { TIME });
        let mut buffer = [0; HEAD_BYTES];
        loop {
            if let Some(read) = head::parse(bytes).transpose() {
                return Some(read);
            }
            if bytes.len() >= HEAD_BYTES {
                return Some(Err(head::TOO_LARGE));
            }
            match client.read(&mut buffer[..HEAD_BYTES - bytes.len()]) {
                Ok(0) => return None,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    // A read that times out can be `WouldBlock`.
                    ErrorKind::TimedOut | ErrorKind::WouldBlock if !is_idle => {
                        return Some(Err(head::LATE));
                    }
                    _ => return None,
                },
            }
            if mem::take(&mut is_idle) {
                *self.stage() = Stage::Head(Instant::now());
                client = self.within(TIME);
            }
        }
    }

    /// Has the server answer a request.
    fn pass_on(&self, door: &Door, request: Request) -> Result<Option<Vec<u8>>, Refusal> {
        *self.stage() = Stage::Answering;
        (door.hooks.on_head)(&request.asked());
        let answer = door.inner.ask(&request)?;
        self.answer_last(door, Some(request), [&answer, &[]]);
        Ok(None)
    }

    /// Answers an evaluation. Returns what the client has sent of its next request, if it may send one.
    fn evaluate<'d>(
        &self,
        door: &'d Door,
        mut request: Request,
        permit: &mut Option<Permit<'d>>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        *self.stage() = Stage::Answering;
        let (reply, next) = match door.evaluations.answer_head(&request.asked()) {
            // If it has a body, that is not read.
            Ok(reply) => {
                let early = mem::take(&mut request.early);
                (reply, Some(early).filter(|_| request.length == Some(0)))
            }
            Err(served) => {
                let (body, next) = self.read_body(&mut request)?;
                let reply = door.evaluations.answer(&served, &request.asked(), &body);
                (reply, Some(next))
            }
        };
        // A path that is not known can be anything.
        let path = if reply.status == 404 {
            "an unknown path"
        } else {
            &*request.path
        };
        log::debug!(
            "answered {} {path:?} status={}",
            request.method,
            reply.status
        );
        let keeps_none = || door.keeps_none.load(SeqCst);
        // Who has no token takes no place from those who have one.
        let may_stay = request.keeps && ![401, 403].contains(&reply.status) && !keeps_none();
        let next = next.filter(|_| may_stay && Permit::is_taken(permit, &door.keeps));
        let (head, body) = written(&reply, next.is_some(), request.is("HEAD"));
        if next.is_none() {
            self.answer_last(door, None, [&head, body]);
            return Ok(None);
        }
        let sent = self.send([&head, body]);
        *self.stage() = Stage::Kept;
        // If none was to be kept before that, the gate took it for busy.
        Ok(next.filter(|_| sent.is_ok() && !keeps_none()))
    }

    /// The body of an evaluation, and what came after it.
    fn read_body(&self, request: &mut Request) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let length = usize::try_from(request.length.ok_or(head::NO_LENGTH)?);
        let length = length.ok().filter(|length| *length <= BODY_BYTES);
        let length = length.ok_or(head::BODY_TOO_LARGE)?;
        let mut body = mem::take(&mut request.early);
        let next = body.split_off(length.min(body.len()));
        let read = body.len();
        if read < length {
            *self.stage() = Stage::Head(Instant::now());
            let mut client = self.within(TIME);
            if request.asks_first {
                // If this fails, so does reading.
                let _ = client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            body.resize(length, 0);
            let read = client.read_exact(&mut body[read..]);
            read.map_err(|_| head::BODY_LATE)?;
            *self.stage() = Stage::Answering;
        }
        Ok((body, next))
    }

    fn send(&self, answer: [&[u8]; 2]) -> io::Result<()> {
        *self.stage() = Stage::Transfer(Instant::now());
        let large = (answer[1].len() / SLOWEST) as u64;
        let mut client = self.within(TIME + Duration::from_secs(large));
        answer.iter().try_for_each(|part| client.write_all(part))
    }

    /// Sends the last answer of the connection, and gives the client time to take it.
    fn answer_last(&self, door: &Door, request: Option<Request>, answer: [&[u8]; 2]) {
        if self.send(answer).is_ok() {
            let accepted = request.filter(|_| answer[0].starts_with(b"HTTP/1.1 202 "));
            let (bytes, time) = self.take_body(door, accepted);
            *self.stage() = Stage::Lingering;
            let _ = self.client.shutdown(Shutdown::Write);
            discard(self.within(time).take(bytes));
        }
    }

    /// Reads the body of an accepted request: its sender may look for the answer only once it has sent
    /// everything. Returns how many bytes may follow, and for how long.
    fn take_body(&self, door: &Door, accepted: Option<Request>) -> (u64, Duration) {
        let Some(request) = accepted else {
            return LINGER;
        };
        let Some(rest) = request.rest() else {
            // Only its sender knows where it ends, and may stop now that it has the answer.
            return (u64::MAX, TIME);
        };
        let late = self.within(TIME).take(rest);
        let early = request.early.take(request.length.unwrap_or_default());
        let mut body = early.chain(late);
        (door.hooks.on_body)(&request.path, &mut body);
        discard(body);
        LINGER
    }

    pub(super) fn within(&self, time: Duration) -> Timed<'_> {
        Timed {
            stream: &self.client,
            deadline: Instant::now() + time,
        }
    }
}

/// The permission to be kept.
pub(super) struct Permit<'d>(&'d AtomicUsize);

impl<'d> Permit<'d> {
    /// Takes one, if there is one left.
    fn is_taken(permit: &mut Option<Permit<'d>>, left: &'d AtomicUsize) -> bool {
        if permit.is_none() {
            let less = |left: usize| left.checked_sub(1);
            let taken = left.fetch_update(Relaxed, Relaxed, less);
            *permit = taken.ok().map(|_| Permit(left));
        }
        permit.is_some()
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// An answer as it is sent, in one piece if it is small: a copy of a large body would take too much memory.
fn written(reply: &Reply, is_kept: bool, is_head: bool) -> (Vec<u8>, &[u8]) {
    const SMALL: usize = 64 * 1024;
    let status = StatusCode::from_u16(reply.status);
    let phrase = status.ok().and_then(|status| status.canonical_reason());
    let phrase = phrase.unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {phrase}\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !is_kept {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n");
    // With a 304, they would be those of the answer that the client has.
    if reply.status != 304 {
        let length = reply.body.len();
        head.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ));
    }
    head.push_str("\r\n");
    let mut answer = head.into_bytes();
    let mut body = if is_head { &[] } else { &**reply.body };
    if body.len() <= SMALL {
        answer.extend_from_slice(mem::take(&mut body));
    }
    (answer, body)
}

/// However this ends, there is nothing left to do for the client.
fn discard(mut bytes: impl Read) {
    let _ = io::copy(&mut bytes, &mut io::sink());
}

/// A client's connection with one deadline for all reads and writes.
pub(super) struct Timed<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(ErrorKind::TimedOut.into()),
            false => Ok(Some(left)),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
