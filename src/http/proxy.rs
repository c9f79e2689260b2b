//! Which requests go through a proxy of the environment.

use std::fmt;

use http::Uri;
use ureq::{Agent, Proxy, ProxyProtocol};

use crate::address::is_loopback;

/// The proxies of the environment, as other programs understand it: by scheme, and never for this
/// machine. ureq takes the first variable that it finds for everything, and reads a name in `NO_PROXY`
/// without the names below it.
pub(super) struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    /// Hosts to ask directly, in lower case; with a name, all names below it.
    direct: Vec<String>,
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
        let direct = direct.split(',').map(|entry| match entry.trim() {
            "*" => "*".to_owned(),
            entry => entry.trim_start_matches(['*', '.']).to_ascii_lowercase(),
        });
        Proxies {
            http: named("HTTP_PROXY", "http_proxy"),
            https: named("HTTPS_PROXY", "https_proxy"),
            direct: direct.filter(|entry| !entry.is_empty()).collect(),
        }
    }

    /// The proxy on the way to a URL, if there is one.
    pub(super) fn on_the_way_to(&self, uri: &Uri) -> Option<&Named> {
        let host = uri.host()?;
        let name = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let is_direct = |entry: &String| {
            let above = name.strip_suffix(entry.as_str());
            entry == "*" || above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        if is_loopback(host) || self.direct.iter().any(is_direct) {
            return None;
        }
        match uri.scheme_str() {
            Some("https") => self.https.as_ref(),
            _ => self.http.as_ref(),
        }
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
