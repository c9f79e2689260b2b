//! One admitted connection, from its head to its end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Door;
use super::head::{self, Refusal, Request};

/// The most bytes in a request's head: its first line and its headers.
const HEAD_BYTES: usize = 8 * 1024;

/// How long a client has to send its head, to take its answer, and to send the body of an accepted
/// request, however large it is: for the whole of each, however many reads and writes it takes.
const TIME: Duration = Duration::from_secs(5);

/// How many bytes an answered client may still send, and for how long, before its connection is closed.
/// Closing it with unread bytes would reset it, and the client could lose the answer.
const LINGER: (u64, Duration) = (256 * 1024, Duration::from_millis(250));

/// How far a connection is, in the order in which connections leave when a place is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It has been answered, and may close first.
    Lingering,
    /// It has not sent a whole head.
    Head,
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
        let stage = Mutex::new(Stage::Head);
        Connection { client, stage }
    }

    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads and answers one request; anything else that the client sends is ignored.
    pub(super) fn serve(&self, door: &Door, peer: SocketAddr) {
        // Answers are sent in one piece: holding back the last packet gains nothing.
        let _ = self.client.set_nodelay(true);
        let mut bytes = vec![0; HEAD_BYTES];
        let Some(read) = self.read_head(&mut bytes) else {
            return;
        };
        let asked = read.and_then(|request| {
            *self.stage() = Stage::Answering;
            Ok((door.inner.ask(&request)?, Some(request)))
        });
        let (answer, request) = asked.unwrap_or_else(|refusal| {
            log::debug!("request refused peer={peer} status={}", refusal.0);
            (Arc::new(refusal.answer(bytes.starts_with(b"HEAD "))), None)
        });
        *self.stage() = Stage::Transfer(Instant::now());
        if self.within(TIME).write_all(&answer).is_ok() {
            let accepted = request.filter(|_| answer.starts_with(b"HTTP/1.1 202 "));
            let (bytes, time) = self.take_body(door, accepted);
            *self.stage() = Stage::Lingering;
            let _ = self.client.shutdown(Shutdown::Write);
            discard(self.within(time).take(bytes));
        }
    }

    /// `None` if the client leaves before its head is complete.
    fn read_head(&self, bytes: &mut [u8]) -> Option<Result<Request, Refusal>> {
        let mut client = self.within(TIME);
        let mut filled = 0;
        while filled < bytes.len() {
            match client.read(&mut bytes[filled..]) {
                Ok(0) => return None,
                Ok(read) => filled += read,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    // A read that times out can be `WouldBlock`.
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => return Some(Err(head::LATE)),
                    _ => return None,
                },
            }
            if let Some(read) = head::parse(&bytes[..filled]).transpose() {
                return Some(read);
            }
        }
        Some(Err(head::TOO_LARGE))
    }

    /// Reads the body of an accepted request: its sender may look for the answer only once it has sent
    /// everything. Returns how many bytes may follow, and for how long.
    fn take_body(&self, door: &Door, accepted: Option<Request>) -> (u64, Duration) {
        let Some(request) = accepted else {
            return LINGER;
        };
        let Some(rest) = request.rest else {
            // Only its sender knows where it ends, and may stop now that it has the answer.
            return (u64::MAX, TIME);
        };
        let late = self.within(TIME).take(rest);
        let mut body = request.early.chain(late);
        (door.on_body)(&request.path, &mut body);
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
