//! The tiny_http thread: routes and nothing else.

pub(crate) mod gate;
mod page;
mod scrape;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use serde::Serialize;
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

use crate::engine::State;
use crate::metrics::{Callback, Metrics};
use crate::secret::Secret;
use crate::status::{Clocks, Report, Rows, Status};
use crate::worker::{PendingCallbacks, WorkerGone};

/// Below this path OPAL calls back, for each source by its id.
pub(crate) const CALLBACKS: &str = "/opa_update/";

/// What the routes need.
pub(crate) struct Routes {
    callback_token: Secret,
    callbacks: Arc<PendingCallbacks>,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: u16,
    kind: &'static str,
    body: String,
    /// What else it says in its headers.
    header: Option<(&'static str, &'static str)>,
}

/// Answers requests, on a thread named `http`, until the listener is gone. That is reported to
/// `broken`, as is a worker that is gone: the process is of no use then.
///
/// # Errors
///
/// Where the server or its thread cannot be started.
pub(crate) fn start(
    listener: impl Into<tiny_http::Listener>,
    routes: Routes,
    broken: impl Fn(&str) + Send + 'static,
) -> io::Result<()> {
    let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
    let thread = thread::Builder::new().name("http".into());
    let serve = move || {
        loop {
            match server.recv() {
                Ok(request) => routes.handle(request, &broken),
                Err(error) => return broken(&format!("the HTTP server has ended: {error}")),
            }
        }
    };
    thread.spawn(serve).map(drop)
}

impl Routes {
    /// The routes of a daemon; callbacks have to bring `callback_token` along.
    pub(crate) fn new(
        callback_token: Secret,
        callbacks: Arc<PendingCallbacks>,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
    ) -> Routes {
        Routes {
            callback_token,
            callbacks,
            status,
            metrics,
        }
    }

    fn handle(&self, request: Request, broken: &impl Fn(&str)) {
        let authorization = request
            .headers()
            .iter()
            .find(|header| header.field.equiv("Authorization"));
        let authorization = authorization.map(|header| header.value.as_str().to_owned());
        let reply = self.route(
            request.method(),
            request.url(),
            authorization.as_deref(),
            broken,
        );
        log::debug!(
            "answered {} {:?} status={}",
            request.method(),
            request.url(),
            reply.status
        );
        // Where the client has gone, nobody needs the answer.
        let _ = request.respond(reply.into());
    }

    fn route(
        &self,
        method: &Method,
        url: &str,
        authorization: Option<&str>,
        broken: &impl Fn(&str),
    ) -> Reply {
        let path = url.split('?').next().unwrap_or_default();
        if let Some(source) = path.strip_prefix(CALLBACKS) {
            return match method {
                Method::Post => self.callback(source, authorization, broken),
                _ => Reply::not_allowed("POST"),
            };
        }
        let known = match path {
            "/health/live" => Reply::health(State::Ok),
            "/health/started" if self.status.is_started() => Reply::health(State::Ok),
            "/health/started" => Reply::health(State::Starting),
            "/health" => Reply::report(&self.status.report()),
            "/status" => Reply::json(200, &self.status.at(Instant::now())),
            "/metrics" => self.metrics(),
            "/" => Reply::page(&self.status.at(Instant::now())),
            _ => return Reply::error(404, "there is nothing here"),
        };
        match method {
            Method::Get | Method::Head => known,
            _ => Reply::not_allowed("GET, HEAD"),
        }
    }

    fn metrics(&self) -> Reply {
        match scrape::text(&self.metrics, &self.status.at(Instant::now())) {
            Ok(body) => Reply::text(scrape::FORMAT, body),
            Err(error) => {
                log::error!("failed to write the metrics: {error}");
                Reply::error(500, "the metrics cannot be written")
            }
        }
    }

    fn callback(&self, source: &str, authorization: Option<&str>, broken: &impl Fn(&str)) -> Reply {
        let presented = authorization.and_then(bearer).unwrap_or_default();
        if !self.callback_token.matches(presented) {
            self.metrics.callback(Callback::Unauthorized);
            let header = Some(("WWW-Authenticate", "Bearer"));
            let reply = Reply::error(401, "the callback token is missing or wrong");
            return Reply { header, ..reply };
        }
        match self.callbacks.add(source) {
            Ok(false) => {
                self.metrics.callback(Callback::UnknownSource);
                return Reply::error(404, "there is no such source");
            }
            Ok(true) => self.metrics.callback(Callback::Accepted),
            Err(WorkerGone) => broken("the worker has ended"),
        }
        Reply::json(202, &serde_json::json!({}))
    }
}

impl Reply {
    fn json(status: u16, body: &impl Serialize) -> Reply {
        Reply {
            status,
            kind: "application/json",
            body: serde_json::to_string(body).unwrap_or_default(),
            header: None,
        }
    }

    fn text(kind: &'static str, body: String) -> Reply {
        Reply {
            status: 200,
            kind,
            body,
            header: None,
        }
    }

    fn page(rows: &Rows) -> Reply {
        Reply {
            status: 200,
            kind: "text/html; charset=utf-8",
            body: page::of(rows, Clocks::read().wall),
            header: Some(page::POLICY),
        }
    }

    fn error(status: u16, words: &str) -> Reply {
        Reply::json(status, &serde_json::json!({ "error": words }))
    }

    fn not_allowed(allow: &'static str) -> Reply {
        let header = Some(("Allow", allow));
        let reply = Reply::error(405, "this route does not know this method");
        Reply { header, ..reply }
    }

    fn health(status: State) -> Reply {
        let reasons = Vec::new();
        Reply::report(&Report { status, reasons })
    }

    fn report(report: &Report) -> Reply {
        let status = match report.status {
            State::Ok => 200,
            State::Failing => 500,
            _ => 503,
        };
        Reply::json(status, report)
    }
}

impl From<Reply> for Response<io::Cursor<Vec<u8>>> {
    fn from(reply: Reply) -> Self {
        let named = [
            ("Content-Type", reply.kind),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ];
        let headers = named.into_iter().chain(reply.header);
        let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok());
        let length = reply.body.len();
        let body = io::Cursor::new(reply.body.into_bytes());
        Response::new(
            StatusCode(reply.status),
            headers.collect(),
            body,
            Some(length),
            None,
        )
        // Never chunked: an HTTP/1.0 client would not understand it.
        .with_chunked_threshold(usize::MAX)
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750); the scheme's case does not matter.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests;
