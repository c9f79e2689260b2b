//! What went wrong with TLS, and what to do.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError, Error};

/// TLS's own words, and advice where there is any.
pub(super) fn describe(error: &io::Error) -> String {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => words(error),
        None => format!("TLS failed: {error}"),
    }
}

/// The same of an error that was not wrapped.
pub(super) fn words(error: &Error) -> String {
    match advice(error) {
        Some(advice) => format!("TLS failed: {error} ({advice})"),
        None => format!("TLS failed: {error}"),
    }
}

fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::InvalidCertificate(error) => Some(advice_on_certificate(error)),
        Error::AlertReceived(alert) => advice_on_alert(*alert),
        Error::InvalidMessage(_) => Some("is it an http:// address?"),
        _ => None,
    }
}

fn advice_on_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "renew the server's certificate, or set the clock of this machine"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "set the clock of this machine, or that of whoever made the certificate"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write the address with a name that stands in the server's certificate"
        }
        // The signature is a bad one where an authority was made anew under its old name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "where its authority is a private one, put its present certificate into ca_file, which \
             only sources have"
        }
        _ => "the server's certificate cannot be used: have it made anew",
    }
}

/// The server ended it: before it knows us, it is about our certificate, mostly.
fn advice_on_alert(alert: Alert) -> Option<&'static str> {
    match alert {
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
        | Alert::AccessDenied => {
            Some("it wants another client certificate: see cert_file and key_file")
        }
        _ => None,
    }
}
