//! The addresses of OPAL, OPA and the target: http(s) URLs whose password never shows.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use base64::prelude::{BASE64_STANDARD, Engine};
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::secret::Secret;

/// What stays as it is in a path segment: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An http or https URL without query and fragment, to which paths are added.
///
/// A user name and password in it travel as `Authorization: Basic` and are never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    scheme: String,
    host: String,
    port: Option<NonZeroU16>,
    /// Without a slash at its end; empty for the root.
    path: String,
    basic: Option<Secret>,
}

impl Address {
    /// Says what is wrong with a URL without quoting it: it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Address, String> {
        if !(text.starts_with("http://") || text.starts_with("https://")) {
            return Err("it must start with http:// or https://".into());
        }
        if text.contains('#') {
            return Err("it must not have a fragment (the part from # on)".into());
        }
        let uri: Uri = text.parse().map_err(|_| "it is not a valid URL")?;
        if uri.query().is_some() {
            return Err("it must not have a query (the part from ? on)".into());
        }
        let authority = uri.authority().ok_or("the host is missing")?.as_str();
        let at = authority.rsplit_once('@');
        let host_port = at.map_or(authority, |(_, host_port)| host_port);
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or("the host is missing")?.to_owned();
        let port = host_port[host.len()..].strip_prefix(':').map(str::parse);
        let port = port.transpose();
        let port = port.map_err(|_| "the port is not a number from 1 to 65535")?;
        Ok(Address {
            scheme: uri.scheme_str().unwrap_or("http").to_owned(),
            host,
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
            basic: at.map(|(userinfo, _)| {
                let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
                let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
                basic(&decode(user), &decode(password))
            }),
        })
    }

    /// The URL, without user name and password, with path segments added, each percent-encoded.
    pub(crate) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> String {
        let mut url = self.to_string();
        for segment in segments {
            url.push('/');
            match segment {
                // As they are, they would be steps within the path.
                "." => url.push_str("%2E"),
                ".." => url.push_str("%2E%2E"),
                _ => url.extend(utf8_percent_encode(segment, SEGMENT)),
            }
        }
        url
    }

    /// The value of an `Authorization` header, where the URL held a user name and password.
    pub(crate) fn authorization(&self) -> Option<&Secret> {
        self.basic.as_ref()
    }

    /// A name or an IP address, an IPv6 one in brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The host, and the port if there is one.
    pub(crate) fn authority(&self) -> String {
        let port = self.port.map_or(String::new(), |port| format!(":{port}"));
        format!("{}{port}", self.host)
    }

    pub(crate) fn at_host(&self, host: &str) -> Address {
        Address {
            host: host.to_owned(),
            ..self.clone()
        }
    }

    /// One spelling for all of an address: the host in lower case, and no port that is the scheme's default.
    pub(crate) fn spelled_alike(&self) -> Address {
        let default = if self.is_plain() { 80 } else { 443 };
        Address {
            host: self.host.to_ascii_lowercase(),
            port: self.port.filter(|port| port.get() != default),
            ..self.clone()
        }
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether requests are sent unencrypted.
    pub(crate) fn is_plain(&self) -> bool {
        self.scheme == "http"
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.path)
    }
}

/// Whether a host, as it is in a URL, is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The value of an `Authorization` header for a user name and password (RFC 7617).
pub(crate) fn basic(user: &str, password: &str) -> Secret {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    Secret::new(format!("Basic {encoded}"))
}

/// The password in the value of such a header; the user name where it is alone, as tokens are.
pub(crate) fn password(authorization: &str) -> Option<String> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let secret = if password.is_empty() { user } else { password };
    Some(secret.to_owned())
}

#[cfg(test)]
mod tests;
