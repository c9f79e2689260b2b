//! Which requests go through a proxy of the environment.

use std::fmt;
use std::net::IpAddr;
use std::sync::Once;

use http::Uri;
use ureq::{Agent, Proxy, ProxyProtocol};

use crate::address::is_loopback;

/// The proxies of the environment, as other programs understand it: by scheme, and never for this
/// machine. ureq takes the first variable that it finds for everything, and reads a name in `NO_PROXY`
/// without the names below it.
pub(super) struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    /// Hosts to ask directly.
    direct: Vec<Direct>,
    /// What of `NO_PROXY` is not understood.
    pub(super) unknown: Vec<String>,
}

/// An entry of `NO_PROXY`, as curl and Go read it.
struct Direct {
    hosts: Hosts,
    /// Only at this port.
    port: Option<u16>,
}

enum Hosts {
    All,
    /// A name in lower case, and all names below it.
    Named(String),
    /// The same without the name itself.
    Below(String),
    /// The addresses that have their first bits in common with this one.
    Range(IpAddr, u8),
}

/// A proxy, and how it is shown: without user name and password.
pub(super) struct Named {
    pub(super) variable: &'static str,
    host: String,
    /// Sends through the proxy. If that cannot be used, nothing goes around it.
    pub(super) agent: Result<Agent, String>,
}

impl Proxies {
    /// Reads the environment; `agent` makes the agent that goes through a proxy.
    pub(super) fn read(
        env: &dyn Fn(&str) -> Option<String>,
        agent: &dyn Fn(Proxy) -> Agent,
    ) -> Proxies {
        let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let named = |upper: &'static str, lower: &'static str| {
            let mut names = [upper, lower, "ALL_PROXY", "all_proxy"].into_iter();
            let (variable, url) = names.find_map(|name| Some((name, set(name)?)))?;
            Some(Named::new(variable, url.trim(), agent))
        };
        let direct = set("NO_PROXY").or_else(|| set("no_proxy"));
        let direct = direct.unwrap_or_default();
        let entries = direct.split(|c: char| c == ',' || c.is_whitespace());
        let entries = entries.filter(|entry| !entry.is_empty());
        let (known, unknown): (Vec<_>, Vec<_>) = entries
            .map(|entry| Direct::parse(entry).ok_or(entry.to_owned()))
            .partition(Result::is_ok);
        Proxies {
            http: named("HTTP_PROXY", "http_proxy"),
            https: named("HTTPS_PROXY", "https_proxy"),
            direct: known.into_iter().flatten().collect(),
            unknown: unknown.into_iter().filter_map(Result::err).collect(),
        }
    }

    /// The environment is the same for all clients, and after a reload.
    pub(super) fn warn_once(&self) {
        static WARNED: Once = Once::new();
        if (self.http.is_some() || self.https.is_some()) && !self.unknown.is_empty() {
            WARNED.call_once(|| {
                let entries = self.unknown();
                let words = "write hosts, addresses, or ranges such as 10.0.0.0/8";
                log::warn!("entries of NO_PROXY are invalid, and ignored: {entries}: {words}");
            });
        }
    }

    /// A URL can hold a password, and a password a comma, which makes it two entries.
    fn unknown(&self) -> String {
        match self.unknown.iter().any(|entry| entry.contains('@')) {
            true => format!(
                "{} (hidden: an `@` can follow a password)",
                self.unknown.len()
            ),
            false => format!("{:?}", self.unknown.join(",")),
        }
    }

    /// The proxy on the way to a URL, if there is one.
    pub(super) fn on_the_way_to(&self, uri: &Uri) -> Option<&Named> {
        let host = uri.host()?;
        let is_secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        if is_loopback(host) || self.direct.iter().any(|it| it.holds_for(host, port)) {
            return None;
        }
        match is_secure {
            true => self.https.as_ref(),
            false => self.http.as_ref(),
        }
    }
}

impl Direct {
    fn parse(entry: &str) -> Option<Direct> {
        let everywhere = |hosts| Some(Direct { hosts, port: None });
        if entry == "*" {
            return everywhere(Hosts::All);
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let (address, bits) = (address.parse().ok()?, bits.parse().ok()?);
            return everywhere(Hosts::Range(address, bits)).filter(|_| bits <= bits_of(address).1);
        }
        if let Some(address) = address_of(entry) {
            return everywhere(Hosts::Range(address, bits_of(address).1));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let hosts = match address_of(host) {
            Some(address) => Hosts::Range(address, bits_of(address).1),
            None => match host.strip_prefix("*.") {
                Some(below) => Hosts::Below(name_of(below)),
                None => Hosts::Named(name_of(host.strip_prefix('.').unwrap_or(host))),
            },
        };
        let is_of_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        match &hosts {
            Hosts::Named(name) | Hosts::Below(name)
                if name.is_empty() || name.starts_with('.') || !name.chars().all(is_of_name) =>
            {
                None
            }
            _ => Some(Direct { hosts, port }),
        }
    }

    fn holds_for(&self, host: &str, port: u16) -> bool {
        let is_among_hosts = match &self.hosts {
            Hosts::All => true,
            Hosts::Named(name) => is_below(host, name, true),
            Hosts::Below(name) => is_below(host, name, false),
            Hosts::Range(start, bits) => address_of(host).is_some_and(|address| {
                let ((start, width), (address, other)) = (bits_of(*start), bits_of(address));
                let differ = (start ^ address).checked_shr(u32::from(width - bits));
                width == other && differ.unwrap_or_default() == 0
            }),
        };
        is_among_hosts && self.port.is_none_or(|it| it == port)
    }
}

/// Whether a host is below a name, or is that name itself.
fn is_below(host: &str, name: &str, or_it: bool) -> bool {
    let host = name_of(host);
    let above = host.strip_suffix(name);
    above.is_some_and(|above| above.ends_with('.') || or_it && above.is_empty())
}

fn name_of(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn address_of(host: &str) -> Option<IpAddr> {
    let address: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    Some(address.to_canonical())
}

/// The bits of an address, and how many it has.
fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

impl Named {
    fn new(variable: &'static str, url: &str, agent: &dyn Fn(Proxy) -> Agent) -> Named {
        let proxy = Proxy::new(url).ok().filter(|proxy| {
            let protocol = proxy.protocol();
            matches!(protocol, ProxyProtocol::Http | ProxyProtocol::Https)
        });
        let host = proxy
            .as_ref()
            .map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
        let invalid = || {
            format!(
                "invalid proxy in {variable}: write `http://HOST:PORT`, or add the host of this \
                 address to NO_PROXY"
            )
        };
        Named {
            variable,
            host: host.unwrap_or_default(),
            agent: proxy.map(agent).ok_or_else(invalid),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} ({})", self.host, self.variable)
    }
}
