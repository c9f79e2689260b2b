//! Addresses: URLs, and what listens at a host and a port.

use super::Bind;
use super::keys::Key;
use super::reader::{Context, Text};
use super::values::{warn_if_plain, warn_of_inline};
use crate::address::Address;

impl Key {
    /// A URL of OPAL, OPA or the target.
    pub(super) fn address(&self, cx: &mut Context, text: &Text) -> Option<Address> {
        let address = self.parse(cx, text, &text.value)?;
        if address.authorization().is_some() {
            let what = format!("the password in `{}`", self.name);
            warn_of_inline(cx, text, &what, "${NAME}");
            warn_if_plain(cx, &text.place, &what, &address);
        }
        Some(address)
    }

    /// A URL of OPA, without the path of its API.
    pub(super) fn opa_address(&self, cx: &mut Context, text: &Text) -> Option<Address> {
        let address = self.address(cx, text)?;
        let shown = address.to_string();
        if let Some(path) = ["/v1/data", "/v1"]
            .iter()
            .find(|path| shown.ends_with(**path))
        {
            let message = format!("`{}` ends in `{path}`, which is added to it", self.name);
            cx.warn("api-path", &text.place, message, format!("remove `{path}`"));
        }
        Some(address)
    }

    /// The address at which OPAL reaches us: `host:port`, or a URL.
    pub(super) fn advertised_address(&self, cx: &mut Context, text: &Text) -> Option<Address> {
        let address = if text.value.contains("://") {
            self.parse(cx, text, &text.value)?
        } else {
            let authority = text.value.split('/').next().unwrap_or_default();
            let port = authority.rsplit_once(':').map(|(_, port)| port);
            if port.is_none_or(|port| port.parse::<u16>().is_err()) {
                self.refuse(cx, text, "it needs a port from 1 to 65535");
                return None;
            }
            self.parse(cx, text, &format!("http://{}", text.value))?
        };
        if address.authorization().is_some() {
            self.refuse(cx, text, "a callback cannot carry a user name and password");
            return None;
        }
        Some(address)
    }

    fn parse(&self, cx: &mut Context, text: &Text, url: &str) -> Option<Address> {
        let address = Address::parse(url);
        address.map_err(|why| self.refuse(cx, text, &why)).ok()
    }

    /// Says why without the text: it may hold a password.
    fn refuse(&self, cx: &mut Context, text: &Text, why: &str) {
        let message = format!("`{}` is not a usable address: {why}", self.name);
        cx.error("invalid-address", &text.place, message, self.help());
    }

    /// `host:port`, of which the host may be missing.
    pub(super) fn bind(&self, cx: &mut Context, text: &Text) -> Option<Bind> {
        let bind = parse_bind(&text.value);
        if bind.is_none() {
            let message = format!("`{}` is not host:port: {}", self.name, text.quoted());
            let help = "write a host and a port up to 65535, such as `bind = \"127.0.0.1:8080\"`, or \
                        `bind = \":8080\"` for every interface";
            cx.error("invalid-address", &text.place, message, help);
        }
        bind
    }
}

fn parse_bind(text: &str) -> Option<Bind> {
    let (host, port) = text.rsplit_once(':')?;
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_number)?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = match bracketed {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().ok().map(|_| ip)?,
        None => host,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_host = bracketed.is_some() || host.chars().all(is_name);
    is_host.then(|| Bind {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
#[path = "tests/addresses.rs"]
mod tests;
