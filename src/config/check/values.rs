//! Secrets, with warnings of how they are written, and shares of users.

use std::time::Duration;

use http::HeaderValue;

use crate::address::Address;
use crate::config::MaxRemoval;
use crate::config::problem::{Place, Problem, quote};
use crate::config::reader::{Context, Node, Text};
use crate::duration::{EXAMPLES, Wrong, parse, parse_or_zero};
use crate::secret::Secret;

/// The scheme of a token, which is added to it.
const SCHEME: &str = "Bearer ";

/// A token that is required: a secret that a header can carry.
pub(super) fn token(cx: &mut Context, node: &Node) -> Option<Secret> {
    token_and_text(cx, node, "").map(|(token, _)| token)
}

/// A token that is sent with its scheme before it, where one is needed.
pub(super) fn bearer_token(cx: &mut Context, node: &Node) -> Option<Secret> {
    let without = format!(
        ", or leave `{}` out where no token is needed",
        node.place.name
    );
    let (token, text) = token_and_text(cx, node, &without)?;
    if split_scheme(&text.value).0.is_some() {
        let scheme = SCHEME.trim_end();
        let name = &text.place.name;
        let message = format!("`{name}` begins with `{scheme}`, which is added to it");
        let help = format!("take `{scheme}` away");
        cx.report(Problem::warning(
            "doubled-scheme",
            &text.place,
            message,
            help,
        ));
    }
    Some(token)
}

/// `without` is the other way out where there is none.
fn token_and_text(cx: &mut Context, node: &Node, without: &str) -> Option<(Secret, Text)> {
    let name = &node.place.name;
    let reference = pair(name, &format!("${{{}}}", name.to_uppercase()));
    let help = format!("write `{reference}`, and set that variable");
    let text = cx.text_like(node, &help)?;
    if text.value.is_empty() {
        let help = format!("{help}{without}");
        let message = format!("`{name}` is empty");
        cx.report(Problem::error("empty", &text.place, message, help));
        return None;
    }
    let token = header_value(cx, &text)?;
    warn_of_text(cx, &text, &format!("`{name}`"), Some(&reference));
    Some((token, text))
}

/// The value of a header; `is_secret` tells whether it must not stand in a file for everybody.
pub(super) fn header(cx: &mut Context, text: &Text, is_secret: bool) -> Option<Secret> {
    let value = header_value(cx, text)?;
    let name = &text.place.name;
    let scheme = split_scheme(&text.value).0.unwrap_or_default();
    let reference = pair(name, &format!("{scheme}${{NAME}}"));
    let what = format!("the value of {}", quote(name));
    warn_of_text(cx, text, &what, is_secret.then_some(&*reference));
    Some(value)
}

/// A string that an HTTP header can carry.
fn header_value(cx: &mut Context, text: &Text) -> Option<Secret> {
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

/// Warns of a value that was meant to be a reference, else of a secret that could be one, for
/// which `reference` could stand.
fn warn_of_text(cx: &mut Context, text: &Text, what: &str, reference: Option<&str>) {
    let value = split_scheme(&text.value).1;
    match meant_variable(value).filter(|_| text.inline) {
        Some(variable) => {
            let message = format!("{what} is sent as it stands: this is no reference");
            let help = format!("write `${{{variable}}}`");
            cx.report(Problem::warning(
                "literal-reference",
                &text.place,
                message,
                help,
            ));
        }
        None => {
            if let Some(reference) = reference {
                warn_if_inline(cx, text, what, reference);
            }
        }
    }
}

/// The scheme before a token, if there is one, and the token.
fn split_scheme(value: &str) -> (Option<&'static str>, &str) {
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => (Some(SCHEME), token),
        _ => (None, value),
    }
}

/// The environment variable in what is a reference in a shell or a template. Only a name in capital
/// letters is taken for one: all else may be a secret.
fn meant_variable(value: &str) -> Option<&str> {
    let frames = [("$(", ")"), ("%", "%"), ("{{", "}}"), ("$", "")];
    let inside = frames.iter().find_map(|(begin, end)| {
        let inside = value.trim().strip_prefix(begin)?.strip_suffix(end)?;
        Some(inside.trim())
    })?;
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let starts = inside.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    Some(inside).filter(|name| starts && name.chars().all(is_name))
}

