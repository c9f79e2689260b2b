//! The addresses of OPAL, OPA and the target: http(s) URLs whose password never shows.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
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
    port: Option<u16>,
    /// Without a slash at its end; empty for the root.
    path: String,
    basic: Option<Secret>,
}

impl Address {
    /// Reads a URL such as `https://flags.example.com/api/toggles`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, without quoting it: it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Address, String> {
        if !(text.starts_with("http://") || text.starts_with("https://")) {
            return Err("an address starts with http:// or https://".into());
        }
        if text.contains('#') {
            return Err("an address has no fragment (the part from # on)".into());
        }
        let uri: Uri = text.parse().map_err(|_| "this is not a valid URL")?;
        if uri.query().is_some() {
            return Err("an address has no query (the part from ? on)".into());
        }
        let authority = uri.authority().ok_or("the host is missing")?.as_str();
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, authority),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or("the host is missing")?.to_owned();
        let port = match host_port[host.len()..].strip_prefix(':') {
            None => None,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => Some(port),
                _ => return Err("the port is not a number from 1 to 65535".into()),
            },
        };
        Ok(Address {
            scheme: uri.scheme_str().unwrap_or("http").to_owned(),
            host,
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
            basic: userinfo.map(from_userinfo),
        })
    }

    /// This address with path segments added, each percent-encoded, with one slash between them.
    ///
    /// The result has no user name and password: those are in [`Address::authorization`].
    pub(crate) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> String {
        let mut url = self.to_string();
        for segment in segments {
            url.push('/');
            url.extend(encode_segment(segment));
        }
        url
    }

    /// The value of an `Authorization` header, where the URL held a user name and password.
    pub(crate) fn authorization(&self) -> Option<&Secret> {
        self.basic.as_ref()
    }

    /// The host: a name or an IP address, an IPv6 one in brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The same address at another host.
    pub(crate) fn at_host(&self, host: &str) -> Address {
        Address {
            host: host.to_owned(),
            ..self.clone()
        }
    }

    /// The address as it is spelled for every spelling of it: the host in lower case, and no port that
    /// is the default of its scheme.
    pub(crate) fn spelled_alike(&self) -> Address {
        let default = if self.is_plain() { 80 } else { 443 };
        Address {
            host: self.host.to_ascii_lowercase(),
            port: self.port.filter(|port| *port != default),
            ..self.clone()
        }
    }

    /// Whether the host is this machine itself.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether what is sent there can be read on the way.
    pub(crate) fn is_plain(&self) -> bool {
        self.scheme == "http"
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

/// One path segment, percent-encoded.
///
/// `.` and `..` are encoded too: as they are, they would be taken for steps within the path.
pub(crate) fn encode_segment(segment: &str) -> impl Iterator<Item = &str> {
    let (dots, rest) = match segment {
        "." => ("%2E", ""),
        ".." => ("%2E%2E", ""),
        other => ("", other),
    };
    std::iter::once(dots).chain(utf8_percent_encode(rest, SEGMENT))
}

/// Whether a host, as it stands in a URL, is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The value of an `Authorization` header for a user name and password (RFC 7617).
pub(crate) fn basic(user: &str, password: &str) -> Secret {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Secret::new(format!("Basic {encoded}"))
}

/// The password in the value of such a header; the user name where that stands alone, as tokens do.
pub(crate) fn password(authorization: &str) -> Option<String> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let secret = if password.is_empty() { user } else { password };
    Some(secret.to_owned())
}

fn from_userinfo(userinfo: &str) -> Secret {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    basic(&decode(user), &decode(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_found_in_what_was_made_of_it() {
        for (user, secret, found) in [("ann", "s3:4", Some("s3:4")), ("t0ken", "", Some("t0ken"))] {
            assert_eq!(password(basic(user, secret).expose()).as_deref(), found);
        }
        assert_eq!(password("Bearer s3"), None);
        assert_eq!(password("Basic !"), None);
    }

    #[test]
    fn a_path_is_joined_with_one_slash_and_encoded() {
        for base in ["http://flags:8000/api", "http://flags:8000/api/"] {
            let address = Address::parse(base).unwrap();
            assert_eq!(
                address.join(["a/b c", "é"]),
                "http://flags:8000/api/a%2Fb%20c/%C3%A9"
            );
        }
        let root = Address::parse("https://flags.example.com").unwrap();
        assert_eq!(root.join([".."]), "https://flags.example.com/%2E%2E");
    }

    #[test]
    fn one_address_can_be_spelled_in_many_ways() {
        let one = |text: &str| Address::parse(text).unwrap().spelled_alike().to_string();
        for spelling in [
            "https://flags.example.com/api",
            "https://flags.example.com/api/",
            "https://Flags.Example.COM:443/api",
            "https://ann:secret@flags.example.com/api",
        ] {
            assert_eq!(one(spelling), "https://flags.example.com/api");
        }
        assert_eq!(one("http://flags:80"), "http://flags");
        for other in ["https://flags:80", "http://flags:443", "http://flags/A"] {
            assert_eq!(one(other), other);
        }
    }

    #[test]
    fn a_password_travels_as_a_header_and_never_prints() {
        let address = Address::parse("http://ann:s%3Acret@flags/api").unwrap();
        assert_eq!(address.to_string(), "http://flags/api");
        assert!(!format!("{address:?}").contains("cret"));
        let header = address.authorization().unwrap().expose();
        assert_eq!(header, "Basic YW5uOnM6Y3JldA==");
    }

    #[test]
    fn what_is_no_address_is_refused_without_quoting_it() {
        for wrong in [
            "flags:8000",
            "ftp://flags",
            "http://",
            "http://flags:99999",
            "http://flags:0",
            "http://u:p@",
            "http://flags/a b",
            "http://flags/?token=hidden",
            "http://flags/#hidden",
        ] {
            let error = Address::parse(wrong).unwrap_err();
            assert!(!error.contains("hidden"), "{wrong}: {error}");
        }
    }

    #[test]
    fn loopback_hosts_are_known_in_every_spelling() {
        for (url, loopback) in [
            ("http://localhost:1", true),
            ("http://127.0.0.2", true),
            ("http://[::1]:8181", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://opa:8181", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                Address::parse(url).unwrap().is_loopback(),
                loopback,
                "{url}"
            );
        }
    }
}
