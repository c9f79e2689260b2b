//! One admitted connection, from its head to its end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::crowd::{Phase, Place};
use super::head::{self, Body, Refusal, Request};
use super::{Door, Limits};

/// Reads one request, answers it, and sees the client off. What else it sends is not looked at.
pub(super) fn serve(door: &Door, place: &Place, peer: SocketAddr) {
    let client = place.stream();
    // Answers leave in one piece, so nothing is gained by holding back their last packet.
    let _ = client.set_nodelay(true);

    let mut buffer = vec![0; door.limits.head_bytes];
    let (answer, body) = match read_head(client, &mut buffer, &door.limits) {
        Ok(None) => return,
        Ok(Some(request)) => {
            place.enter(Phase::Answering);
            drop(buffer);
            match ask(door, client, &request) {
                Ok(answer) => {
                    let is_accepted = is_accepted(&answer);
                    (answer, is_accepted.then_some(request))
                }
                Err(refusal) => (refusal.answer(request.is_head), None),
            }
        }
        Err(refusal) => {
            log::debug!("request refused peer={peer} status={}", refusal.status);
            let is_head = buffer.starts_with(b"HEAD ");
            drop(buffer);
            (refusal.answer(is_head), None)
        }
    };
    see_off(door, place, &answer, body);
}

/// `None` when the client leaves before its head is whole.
fn read_head(
    client: &TcpStream,
    buffer: &mut [u8],
    limits: &Limits,
) -> Result<Option<Request>, Refusal> {
    let mut client = Timed::new(client, limits.head_time);
    let mut filled = 0;
    loop {
        match client.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(None),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::TimedOut => return Err(head::LATE),
            Err(_) => return Ok(None),
        }
        if let Some(request) = head::parse(&buffer[..filled])? {
            return Ok(Some(request));
        }
        if filled == buffer.len() {
            return Err(head::TOO_LARGE);
        }
    }
}

/// The server's answer, with the one header added that the server leaves out.
fn ask(door: &Door, client: &TcpStream, request: &Request) -> Result<Vec<u8>, Refusal> {
    let answer = door.inner.ask(request, client, &door.limits);
    let mut answer = answer.map_err(|error| {
        log::warn!("the HTTP server gave no answer error={error}");
        if error.kind() == ErrorKind::ConnectionRefused {
            door.broken(&error);
        }
        head::UNAVAILABLE
    })?;
    let first_line = answer.windows(2).position(|pair| pair == b"\r\n");
    let headers = first_line.ok_or(head::UNAVAILABLE)? + 2;
    answer.splice(headers..headers, *b"Connection: close\r\n");
    Ok(answer)
}

fn is_accepted(answer: &[u8]) -> bool {
    answer.get(8..13) == Some(b" 202 ")
}

/// Writes the answer and closes the connection so that the client can read it.
///
/// `accepted` is a request that was accepted: its sender is likely to look for the answer only when it has
/// sent all of the body.
fn see_off(door: &Door, place: &Place, answer: &[u8], accepted: Option<Request>) {
    let (client, limits) = (place.stream(), &door.limits);
    place.enter(Phase::Writing);
    if Timed::new(client, limits.answer_time)
        .write_all(answer)
        .is_err()
    {
        return;
    }
    place.enter(Phase::Draining);
    match accepted {
        Some(Request {
            path,
            early,
            body: Body::Announced(rest),
            ..
        }) => {
            let late = Timed::new(client, limits.body_time).take(rest.min(limits.body_bytes));
            let mut body = early.chain(late);
            (door.on_body)(&path, &mut body);
            // Whatever ends it, there is nothing left to do for this client.
            let _ = io::copy(&mut body, &mut io::sink());
        }
        Some(Request {
            body: Body::Open, ..
        }) => {
            // Only its sender knows where it ends: it hears that it need not send more.
            let _ = client.shutdown(Shutdown::Write);
            discard(client, limits.body_bytes, limits.body_time);
        }
        None => {}
    }
    place.enter(Phase::Lingering);
    let _ = client.shutdown(Shutdown::Write);
    discard(client, limits.linger_bytes, limits.linger_time);
}

/// Reads `bytes`, fewer if the client stops or `time` is over.
fn discard(client: &TcpStream, bytes: u64, time: Duration) {
    // Whatever ends it, there is nothing left to do for this client.
    let _ = io::copy(&mut Timed::new(client, time).take(bytes), &mut io::sink());
}

/// A client's connection on which all reads and writes together end at one time.
///
/// Then they fail with `TimedOut`.
struct Timed<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Timed<'_> {
    fn new(stream: &TcpStream, time: Duration) -> Timed<'_> {
        Timed {
            stream,
            deadline: Instant::now() + time,
        }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

/// The system says `WouldBlock` when the time of a read or write is over.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(self.left()?)?;
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map_err(late),
            }
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