/// How a key is written with a value that is no secret.
fn pair(key: &str, value: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.chars().all(is_bare) {
        format!("{key} = \"{value}\"")
    } else {
        format!("\"{value}\"")
    }
}

/// Warns of a value in a `spec`.
pub(super) fn warn_of_spec(cx: &mut Context, text: &Text) {
    let name = &text.place.name;
    let what = format!("the value of {}", quote(name));
    warn_if_inline(cx, text, &what, &pair(name, "${NAME}"));
}

/// Warns of a secret that stands in a file which everybody on this machine can read; `reference`
/// is what to write.
fn warn_if_inline(cx: &mut Context, text: &Text, what: &str, reference: &str) {
    let help =
        format!("write `{reference}` and set that variable, or keep others out with `chmod o-r`");
    warn_of_inline(cx, text, what, help);
}

/// The same of a password within an address.
pub(super) fn warn_of_inline_password(cx: &mut Context, text: &Text, what: &str) {
    let help = "write `${NAME}` or `${file:PATH}` instead, or keep others out with `chmod o-r`";
    warn_of_inline(cx, text, what, help.into());
}

fn warn_of_inline(cx: &mut Context, text: &Text, what: &str, help: String) {
    if text.inline && cx.around.open_to_others {
        let message = format!("{what} stands in a file that others can read");
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

/// A duration of more than zero.
pub(super) fn duration(cx: &mut Context, node: &Node) -> Option<Duration> {
    read_duration(cx, node, parse)
}

/// A duration that `"0s"` turns off.
pub(super) fn interval(cx: &mut Context, node: &Node) -> Option<Duration> {
    read_duration(cx, node, parse_or_zero).filter(|duration| !duration.is_zero())
}

fn read_duration(
    cx: &mut Context,
    node: &Node,
    parse: fn(&str) -> Result<Duration, Wrong>,
) -> Option<Duration> {
    let help = format!("write a number and its unit in quotes, such as {EXAMPLES}");
    let text = cx.text_like(node, &help)?;
    let wrong = match parse(&text.value) {
        Ok(duration) => return Some(duration),
        Err(wrong) => wrong,
    };
    let code = match wrong {
        Wrong::NoDuration => "invalid-duration",
        Wrong::OutOfRange | Wrong::OutOfRangeOrZero => "out-of-range",
    };
    let message = format!("`{}` {wrong}: {}", text.place.name, text.quoted());
    cx.report(Problem::error(code, &text.place, message, help));
    None
}

/// A share of a toggle's users, such as `"30%"`, a number of them, or `"off"`.
pub(super) fn max_removal(cx: &mut Context, node: &Node) -> Option<MaxRemoval> {
    const HELP: &str = "write a share, such as `max_removal = \"30%\"`, a number of users, such as \
                        `max_removal = 100`, or `max_removal = \"off\"`";
    if node.value.is_integer() {
        let users = cx.integer(node, 0..=i64::from(u32::MAX), 100)?;
        return usize::try_from(users).ok().map(MaxRemoval::Users);
    }
    if !node.value.is_str() {
        cx.wrong_type(
            node,
            "a share, such as `\"30%\"`, a number of users, or `\"off\"`",
            HELP,
        );
        return None;
    }
    let text = cx.text_like(node, HELP)?;
    if text.value == "off" {
        return Some(MaxRemoval::Off);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_variable_elsewhere_is_one_in_capital_letters_alone() {
        for value in [
            "$OPA_TOKEN",
            "$(OPA_TOKEN)",
            "%OPA_TOKEN%",
            "{{ OPA_TOKEN }}",
            "{{OPA_TOKEN}}",
        ] {
            assert_eq!(meant_variable(value), Some("OPA_TOKEN"), "{value}");
        }
        for value in ["$opa_token", "$", "%%", "OPA_TOKEN", "$A-B", "a$A", "$5A"] {
            assert_eq!(meant_variable(value), None, "{value}");
        }
    }
}
