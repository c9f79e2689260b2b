//! Addresses: URLs, and what listens at a host and a port.

use crate::address::Address;
use crate::config::Bind;
use crate::config::check::values::{warn_if_plain, warn_of_inline_password};
use crate::config::mask::is_harmless_address;
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::reader::{Context, Node, Text};

/// Why a port will not do, wherever it stands.
const PORT: &str = "the port is not a number from 1 to 65535";

/// A URL of OPAL, OPA or the target.
pub(super) fn address(cx: &mut Context, node: &Node, example: &str) -> Option<Address> {
    read(cx, node, example).map(|(address, _)| address)
}

/// A URL of OPA, without the path of its API.
pub(super) fn opa_address(cx: &mut Context, node: &Node, example: &str) -> Option<Address> {
    let (address, text) = read(cx, node, example)?;
    let shown = address.to_string();
    let api = ["/v1/data", "/v1"]
        .into_iter()
        .find_map(|path| Some((path, shown.strip_suffix(path)?)));
    if let Some((path, without)) = api {
        let name = &text.place.name;
        let message = format!("`{name}` ends in `{path}`, which is added to it");
        let help = if text.inline && address.authorization().is_none() {
            format!("write `{name} = \"{without}\"`")
        } else {
            format!("take `{path}` away")
        };
        cx.report(Problem::warning("api-path", &text.place, message, help));
    }
    Some(address)
}

fn read(cx: &mut Context, node: &Node, example: &str) -> Option<(Address, Text)> {
    let text = cx.text_like(node, example)?;
    let address = parse_address(cx, &text, &text.value, example)?;
    if address.authorization().is_some() {
        let what = format!("the password in `{}`", text.place.name);
        warn_of_inline_password(cx, &text, &what);
        warn_if_plain(cx, &text.place, &what, &address);
    }
    Some((address, text))
}

/// The address at which OPAL reaches us, and its text: `host:port`, or a URL.
pub(super) fn advertised_address(cx: &mut Context, node: &Node) -> Option<(Address, Text)> {
    const EXAMPLE: &str = "write the host and port at which OPAL reaches us, or a URL, such as \
                           `advertised_address = \"optoggles:8080\"`";
    let text = cx.text_like(node, EXAMPLE)?;
    let address = if text.value.contains("://") {
        parse_address(cx, &text, &text.value, EXAMPLE)?
    } else {
        let authority = text.value.split('/').next().unwrap_or_default();
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) {
            let is_number = port.is_some_and(is_number);
            let why = if is_number {
                PORT
            } else {
                "the port is missing"
            };
            invalid_address(cx, &text, why, EXAMPLE);
            return None;
        }
        parse_address(cx, &text, &format!("http://{}", text.value), EXAMPLE)?
    };
    if address.authorization().is_some() {
        let why = "a callback cannot carry a user name and password";
        invalid_address(
            cx,
            &text,
            why,
            "leave out what stands before the `@`, and the `@`",
        );
        return None;
    }
    Some((address, text))
}

/// `host:port`, of which the host may be missing.
pub(super) fn bind(cx: &mut Context, node: &Node) -> Option<Bind> {
    let written = node.plain().unwrap_or_default();
    let help = bind_help(&written);
    let text = cx.text_like(node, &help)?;
    let bind = parse_bind(&text.value);
    if bind.is_none() {
        let name = &text.place.name;
        let port = written.rsplit_once(':').map(|(_, port)| port);
        let message = if port.is_some_and(|port| is_number(port) && port.parse::<u16>().is_err()) {
            format!("the port of `{name}` is over 65535: {}", text.quoted())
        } else {
            format!("`{name}` is not host:port: {}", text.quoted())
        };
        cx.report(Problem::error(
            "invalid-address",
            &text.place,
            message,
            help,
        ));
    }
    bind
}

/// What may be meant by what is no address to listen at, as it stands in the file.
fn bind_help(written: &str) -> String {
    if written.parse::<u16>().is_ok() {
        return format!("write `bind = \":{written}\"` for every interface");
    }
    let behind_scheme = written
        .split_once("://")
        .map_or(written, |(_, behind)| behind);
    let meant = behind_scheme.trim().trim_end_matches('/');
    match parse_bind(meant) {
        Some(_) => format!("write `bind = \"{meant}\"`"),
        None => "write a host and a port, such as `bind = \"127.0.0.1:8080\"`, or `:8080` for \
                 every interface"
            .into(),
    }
}

fn parse_address(cx: &mut Context, text: &Text, url: &str, help: &str) -> Option<Address> {
    match Address::parse(url) {
        Ok(address) => Some(address),
        Err(why) => {
            let meant = Some(url).filter(|_| text.inline).and_then(corrected);
            let meant = meant.map(|meant| format!("write `{} = \"{meant}\"`", text.place.name));
            invalid_address(cx, text, &why, meant.as_deref().unwrap_or(help));
            None
        }
    }
}

/// The address that is plainly meant by one that is none, unless it may hold a password.
fn corrected(url: &str) -> Option<String> {
    let url = url.trim();
    let (scheme, rest) = url.split_at(url.find([':', '/'])?);
    let rest = rest.trim_start_matches([':', '/']);
    let meant = match nearest(scheme, ["http", "https"]) {
        Some(scheme) => format!("{scheme}://{rest}"),
        None if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("http://{url}"),
        None => return None,
    };
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '\\');
    let can_be_shown = meant.chars().all(is_plain) && is_harmless_address(&meant);
    Some(meant).filter(|meant| can_be_shown && Address::parse(meant).is_ok())
}

/// Says why without the text: it may hold a password.
fn invalid_address(cx: &mut Context, text: &Text, why: &str, help: &str) {
    let message = format!("`{}` is no usable address: {why}", text.place.name);
    cx.report(Problem::error(
        "invalid-address",
        &text.place,
        message,
        help,
    ));
}

fn parse_bind(text: &str) -> Option<Bind> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|_| is_number(port))?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = match bracketed {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().ok().map(|_| ip)?,
        None => host,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host_is_good = bracketed.is_some() || host.chars().all(is_name);
    host_is_good.then(|| Bind {
        host: host.to_owned(),
        port,
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_at_is_a_host_and_a_port() {
        for (text, host, port) in [
            (":8080", "", 8080),
            ("0.0.0.0:0", "0.0.0.0", 0),
            ("[::1]:80", "::1", 80),
            ("localhost:65535", "localhost", 65535),
        ] {
            let host = host.to_owned();
            assert_eq!(parse_bind(text), Some(Bind { host, port }), "{text}");
        }
        for wrong in [
            "",
            "8080",
            "host",
            "host:",
            "host:+80",
            "host:65536",
            "::1:80",
            "[::1]",
            "[host]:80",
            "*:80",
            "http://host:80",
        ] {
            assert_eq!(parse_bind(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_slip_in_an_address_is_corrected_where_it_holds_no_secret() {
        for (wrong, expected) in [
            ("htps://opa.example.com", Some("https://opa.example.com")),
            ("https:/opa/x", Some("https://opa/x")),
            ("HTTP//opa:8181", Some("http://opa:8181")),
            (" http://opa ", Some("http://opa")),
            ("opa:8181", Some("http://opa:8181")),
            ("opa", None),
            ("ftp://opa", None),
            ("http://opa:99999", None),
            ("htp://ann:s3@opa", None),
            ("ann:s3", None),
            ("htp://opa/?s3", None),
            ("htp://opa/s 3", None),
        ] {
            assert_eq!(corrected(wrong).as_deref(), expected, "{wrong}");
        }
    }
}
