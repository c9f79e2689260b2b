//! The HTTP server: the routes (tiny_http), behind the gate.

pub(crate) mod gate;
mod page;
mod scrape;

use std::io::{self, Cursor};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use serde::Serialize;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::engine::State;
use crate::metrics::{Callback, Metrics};
use crate::secret::Secret;
use crate::status::{Clocks, Report, Status};
use crate::target::Asked;
use crate::worker::{PendingCallbacks, WorkerGone};

/// Below this path OPAL calls back, for each source by its id.
pub(crate) const CALLBACKS: &str = "/opa_update/";

/// The other routes.
const READS: [&str; 6] = [
    "/",
    "/health",
    "/health/live",
    "/health/started",
    "/metrics",
    "/status",
];

/// What the routes need.
pub(crate) struct Routes {
    pub(crate) callback_token: Secret,
    pub(crate) callbacks: Arc<PendingCallbacks>,
    pub(crate) status: Arc<Status>,
    pub(crate) metrics: Arc<Metrics>,
}

type Reply = Response<Cursor<Vec<u8>>>;

/// Answers requests on threads named `http`: one for each connection of the gate, which sends one request
/// at a time on each. Until `routes` are set, every answer is 503. `broken` is called
/// when the server has ended: the process is of no use then.
pub(crate) fn start(
    listener: impl Into<tiny_http::Listener>,
    routes: &Arc<OnceLock<Arc<Routes>>>,
    broken: impl Fn(&str) + Clone + Send + 'static,
) -> io::Result<()> {
    let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
    let server = Arc::new(server);
    for _ in 0..gate::LINKS {
        let (server, routes, broken) = (Arc::clone(&server), Arc::clone(routes), broken.clone());
        let serve = move || {
            loop {
                match server.recv() {
                    Ok(request) => match routes.get() {
                        Some(routes) => routes.handle(request),
                        None => drop(request.respond(Response::empty(503))),
                    },
                    Err(error) => return broken(&format!("the HTTP server has ended: {error}")),
                }
            }
        };
        let thread = thread::Builder::new().name("http".into());
        thread.spawn(serve)?;
    }
    Ok(())
}

impl Routes {
    /// A request has arrived: if it is a callback, the worker hears of it before it is answered.
    pub(crate) fn announce(&self, asked: &Asked<'_>) -> Result<(), WorkerGone> {
        match asked.path.strip_prefix(CALLBACKS) {
            Some(source)
                if asked.method == "POST"
                    && self.callback_token.is_bearer_of(asked.authorization) =>
            {
                self.callbacks.add(source)
            }
            _ => Ok(()),
        }
    }

    fn handle(&self, request: Request) {
        let reply = self.route(&request);
        let (method, status) = (request.method(), reply.status_code().0);
        // A path that is not known can be that of `advertised_address`, with a secret in it.
        let path = match status {
            404 => "an unknown path",
            _ => request.url().split('?').next().unwrap_or_default(),
        };
        log::debug!("answered {method} {path:?} status={status}");
        // If the client has left, the answer is of no use.
        let _ = request.respond(reply);
    }

    fn route(&self, request: &Request) -> Reply {
        let path = request.url().split('?').next().unwrap_or_default();
        if let Some(source) = path.strip_prefix(CALLBACKS) {
            return match request.method() {
                Method::Post => self.callback(source, request.headers()),
                _ => not_allowed("POST"),
            };
        }
        if !READS.contains(&path) {
            return error(404, "there is nothing here");
        }
        if !matches!(request.method(), Method::Get | Method::Head) {
            return not_allowed("GET, HEAD");
        }
        match path {
            "/health/live" => health(State::Ok),
            "/health/started" if self.status.is_started() => health(State::Ok),
            "/health/started" => health(State::Starting),
            "/health" => report(&self.status.report(Instant::now())),
            "/status" => json(200, &self.status.at(Instant::now())),
            "/metrics" => self.metrics(),
            _ => {
                let page = page::of(&self.status.at(Instant::now()), Clocks::read().wall);
                with(reply(200, "text/html; charset=utf-8", page), page::POLICY)
            }
        }
    }

    fn metrics(&self) -> Reply {
        match scrape::text(&self.metrics, &self.status.at(Instant::now())) {
            Ok(body) => reply(200, scrape::FORMAT, body),
            Err(failure) => {
                log::error!("failed to write the metrics: {failure}");
                error(500, "the metrics cannot be written")
            }
        }
    }

    /// The answer to a callback, which has been announced.
    fn callback(&self, source: &str, headers: &[Header]) -> Reply {
        let mut headers = headers.iter();
        let authorization = headers.find(|header| header.field.equiv("Authorization"));
        let authorization = authorization.map(|header| header.value.as_str());
        if !self.callback_token.is_bearer_of(authorization) {
            self.metrics.callback(Callback::Unauthorized);
            let reply = error(401, "the callback token is missing or wrong");
            return with(reply, ("WWW-Authenticate", "Bearer"));
        }
        if !self.callbacks.has(source) {
            self.metrics.callback(Callback::UnknownSource);
            return error(404, "there is no such source");
        }
        self.metrics.callback(Callback::Accepted);
        json(202, &serde_json::json!({}))
    }
}

fn reply(status: u16, kind: &str, body: String) -> Reply {
    // Never chunked: an HTTP/1.0 client would not understand it.
    let reply = Response::from_data(body).with_status_code(status);
    let named = [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ];
    let reply = reply.with_chunked_threshold(usize::MAX);
    named.into_iter().fold(reply, with)
}

fn with(reply: Reply, (name, value): (&str, &str)) -> Reply {
    match Header::from_bytes(name, value) {
        Ok(header) => reply.with_header(header),
        Err(()) => reply,
    }
}

fn json(status: u16, body: &impl Serialize) -> Reply {
    let body = serde_json::to_string(body).unwrap_or_default();
    reply(status, "application/json", body)
}

fn error(status: u16, words: &str) -> Reply {
    json(status, &serde_json::json!({ "error": words }))
}

fn not_allowed(allow: &str) -> Reply {
    let reply = error(405, "this route does not know this method");
    with(reply, ("Allow", allow))
}

fn health(status: State) -> Reply {
    let reasons = Vec::new();
    report(&Report { status, reasons })
}

fn report(report: &Report) -> Reply {
    let status = match report.status {
        State::Ok => 200,
        State::Failing => 500,
        _ => 503,
    };
    json(status, report)
}

#[cfg(test)]
mod tests;
