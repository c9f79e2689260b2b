//! Requests to OPAL, OPA and the target: the only place that names ureq.

mod answer;
mod failure;
mod lookup;
mod proxy;
mod tls;

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, Uri, header};
use serde::Serialize;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy, SendBody};

use crate::address::password;
use crate::config::{Config, Tls};
use crate::duration::Seconds;
use crate::error::{Failure, Kind};
use crate::metrics::Requests;
use crate::secret::{Secret, Secrets};
pub(crate) use answer::{Answer, Object};
use lookup::Lookup;
pub(crate) use lookup::look_up;
use proxy::Proxies;

const JSON: &str = "application/json";

/// The most that is read of an answer, in bytes.
pub(crate) const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// The same of one that is not a 2xx: little of it is shown.
const LARGEST_REFUSAL: u64 = 64 * 1024;

/// The size of each of a connection's two buffers, in bytes. ureq's own 128 KiB would be most of the
/// program's memory.
const BUFFER: usize = 32 * 1024;

/// Sends requests to one peer, over connections that are kept.
pub(crate) struct Client {
    direct: Agent,
    proxies: Proxies,
    timeout: Duration,
    requests: Requests,
    /// Those of the configuration.
    pub(crate) secrets: Arc<Secrets>,
}

pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Without user name and password.
    pub(crate) url: String,
    pub(crate) authorization: Option<&'a Secret>,
    pub(crate) headers: &'a [(String, Secret)],
    pub(crate) body: Option<Body<'a>>,
    /// Secrets in the body or in the answer that the configuration does not hold. Like those in the
    /// headers, they are redacted in the remote's words.
    pub(crate) secrets: &'a [Secret],
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, url: String, authorization: Option<&'a Secret>) -> Self {
        Request {
            method,
            url,
            authorization,
            headers: &[],
            body: None,
            secrets: &[],
        }
    }

    pub(crate) fn json(self, body: &impl Serialize) -> Result<Request<'a>, Failure> {
        let body = serde_json::to_vec(body).map(|json| Body::whole(JSON, json));
        self.carrying(body.map_err(io::Error::from))
    }

    pub(crate) fn carrying(self, body: io::Result<Body<'a>>) -> Result<Request<'a>, Failure> {
        let body = body.map(Some).map_err(|error| {
            let name = self.name();
            let words = format!("{name}: failed to write its body as JSON: {error}");
            Failure::new(Kind::Setup, words)
        })?;
        Ok(Request { body, ..self })
    }

    /// The request in messages.
    fn name(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    /// What must not be repeated: each secret, what follows the scheme in it, and a password.
    fn secrets(&self) -> Vec<String> {
        let headers = self.headers.iter().map(|(_, value)| value);
        let secrets = headers.chain(self.authorization).chain(self.secrets);
        let parts = secrets.map(Secret::expose).flat_map(|secret| {
            let token = secret
                .split_once(' ')
                .map(|(_, token)| token.trim().to_owned());
            [Some(secret.to_owned()), token, password(secret)]
        });
        parts.flatten().collect()
    }
}

/// Reads as much of an answer's body as it needs.
pub(crate) type Scan<'a> = dyn FnMut(&mut dyn Read) -> io::Result<()> + 'a;

/// A body that is read while it is sent.
pub(crate) struct Body<'a> {
    pub(crate) content_type: &'static str,
    /// In bytes.
    length: u64,
    content: Box<dyn Read + 'a>,
}

impl<'a> Body<'a> {
    pub(crate) fn whole(content_type: &'static str, bytes: Vec<u8>) -> Body<'a> {
        Body {
            content_type,
            length: bytes.len() as u64,
            content: Box::new(Cursor::new(bytes)),
        }
    }

    /// JSON that is made twice rather than kept, for its length and to be sent; unless it is small: then it
    /// is sent in one piece.
    pub(crate) fn made<R: Read + 'a>(make: impl Fn() -> R) -> io::Result<Body<'a>> {
        let (mut json, mut start) = (make(), Vec::new());
        json.by_ref().take(BUFFER as u64).read_to_end(&mut start)?;
        let rest = io::copy(&mut json, &mut io::sink())?;
        Ok(match rest {
            0 => Body::whole(JSON, start),
            _ => Body {
                content_type: JSON,
                length: start.len() as u64 + rest,
                content: Box::new(make()),
            },
        })
    }
}

impl Client {
    /// A client whose requests take at most `http_timeout` each, and that keeps up to `connections` open.
    /// Fails where a certificate or key cannot be used.
    pub(crate) fn new(
        config: &Config,
        connections: usize,
        tls: &Tls,
        requests: Requests,
    ) -> Result<Client, String> {
        let timeout = config.http_timeout;
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
            Agent::with_parts(config, DefaultConnector::default(), Lookup)
        };
        // A value that is not text is not ignored, but invalid.
        let env = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        let proxies = Proxies::read(&env, &|proxy| agent(Some(proxy)));
        proxies.warn_once();
        Ok(Client {
            direct: agent(None),
            proxies,
            timeout,
            requests,
            secrets: Arc::clone(&config.secrets),
        })
    }

