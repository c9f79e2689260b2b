//! ureq's errors in kinds and words.

mod tls;

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::proxy::Named;
use crate::error::{Failure, Kind, quote};

/// What went wrong with a request that got no whole answer; `proxy` was to pass it on.
pub(super) fn describe(
    asked: &str,
    error: ureq::Error,
    timeout: Duration,
    proxy: Option<&Named>,
) -> Failure {
    let (kind, words) = match error {
        ureq::Error::Timeout(_) => {
            let timeout = humantime::format_duration(timeout);
            let words = format!("no answer within {timeout} (http_timeout)");
            (Kind::Timeout, words)
        }
        ureq::Error::HostNotFound => (Kind::Lookup, "the host is not known".into()),
        ureq::Error::BodyExceedsLimit(limit) => {
            let words = format!("its answer is larger than {} MiB", limit >> 20);
            (Kind::Answer, words)
        }
        // These print the URL, or a proxy's, with the password in it.
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => {
            (Kind::Setup, "this is not a valid URL".into())
        }
        ureq::Error::ConnectProxyFailed(reason) => {
            let reason = quote(reason.as_bytes());
            let words = format!(
                "it makes no tunnel to that host: {reason} (it has to allow CONNECT, also for \
                 http://; a user name and password stand in its URL; hosts in NO_PROXY are asked \
                 directly)"
            );
            (Kind::Proxy, words)
        }
        ureq::Error::Rustls(error) => (Kind::Tls, tls::words(&error)),
        ureq::Error::Tls(_) | ureq::Error::Pem(_) => (Kind::Tls, format!("TLS failed: {error}")),
        ureq::Error::Io(error) => describe_io(&error),
        ureq::Error::Protocol(error) => {
            let error = quote(error.to_string().as_bytes());
            let advice = match asked.contains(" http://") {
                true => " (is it an https:// address?)",
                false => "",
            };
            (
                Kind::Answer,
                format!("its answer is not HTTP: {error}{advice}"),
            )
        }
        other => (Kind::Lost, quote(other.to_string().as_bytes())),
    };
    let (kind, words) = match proxy {
        Some(proxy) => past(proxy, kind, words),
        None => (kind, words),
    };
    Failure::new(kind, format!("{asked}: {words}"))
}

/// The same of a request that goes through a proxy: only the proxy itself is looked up and connected
/// to from here.
fn past(proxy: &Named, kind: Kind, words: String) -> (Kind, String) {
    match kind {
        Kind::Lookup | Kind::Refused | Kind::Proxy => (Kind::Proxy, format!("{proxy}: {words}")),
        _ => (kind, format!("{words}, through {proxy}")),
    }
}

fn describe_io(error: &io::Error) -> (Kind, String) {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            let words = "connection refused: nothing listens there (is it running, and is the \
                         address right?)";
            (Kind::Refused, words.into())
        }
        ErrorKind::TimedOut => (Kind::Timeout, "the connection timed out".into()),
        ErrorKind::InvalidData => (Kind::Tls, tls::describe(error)),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            (Kind::Lost, format!("the connection was lost: {error}"))
        }
        ErrorKind::NotConnected | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => (
            Kind::Refused,
            format!("the host cannot be reached: {error}"),
        ),
        // A name that is not found has no kind of its own.
        _ if error.raw_os_error().is_none() => {
            (Kind::Lookup, format!("the host was not found: {error}"))
        }
        _ => (Kind::Lost, error.to_string()),
    }
}
