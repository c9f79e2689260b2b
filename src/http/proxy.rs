//! Which requests go through a proxy of the environment.

use std::fmt;

use http::Uri;
use ureq::{Agent, Proxy, ProxyProtocol};

use crate::address::is_loopback;

/// The variables that name a proxy, for each scheme: the first that is set counts.
const VARIABLES: [(&str, [&str; 4]); 2] = [
    (
        "http",
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    ),
    (
        "https",
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
    ),
];

/// The proxies of the environment, as other programs understand it. ureq by itself takes the first
/// variable that it finds for every scheme, this machine included.
pub(super) struct Proxies {
    by_scheme: Vec<(&'static str, Named)>,
    /// Hosts that are asked directly, in lower case; of a name also all names below it.
    direct: Vec<String>,
}

/// A proxy, as it is shown: without user name and password.
pub(super) struct Named {
    variable: &'static str,
    host: String,
    /// None: what the variable says cannot be used.
    agent: Option<Agent>,
}

impl Proxies {
    /// Reads the environment; `agent` makes the requests that go through a proxy.
    pub(super) fn read(
        env: &dyn Fn(&str) -> Option<String>,
        agent: &dyn Fn(Proxy) -> Agent,
    ) -> Proxies {
        let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let by_scheme = VARIABLES.into_iter().filter_map(|(scheme, names)| {
            let mut names = names.into_iter();
            let (variable, url) = names.find_map(|name| Some((name, set(name)?)))?;
            Some((scheme, Named::new(variable, url.trim(), agent)))
        });
        let direct = set("NO_PROXY").or_else(|| set("no_proxy"));
        let direct = direct.unwrap_or_default();
        let direct = direct.split(',').map(|entry| match entry.trim() {
            "*" => "*".to_owned(),
            entry => entry.trim_start_matches(['*', '.']).to_ascii_lowercase(),
        });
        Proxies {
            by_scheme: by_scheme.collect(),
            direct: direct.filter(|entry| !entry.is_empty()).collect(),
        }
    }

    /// The proxy on the way to a URL; none: the way is direct, as it always is to this machine.
    pub(super) fn on_the_way_to(&self, uri: &Uri) -> Option<&Named> {
        let host = uri.host()?;
        if is_loopback(host) || self.is_direct(host) {
            return None;
        }
        let mut by_scheme = self.by_scheme.iter();
        by_scheme
            .find(|(scheme, _)| uri.scheme_str() == Some(*scheme))
            .map(|(_, named)| named)
    }

    fn is_direct(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        self.direct.iter().any(|entry| {
            let above = host.strip_suffix(entry.as_str());
            entry == "*" || above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        })
    }
}

impl Named {
    fn new(variable: &'static str, url: &str, agent: &dyn Fn(Proxy) -> Agent) -> Named {
        let is_built_in = |proxy: &Proxy| {
            let protocol = proxy.protocol();
            matches!(protocol, ProxyProtocol::Http | ProxyProtocol::Https)
        };
        let proxy = Proxy::new(url).ok().filter(is_built_in);
        Named {
            variable,
            host: proxy.as_ref().map_or_else(String::new, |proxy| {
                format!("{}:{}", proxy.host(), proxy.port())
            }),
            agent: proxy.map(agent),
        }
    }

    /// Makes the requests that go through it.
    ///
    /// # Errors
    ///
    /// Says what to do where it cannot be used: nothing goes around it then.
    pub(super) fn agent(&self) -> Result<&Agent, String> {
        self.agent.as_ref().ok_or_else(|| {
            format!(
                "{} names no proxy that can be used: write `http://HOST:PORT`, or put the host of \
                 this address into NO_PROXY",
                self.variable
            )
        })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} ({})", self.host, self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variable of the proxy on the way to a URL, in this environment.
    fn way(env: &[(&str, &str)], url: &str) -> Option<&'static str> {
        let value = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let agent = |proxy| {
            let config = Agent::config_builder().proxy(Some(proxy));
            Agent::new_with_config(config.build())
        };
        let proxies = Proxies::read(&value, &agent);
        let proxy = proxies.on_the_way_to(&url.parse().unwrap());
        proxy.map(|proxy| proxy.variable)
    }

    #[test]
    fn each_scheme_has_its_variable_and_there_is_one_for_all() {
        let http = ("HTTP_PROXY", "http://proxy:3128");
        let https = ("https_proxy", "proxy:3128");
        let all = ("ALL_PROXY", "http://proxy:1");
        let (plain, secure) = ("http://opa:8181/", "https://flags.example/");
        assert_eq!(way(&[http, https, all], plain), Some("HTTP_PROXY"));
        assert_eq!(way(&[http, https, all], secure), Some("https_proxy"));
        assert_eq!(way(&[http, all], secure), Some("ALL_PROXY"));
        assert_eq!(way(&[http], secure), None);
        assert_eq!(way(&[("HTTP_PROXY", " "), all], plain), Some("ALL_PROXY"));
        assert_eq!(way(&[], plain), None);
    }

    #[test]
    fn this_machine_and_what_no_proxy_names_are_asked_directly() {
        let all = ("ALL_PROXY", "http://proxy:3128");
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert_eq!(way(&[all], &format!("http://{host}:8181/")), None, "{host}");
        }
        let names = "opal, .svc,*.example.com,10.0.0.1,fd00::1";
        for (host, direct) in [
            ("opal", true),
            ("OPAL", true),
            ("a.opal", true),
            ("noopal", false),
            ("opa.team.svc", true),
            ("opa.team.svcs", false),
            ("flags.example.com", true),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("[fd00::1]", true),
        ] {
            let found = way(&[all, ("no_proxy", names)], &format!("http://{host}/"));
            assert_eq!(found.is_none(), direct, "{host}");
        }
        let everything = [all, ("NO_PROXY", "*")];
        assert_eq!(way(&everything, "https://flags.example/"), None);
        let nothing = [all, ("NO_PROXY", ",")];
        let on_the_way = way(&nothing, "https://flags.example/");
        assert_eq!(on_the_way, Some("ALL_PROXY"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_not_gone_around() {
        for url in ["socks5://proxy:1080", "ftp://proxy", "http://:0:0", "ä"] {
            let agent = |_: Proxy| Agent::new_with_defaults();
            let env = |name: &str| (name == "ALL_PROXY").then(|| url.to_owned());
            let proxies = Proxies::read(&env, &agent);
            let proxy = proxies.on_the_way_to(&Uri::from_static("http://opa/"));
            let refusal = proxy.unwrap().agent().err().unwrap();
            assert!(refusal.starts_with("ALL_PROXY names no proxy"), "{refusal}");
        }
    }
}