    /// Sends a request, and reads the whole answer, whatever its status.
    pub(crate) fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        self.send_and(request, None)
    }

    /// Sends a request whose answer matters for its status only: the body of a 2xx is not kept, and may be
    /// larger than others.
    pub(crate) fn tell(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let mut skip = |body: &mut dyn Read| {
            let skipped = io::copy(&mut body.take(LARGEST_ANSWER), &mut io::sink());
            skipped.map(drop)
        };
        self.send_and(request, Some(&mut skip))
    }

    /// Sends a request, and has the body of a 2xx read by `scan`, however large it is; nothing else of it is
    /// kept. The connection is used again only if `scan` reads to the end.
    pub(crate) fn send_and(
        &self,
        request: Request<'_>,
        scan: Option<&mut Scan<'_>>,
    ) -> Result<Answer, Failure> {
        let start = Instant::now();
        let asked = self.secrets.redact(&request.name());
        let method = request.method.clone();
        let result = self.exchange(request, &asked, scan);
        let took = Seconds(start.elapsed());
        let status = result.as_ref().map(|it| it.status).map_err(|it| it.kind);
        match status {
            Ok(status) => log::debug!("request {asked} status={status} took={took}"),
            Err(kind) => log::debug!("request {asked} failed={kind:?} took={took}"),
        }
        self.requests.count(&method, status);
        result
    }

    fn exchange(
        &self,
        request: Request<'_>,
        asked: &str,
        scan: Option<&mut Scan<'_>>,
    ) -> Result<Answer, Failure> {
        let unusable = |words: &str| Failure::new(Kind::Setup, format!("{asked}: {words}"));
        let uri = request.url.parse::<Uri>();
        let uri = uri.map_err(|_| unusable("not a valid URL"))?;
        let secrets = request.secrets();
        let proxy = self.proxies.on_the_way_to(&uri);
        let agent = match proxy {
            Some(proxy) => proxy.agent.as_ref().map_err(|words| unusable(words))?,
            None => &self.direct,
        };
        let mut builder = http::Request::builder().method(&request.method).uri(uri);
        for (name, value) in request.headers {
            builder = builder.header(name, value.expose());
        }
        if let Some(authorization) = request.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization.expose());
        }
        if request.body.is_none() && request.method == Method::POST {
            // Without it, the empty body is sent in chunks, which not every server reads.
            builder = builder.header(header::CONTENT_LENGTH, 0);
        }
        // ureq says of this that the answer is not HTTP.
        let headers = builder.headers_ref();
        let authorization = headers.and_then(|it| it.get(header::AUTHORIZATION));
        if authorization.is_some_and(|value| value.to_str().is_err()) {
            return Err(unusable("the Authorization header holds more than ASCII"));
        }
        let sent = match request.body {
            Some(mut body) => builder
                .header(header::CONTENT_LENGTH, body.length)
                .header(header::CONTENT_TYPE, body.content_type)
                .body(SendBody::from_reader(&mut body.content))
                .map(|request| agent.run(request)),
            None => builder.body(()).map(|request| agent.run(request)),
        };
        let sent = sent.map_err(|_| unusable("a header has an invalid name or value"))?;
        let failed = |error| failure::describe(asked, error, self.timeout, proxy);
        let mut response = sent.map_err(failed)?;
        let status = response.status().as_u16();
        let pause = answer::pause_asked_for(status, response.headers(), SystemTime::now());
        let is_success = (200..300).contains(&status);
        let body = match scan.filter(|_| is_success) {
            Some(scan) => {
                let scanned = scan(&mut response.body_mut().as_reader());
                scanned.map(|()| Vec::new()).map_err(ureq::Error::from)
            }
            None if is_success => {
                let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
                body.read_to_vec()
            }
            None => {
                let (mut body, mut words) = (response.body_mut().as_reader(), Vec::new());
                let read = body.by_ref().take(LARGEST_REFUSAL).read_to_end(&mut words);
                read.map(|_| words).map_err(ureq::Error::from)
            }
        };
        let mut body = body.map_err(failed)?;
        if !is_success {
            let mut all = Secrets::clone(&self.secrets);
            for secret in secrets {
                all.add(&secret, "[redacted]");
            }
            body = all.redact(&String::from_utf8_lossy(&body)).into_bytes();
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
