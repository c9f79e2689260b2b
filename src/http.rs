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
use crate::duration::Seconds;
use crate::error::{Failure, Kind};
use crate::metrics::Requests;
use crate::secret::Secret;
pub(crate) use answer::Answer;
pub(crate) use body::Body;
use lookup::Lookup;
pub(crate) use object::Object;
use proxy::Proxies;

/// The most that is read of an answer, in bytes.
pub(crate) const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// The size of each of a connection's two buffers, in bytes. ureq's own 128 KiB would be most of the
/// program's memory.
const BUFFER: usize = 32 * 1024;

/// Sends requests to one peer, over connections that are kept.
pub(crate) struct Client {
    direct: Agent,
    proxies: Proxies,
    timeout: Duration,
    requests: Requests,
}

pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Without user name and password.
    pub(crate) url: String,
    pub(crate) authorization: Option<&'a Secret>,
    pub(crate) headers: &'a [(String, Secret)],
    pub(crate) body: Option<Body<'a>>,
    /// A secret in the body or in the answer. Like those in the headers, it is redacted in the
    /// remote's words.
    pub(crate) secret: Option<&'a Secret>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, url: String) -> Request<'a> {
        Request {
            method,
            url,
            authorization: None,
            headers: &[],
            body: None,
            secret: None,
        }
    }

    pub(crate) fn authorized(self, authorization: Option<&'a Secret>) -> Request<'a> {
        Request {
            authorization,
            ..self
        }
    }
}

impl Request<'_> {
    /// What must not be repeated: each secret, what follows the scheme in it, and a password.
    fn secrets(&self) -> Vec<String> {
        let headers = self.headers.iter().map(|(_, value)| value);
        let secrets = headers.chain(self.authorization).chain(self.secret);
        let parts = secrets.map(Secret::expose).flat_map(|secret| {
            let token = secret
                .split_once(' ')
                .map(|(_, token)| token.trim().to_owned());
            [Some(secret.to_owned()), token, password(secret)]
        });
        parts.flatten().filter(|part| !part.is_empty()).collect()
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

impl Client {
    /// A client whose requests take `timeout` at most, whole, and up to `connections` at once.
    ///
    /// # Errors
    ///
    /// Names the certificate or key that cannot be used.
    pub(crate) fn new(
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

    /// Sends a request, and reads the whole answer, whatever its status.
    pub(crate) fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let start = Instant::now();
        let (asked, method) = (request.to_string(), request.method.clone());
        let result = self.exchange(request, &asked);
        let took = Seconds(start.elapsed());
        let status = result.as_ref().map(|answer| answer.status);
        match status {
            Ok(status) => log::debug!("request {asked} status={status} took={took}"),
            Err(failure) => log::debug!("request {asked} failed={:?} took={took}", failure.kind),
        }
        let status = status.map_err(|failure| failure.kind);
        self.requests.count(&method, status);
        result
    }

    fn exchange(&self, request: Request<'_>, asked: &str) -> Result<Answer, Failure> {
        let unusable = |words: &str| Failure::new(Kind::Setup, format!("{asked}: {words}"));
        let uri = request.url.parse::<Uri>();
        let uri = uri.map_err(|_| unusable("this is not a valid URL"))?;
        let secrets = request.secrets();
        let proxy = self.proxies.on_the_way_to(&uri);
        let agent = proxy.map_or(Ok(&self.direct), |proxy| proxy.agent());
        let agent = agent.map_err(|words| unusable(&words))?;
        let mut builder = http::Request::builder().method(&request.method).uri(uri);
        for (name, value) in request.headers {
            builder = builder.header(name, value.expose());
        }
        if let Some(authorization) = request.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization.expose());
        }
        let length = match &request.body {
            Some(body) => Some(body.length),
            // Without it, the empty body is sent in chunks, which not every server reads.
            None => (request.method == Method::POST).then_some(0),
        };
        if let Some(length) = length {
            builder = builder.header(header::CONTENT_LENGTH, length);
        }
        let sent = match request.body {
            Some(mut body) => builder
                .header(header::CONTENT_TYPE, body.content_type)
                .body(SendBody::from_reader(&mut body.content))
                .map(|request| agent.run(request)),
            None => builder.body(()).map(|request| agent.run(request)),
        };
        let sent = sent.map_err(|_| unusable("a header holds what no header may hold"))?;
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
