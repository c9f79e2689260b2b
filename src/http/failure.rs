//! ureq's errors by kind and in words.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rustix::io::Errno;
use rustls::{AlertDescription as Alert, CertificateError};

use super::lookup::Lost;
use super::proxy::Named;
use crate::error::{Failure, Kind, quote};

/// Why a request got no whole answer, through `proxy` if there is one.
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
        ureq::Error::HostNotFound => (Kind::Lookup, "host not found".into()),
        ureq::Error::Other(error) => match error.downcast_ref() {
            Some(Lost::NoThread(_)) => (Kind::System, error.to_string()),
            Some(Lost::Failed(reason)) if is_of_system(reason) => (Kind::System, error.to_string()),
            Some(Lost::Failed(_) | Lost::Late) => (Kind::Lookup, error.to_string()),
            None => (Kind::Lost, quote(error.to_string().as_bytes())),
        },
        ureq::Error::BodyExceedsLimit(limit) => {
            let words = format!("the answer is larger than {} MiB", limit >> 20);
            (Kind::Answer, words)
        }
        // This prints the URL, or a proxy's, with the password in it.
        ureq::Error::BadUri(_) => (Kind::Setup, "not a valid URL".into()),
        ureq::Error::ConnectProxyFailed(reason) => {
            let reason = quote(reason.as_bytes());
            let words = format!(
                "no tunnel to that host: {reason} (the proxy must allow CONNECT, also for http://; a \
                 user name and password belong in its URL; hosts in NO_PROXY are asked directly)"
            );
            (Kind::Proxy, words)
        }
        ureq::Error::Rustls(error) => (Kind::Tls, tls_failure(&error)),
        ureq::Error::Tls(_) | ureq::Error::Pem(_) => (Kind::Tls, format!("TLS failed: {error}")),
        ureq::Error::Io(error) => describe_io(&error),
        ureq::Error::Protocol(error) => {
            let error = quote(error.to_string().as_bytes());
            let advice = match asked.contains(" http://") {
                true => " (is it an https:// address?)",
                false => "",
            };
            let words = format!("the answer is not HTTP: {error}{advice}");
            (Kind::Answer, words)
        }
        ureq::Error::LargeResponseHeader(..) => (
            Kind::Answer,
            "the headers of the answer are too large".into(),
        ),
        ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl | ureq::Error::TlsRequired => {
            (Kind::Setup, format!("the request cannot be sent: {error}"))
        }
        other => (Kind::Lost, quote(other.to_string().as_bytes())),
    };
    let (kind, words) = match (proxy, kind) {
        (None, _) => (kind, words),
        // The proxy alone is looked up and connected to from here.
        (Some(proxy), Kind::Lookup | Kind::Refused | Kind::Proxy) => {
            (Kind::Proxy, format!("{proxy}: {words}"))
        }
        (Some(proxy), _) => (kind, format!("{words}, through {proxy}")),
    };
    Failure::new(kind, format!("{asked}: {words}"))
}

/// Whether the system we run on is the reason, and not the network or the remote.
fn is_of_system(error: &io::Error) -> bool {
    let refusals = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::ADDRNOTAVAIL,
        Errno::AFNOSUPPORT,
        Errno::ACCESS,
        Errno::PERM,
    ];
    Errno::from_io_error(error).is_some_and(|error| refusals.contains(&error))
}

fn describe_io(error: &io::Error) -> (Kind, String) {
    match error.kind() {
        _ if is_of_system(error) => (
            Kind::System,
            format!("the system refused a connection: {error}"),
        ),
        ErrorKind::ConnectionRefused => {
            let words = "connection refused: nothing is listening there (is it running, and is the \
                         address correct?)";
            (Kind::Refused, words.into())
        }
        ErrorKind::TimedOut => (Kind::Timeout, "the connection timed out".into()),
        // ureq wraps the TLS error.
        ErrorKind::InvalidData => {
            let inner = error.get_ref();
            let words = match inner.and_then(|inner| inner.downcast_ref()) {
                Some(error) => tls_failure(error),
                None => format!("TLS failed: {error}"),
            };
            (Kind::Tls, words)
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            (Kind::Lost, format!("connection lost: {error}"))
        }
        ErrorKind::NotConnected | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            (Kind::Refused, format!("host unreachable: {error}"))
        }
        _ => (Kind::Lost, error.to_string()),
    }
}

fn tls_failure(error: &rustls::Error) -> String {
    let advice = match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew the server's certificate, or correct this machine's clock"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "check this machine's clock, and when the certificate becomes valid"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "use a host that the server's certificate names"
            }
            // The signature is bad if a CA was created again under its old name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "for a private CA, set ca_file to its current certificate"
            }
            _ => "replace the server's certificate",
        },
        // A server that ends the handshake mostly does so because of our certificate.
        rustls::Error::AlertReceived(
            Alert::CertificateRequired
            | Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied,
        ) => "the server requires another client certificate: check cert_file and key_file",
        rustls::Error::InvalidMessage(_) => "is it an http:// address?",
        _ => return format!("TLS failed: {error}"),
    };
    format!("TLS failed: {error} ({advice})")
}
