//! Requests to OPAL, OPA and the target: the only place that names ureq.

mod answer;
mod body;
mod failure;
mod lookup;
mod object;
mod pause;
mod proxy;
mod redact;
mod tls;

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, Uri, header};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy, SendBody};

use crate::address::password;
use crate::config::Tls;
use crate::error::{Failure, Kind};
use crate::metrics::Requests;
use crate::seconds::Seconds;
use crate::secret::Secret;
pub use answer::Answer;
pub use body::Body;
use lookup::Lookup;
pub use object::Object;
use proxy::Proxies;

/// The most that is read of an answer, in bytes.
pub const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// The size of each of the two buffers that a connection keeps, in bytes. ureq's own 128 KiB would
/// make up most of the program's memory.
const BUFFER: usize = 32 * 1024;

/// Makes requests to one peer, over connections that are kept.
pub struct Client {
    direct: Agent,
    proxies: Proxies,
    timeout: Duration,
    requests: Requests,
}

/// A request.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The URL, without user name and password.
    pub url: String,
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a Secret>,
    /// More headers.
    pub headers: &'a [(String, Secret)],
    /// The body.
    pub body: Option<Body<'a>>,
    /// A secret in the body, or in the answer: like those in the headers, it is taken out of the remote's words.
    pub secret: Option<&'a Secret>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub fn new(method: Method, url: String) -> Request<'a> {
        Request {
            method,
            url,
            authorization: None,
            headers: &[],
            body: None,
            secret: None,
        }
    }

    /// The same with an `Authorization` header.
    pub fn authorized(self, authorization: Option<&'a Secret>) -> Request<'a> {
        Request {
            authorization,
            ..self
        }
    }
}

impl Request<'_> {
    /// What must not be repeated: each secret, what stands behind the scheme in it, and a password.
    fn secrets(&self) -> Vec<String> {
        let headers = self.headers.iter().map(|(_, value)| value);
        let secrets = headers
            .chain(self.authorization)
            .chain(self.secret)
            .map(Secret::expose);
        let parts = secrets.flat_map(|secret| {
            let token = secret.split_once(' ').map(|(_, token)| token.trim());
            let parts = [Some(secret), token].map(|part| part.map(str::to_owned));
            parts.into_iter().chain([password(secret)]).flatten()
        });
        parts.filter(|part| !part.is_empty()).collect()
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

impl Client {
    /// A client whose requests take `timeout` at most, whole, with up to `connections` at once, and
    /// are counted in `requests`.
    ///
    /// # Errors
    ///
    /// Says which certificate or key cannot be used.
    pub fn new(
        timeout: Duration,
        connections: usize,
        tls: &Tls,
        requests: Requests,
    ) -> Result<Client, String> {
        let tls = tls::config(tls)?;
        let agent = |proxy: Option<Proxy>| {
            let config = Agent::config_builder()
                .timeout_global(Some(timeout))
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .input_buffer_size(BUFFER)
                .output_buffer_size(BUFFER)
                .max_response_header_size(BUFFER / 2)
                .max_idle_connections(connections)
                .max_idle_connections_per_host(connections)
                .user_agent(concat!("optoggles/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls.clone())
                .proxy(proxy)
                .build();
            Agent::with_parts(config, DefaultConnector::default(), Lookup::default())
        };
        Ok(Client {
            direct: agent(None),
            proxies: Proxies::read(&|name| std::env::var(name).ok(), &|proxy| {
                agent(Some(proxy))
            }),
            timeout,
            requests,
        })
    }

    /// Sends a request, and reads the answer whole.
    ///
    /// # Errors
    ///
    /// Where there is no whole answer. An answer of any status is one.
    pub fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let start = Instant::now();
        let (asked, method) = (request.to_string(), request.method.clone());
        let result = self.exchange(request, &asked);
        let took = Seconds(start.elapsed());
        let answered = result.as_ref().map(|answer| answer.status);
        self.requests
            .count(&method, answered.map_err(|failure| failure.kind));
        match &result {
            Ok(answer) => log::debug!("request {asked} status={} took={took}", answer.status),
            Err(failure) => log::debug!("request {asked} failed={:?} took={took}", failure.kind),
        }
        result
    }

    fn exchange(&self, request: Request<'_>, asked: &str) -> Result<Answer, Failure> {
        let uri: Uri = request.url.parse().map_err(|_| {
            let words = format!("{asked}: this is not a valid URL");
            Failure::new(Kind::Setup, words)
        })?;
        let secrets = request.secrets();
        let proxy = self.proxies.on_the_way_to(&uri);
        let agent = proxy.map_or(Ok(&self.direct), |proxy| proxy.agent());
        let unusable = |words| Failure::new(Kind::Setup, format!("{asked}: {words}"));
        let agent = agent.map_err(unusable)?;
        let is_post = request.method == Method::POST;
        let mut builder = http::Request::builder().method(request.method).uri(uri);
        for (name, value) in request.headers {
            builder = builder.header(name, value.expose());
        }
        if let Some(authorization) = request.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization.expose());
        }
        let sent = match request.body {
            Some(mut body) => {
                let builder = builder
                    .header(header::CONTENT_TYPE, body.content_type)
                    .header(header::CONTENT_LENGTH, body.length);
                let content = SendBody::from_reader(&mut body.content);
                builder.body(content).map(|request| agent.run(request))
            }
            // Without it, an empty body is sent in chunks, for which not every server looks.
            None if is_post => builder
                .header(header::CONTENT_LENGTH, 0)
                .body(())
                .map(|request| agent.run(request)),
            None => builder.body(()).map(|request| agent.run(request)),
        };
        let sent = sent.map_err(|_| {
            let words = format!("{asked}: a header holds what no header may hold");
            Failure::new(Kind::Setup, words)
        })?;
        let failed = |error| failure::describe(asked, error, self.timeout, proxy);
        let mut response = sent.map_err(failed)?;
        let status = response.status().as_u16();
        let pause = pause::asked_for(status, response.headers(), SystemTime::now());
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
        let mut body = body.read_to_vec().map_err(failed)?;
        if !(200..300).contains(&status) {
            body = redact::redact(&body, &secrets);
        }
        Ok(Answer {
            status,
            body,
            pause,
            asked: asked.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
