//! What goes wrong, and for which requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::wire::{Answer, Request};
use super::{Stage, lock};

/// How a stand-in misbehaves. Except with `Answer` and `Hang`, what was asked for is done first.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This answer, and nothing is done.
    Answer(Answer),
    /// What this makes of the request, and nothing is done.
    Reply(Arc<dyn Fn(&Request) -> Answer + Send + Sync>),
    /// No answer ever, and nothing is done.
    Hang,
    /// The answer comes after this time.
    Delay(Duration),
    /// The answer comes when the test lets it.
    Hold(Hold),
    /// The connection breaks in the middle of the answer.
    Reset,
    /// The connection is closed in the middle of the body.
    Truncate,
    /// The connection is closed without an answer.
    Close,
    /// These bytes come instead of the answer, and then the connection is closed.
    Raw(Vec<u8>),
}

impl Fault {
    /// A status with a body that explains it in OPA's way.
    pub(crate) fn status(status: u16) -> Fault {
        let code = format!("code_{status}");
        let body = json!({ "code": code, "message": format!("stand-in says {status}") });
        Fault::Answer(Answer::json(status, &body))
    }

    pub(crate) fn retry_after(status: u16, seconds: &str) -> Fault {
        let answer = Answer::json(status, &json!({ "message": "not now" }));
        Fault::Answer(answer.with("retry-after", seconds))
    }

    pub(crate) fn reply(reply: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Fault {
        Fault::Reply(Arc::new(reply))
    }

    /// Whether what was asked for is left undone.
    pub(crate) fn is_instead(&self) -> bool {
        matches!(self, Fault::Answer(_) | Fault::Reply(_) | Fault::Hang)
    }
}

/// Keeps answers back until it is released or dropped for good.
#[derive(Clone)]
pub(crate) struct Hold {
    stage: Stage,
    open: Arc<AtomicBool>,
}

impl Hold {
    pub(crate) fn new(stage: &Stage) -> Hold {
        Hold {
            stage: stage.clone(),
            open: Arc::default(),
        }
    }

    /// Lets go of what is held, and holds no more.
    pub(crate) fn release(&self) {
        self.open.store(true, Ordering::SeqCst);
        self.stage.ring();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }
}

/// Which requests are meant: `METHOD PATH`, either of them `*`, a path also `/prefix/*`; after another
/// blank, what is in the body.
pub(crate) fn is_meant(which: &str, request: &Request) -> bool {
    let mut parts = which.splitn(3, ' ');
    let method = parts.next().unwrap_or_default();
    let (path, body) = (
        parts.next().unwrap_or("*"),
        parts.next().unwrap_or_default(),
    );
    let path_fits = match path.strip_suffix('*') {
        Some(prefix) => request.path.starts_with(prefix),
        None => request.path == path,
    };
    let body_fits = body.is_empty() || String::from_utf8_lossy(&request.body).contains(body);
    path_fits && body_fits && (method == "*" || method == request.method)
}

/// The faults that a stand-in has now.
#[derive(Default)]
pub(crate) struct Faults(std::sync::Mutex<Vec<Planned>>);

struct Planned {
    which: String,
    when: When,
    fault: Fault,
}

/// Which of the requests that are meant.
pub(crate) enum When {
    /// So many, from now on.
    Next(usize),
    Always,
    /// The last of each so many; the second number counts them.
    #[allow(dead_code, reason = "for the soak")]
    OneIn(usize, usize),
}

impl When {
    /// Whether a request that is meant meets the fault; it counts.
    fn is_now(&mut self) -> bool {
        match self {
            When::Always => true,
            When::Next(0) => false,
            When::Next(left) => {
                *left -= 1;
                true
            }
            When::OneIn(many, count) => {
                *count += 1;
                count.is_multiple_of(*many)
            }
        }
    }
}

impl Faults {
    pub(crate) fn plan(&self, which: &str, when: When, fault: Fault) {
        lock(&self.0).push(Planned {
            which: which.to_owned(),
            when,
            fault,
        });
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The first fault that this request meets; it counts as used.
    pub(crate) fn take(&self, request: &Request) -> Option<Fault> {
        let mut faults = lock(&self.0);
        let met = |planned: &mut Planned| {
            let meets = is_meant(&planned.which, request) && planned.when.is_now();
            meets.then(|| planned.fault.clone())
        };
        faults.iter_mut().find_map(met)
    }
}
