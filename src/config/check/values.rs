//! Strings that are something more: durations, addresses, secrets.

use std::time::Duration;

use http::HeaderValue;

use crate::address::Address;
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Context, Node, Text};
use crate::config::{Bind, MaxRemoval};
use crate::secret::Secret;

/// Less would be a loop without a pause.
const SHORTEST: Duration = Duration::from_millis(1);
/// More cannot be added to every clock, and is no interval anyway.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A duration of more than zero.
pub(super) fn duration(cx: &mut Context, node: &Node) -> Option<Duration> {
    let (duration, text) = duration_or_zero(cx, node)?;
    if duration.is_zero() {
        let name = &text.place.name;
        let message = format!("`{name}` must be more than zero");
        let help = format!("write a number and its unit, such as `{name} = \"10s\"`");
        cx.report(Problem::error(
            "invalid-duration",
            &text.place,
            message,
            help,
        ));
        return None;
    }
    Some(duration)
}

/// A duration for which `"0s"` means: never.
pub(super) fn interval(cx: &mut Context, node: &Node) -> Option<Duration> {
    let (duration, _) = duration_or_zero(cx, node)?;
    Some(duration).filter(|duration| !duration.is_zero())
}

/// A share of a toggle's users, such as `"30%"`, or a number of them.
pub(super) fn max_removal(cx: &mut Context, node: &Node) -> Option<MaxRemoval> {
    const HELP: &str = "write a share, such as `max_removal = \"30%\"`, or a number of users, such \
                        as `max_removal = 100`";
    if node.value.is_integer() {
        let users = cx.integer(node, 0..=i64::from(u32::MAX), 100)?;
        return usize::try_from(users).ok().map(MaxRemoval::Users);
    }
    let text = cx.text_like(node, HELP)?;
    let percent = text.value.strip_suffix('%').map(str::trim_end);
    let percent = percent.and_then(|number| number.parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    if percent.is_none() {
        let message = format!("`max_removal` is no share of users: {}", text.quoted());
        let problem = Problem::error("invalid-share", &text.place, message, HELP);
        cx.report(problem);
    }
    percent.map(MaxRemoval::Percent)
}

/// A URL of OPAL, OPA or the target.
pub(super) fn address(cx: &mut Context, node: &Node, example: &str) -> Option<Address> {
    let text = cx.text_like(node, example)?;
    let address = parse_address(cx, &text, &text.value, example)?;
    if address.authorization().is_some() {
        let what = format!("the password in `{}`", text.place.name);
        warn_if_inline(cx, &text, &what);
        warn_if_plain(cx, &text.place, &what, &address);
    }
    Some(address)
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
            invalid_address(cx, &text, "the port is missing", EXAMPLE);
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
    let port = node.plain().filter(|text| text.parse::<u16>().is_ok());
    let help = match port {
        Some(port) => format!("write `bind = \":{port}\"` for every interface"),
        None => "write a host and a port, such as `bind = \"127.0.0.1:8080\"`, or `:8080` for \
                 every interface"
            .into(),
    };
    let text = cx.text_like(node, &help)?;
    let bind = parse_bind(&text.value);
    if bind.is_none() {
        let message = format!("`{}` is not host:port: {}", text.place.name, text.quoted());
        cx.report(Problem::error(
            "invalid-address",
            &text.place,
            message,
            help,
        ));
    }
    bind
}

/// A token: a secret that a header can carry.
pub(super) fn token(cx: &mut Context, node: &Node) -> Option<Secret> {
    let name = &node.place.name;
    let variable = name.to_uppercase();
    let help = format!("write `{name} = \"${{{variable}}}\"`, and set that variable");
    let text = cx.text_like(node, &help)?;
    if text.value.is_empty() {
        let help = format!("{help}, or leave `{name}` out where no token is needed");
        let message = format!("`{name}` is empty");
        cx.report(Problem::error("empty", &text.place, message, help));
        return None;
    }
    let what = format!("`{name}`");
    let token = header_value(cx, &text)?;
    warn_if_inline(cx, &text, &what);
    Some(token)
}

/// A string that an HTTP header can carry.
pub(super) fn header_value(cx: &mut Context, text: &Text) -> Option<Secret> {
    if HeaderValue::from_str(&text.value).is_err() {
        let message = format!(
            "`{}` holds characters that no header can carry",
            text.place.name
        );
        let help = "take out what is no printable ASCII character: look for a line break";
        cx.report(Problem::error("invalid-header", &text.place, message, help));
        return None;
    }
    Some(Secret::new(text.value.clone()))
}

/// Warns of a secret that stands in a file which everybody on this machine can read.
pub(super) fn warn_if_inline(cx: &mut Context, text: &Text, what: &str) {
    if text.inline && cx.around.open_to_others {
        let message = format!("{what} stands in a file that others can read");
        let help = "write `${NAME}` or `${file:PATH}` instead, or keep others out with `chmod o-r`";
        cx.report(Problem::warning(
            "inline-secret",
            &text.place,
            message,
            help,
        ));
    }
}

/// Warns of a secret that travels unencrypted to another host.
pub(super) fn warn_if_plain(cx: &mut Context, at: &Place, what: &str, to: &Address) {
    if to.is_plain() && !to.is_loopback() {
        let message = format!("{what} travels unencrypted to another host");
        let help = "write an address that begins with `https://`, where the server has one";
        cx.report(Problem::warning("plain-secret", at, message, help));
    }
}

fn duration_or_zero(cx: &mut Context, node: &Node) -> Option<(Duration, Text)> {
    let name = &node.place.name;
    let seconds = node.plain().filter(|text| text.parse::<u32>().is_ok());
    let example = seconds.map_or_else(|| "10s".into(), |seconds| format!("{seconds}s"));
    let help = format!("write a number and its unit, such as `{name} = \"{example}\"`");
    let text = cx.text_like(node, &help)?;
    let problem = match parse_duration(&text.value) {
        Some(duration) if duration.is_zero() || (SHORTEST..=LONGEST).contains(&duration) => {
            return Some((duration, text));
        }
        Some(_) => {
            let message = format!("`{name}` must be from 1ms to 1 year, not {}", text.quoted());
            Problem::error("out-of-range", &text.place, message, help)
        }
        None => {
            let message = format!("`{name}` is not a duration: {}", text.quoted());
            Problem::error("invalid-duration", &text.place, message, help)
        }
    };
    cx.report(problem);
    None
}

fn parse_duration(text: &str) -> Option<Duration> {
    /// humantime panics where the sum is just over what a `Duration` holds; that takes more digits.
    const DIGITS: usize = 12;
    if text.bytes().filter(u8::is_ascii_digit).count() > DIGITS {
        return None;
    }
    humantime::parse_duration(text).ok()
}

fn parse_address(cx: &mut Context, text: &Text, url: &str, help: &str) -> Option<Address> {
    match Address::parse(url) {
        Ok(address) => Some(address),
        Err(why) => {
            invalid_address(cx, text, &why, help);
            None
        }
    }
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
    let all_digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|_| all_digits)?;
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
    fn a_duration_too_long_for_any_clock_is_refused_and_no_panic() {
        assert_eq!(parse_duration("1h 30m"), Some(Duration::from_secs(5400)));
        for wrong in ["", "5", "5 minuts", "-5s", "18446744073709551615s 1000ms"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
