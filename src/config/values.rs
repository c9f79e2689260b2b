//! Reads a value as what its kind says, and warns of secrets that stand where they should not.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::MaxRemoval;
use super::keys::{Form, Key, ValueKind};
use super::problem::{Place, Problem, quote};
use super::reader::{Context, Node, Text};
use super::settings::Setting;
use super::spec::{self, is_telling};
use crate::address::Address;
use crate::duration::{self, Wrong};
use crate::secret::Secret;

/// The scheme of a token, which is added to it.
const SCHEME: &str = "Bearer ";

/// Headers that the HTTP client writes itself: a second one would contradict it.
const FRAMING: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Key {
    pub(super) fn read_text(&self, cx: &mut Context, text: &Text) -> Option<Setting> {
        let value = || text.value.clone();
        Some(match self.kind {
            ValueKind::Filled => Setting::Text(self.filled(cx, text)?.to_owned()),
            ValueKind::Word(form) => Setting::Text(word(cx, text, form, &self.help())?),
            ValueKind::Bind => Setting::Bind(self.bind(cx, text)?),
            ValueKind::Address => Setting::Address(self.address(cx, text)?),
            ValueKind::OpaAddress => Setting::Address(self.opa_address(cx, text)?),
            ValueKind::AdvertisedAddress => Setting::Address(self.advertised_address(cx, text)?),
            ValueKind::Duration => Setting::Duration(self.duration(cx, text, duration::parse)?),
            ValueKind::Interval => {
                Setting::Duration(self.duration(cx, text, duration::parse_or_zero)?)
            }
            ValueKind::Token => Setting::Secret(self.token(cx, text)?),
            ValueKind::BearerToken => {
                let token = self.token(cx, text)?;
                warn_of_scheme(cx, text);
                Setting::Secret(token)
            }
            ValueKind::CaFile | ValueKind::CertFile => Setting::Text(self.pem(cx, text)?),
            ValueKind::KeyFile => Setting::Secret(Secret::new(self.pem(cx, text)?)),
            ValueKind::Input if text.value == "-" => Setting::Path("-".into()),
            ValueKind::Path if text.value == "-" => {
                let message = format!("`{}` must be a file, not a standard stream", self.name);
                cx.error("not-a-path", &text.place, message, self.help());
                return None;
            }
            ValueKind::Path | ValueKind::Input => {
                Setting::Path(cx.around.folder.join(self.filled(cx, text)?))
            }
            _ => Setting::Text(value()),
        })
    }

    pub(super) fn read_other(&self, cx: &mut Context, node: &Node) -> Option<Setting> {
        let help = self.help();
        Some(match self.kind {
            ValueKind::Number(low, high) => {
                let number = cx.integer(node, low, high, &help)?;
                Setting::Number(usize::try_from(number).ok()?)
            }
            ValueKind::Bool => Setting::Bool(cx.boolean(node, &help)?),
            ValueKind::MaxRemoval => Setting::MaxRemoval(max_removal(cx, node)?),
            ValueKind::Words(form) => Setting::Texts(
                words(cx, node, form, &help)?
                    .into_iter()
                    .collect::<Option<_>>()?,
            ),
            ValueKind::Set(form) => Setting::Texts(
                set(cx, node, form, &help)?
                    .into_iter()
                    .collect::<Option<_>>()?,
            ),
            ValueKind::Headers => Setting::Headers(headers(cx, node, &help)?),
            ValueKind::Values => Setting::Table(spec::values(cx, node, &help)?),
            _ => return None,
        })
    }

    /// A text that is not blank.
    fn filled<'t>(&self, cx: &mut Context, text: &'t Text) -> Option<&'t str> {
        if text.value.trim().is_empty() {
            let message = format!("`{}` is empty", self.name);
            cx.error("empty", &text.place, message, self.help());
            return None;
        }
        Some(&text.value)
    }

    fn duration(
        &self,
        cx: &mut Context,
        text: &Text,
        parse: fn(&str) -> Result<Duration, Wrong>,
    ) -> Option<Duration> {
        let wrong = match parse(&text.value) {
            Ok(duration) => return Some(duration),
            Err(wrong) => wrong,
        };
        let code = match wrong {
            Wrong::NoDuration => "invalid-duration",
            Wrong::OutOfRange | Wrong::OutOfRangeOrZero => "out-of-range",
        };
        let message = format!("`{}` {wrong}: {}", self.name, text.quoted());
        cx.error(code, &text.place, message, self.help());
        None
    }

    /// A secret that a header can carry.
    fn token(&self, cx: &mut Context, text: &Text) -> Option<Secret> {
        self.filled(cx, text)?;
        let token = header_value(cx, text)?;
        let reference = format!("{} = {}", self.name, self.example);
        warn_of_text(cx, text, &format!("`{}`", self.name), Some(&reference));
        Some(token)
    }
}

/// A word of a certain form.
fn word(cx: &mut Context, text: &Text, form: &Form, help: &str) -> Option<String> {
    if (form.is_met)(&text.value) {
        return Some(text.value.clone());
    }
    let message = format!("{} is not a valid {}", text.quoted(), form.what);
    let help = format!("it consists of {}: {help}", form.of);
    cx.error(form.code, &text.place, message, help);
    None
}

fn words(cx: &mut Context, node: &Node, form: &Form, help: &str) -> Option<Vec<Option<String>>> {
    let elements = cx.list(node, help)?;
    let words = elements.iter().map(|element| {
        let text = cx.text(element, help)?;
        word(cx, &text, form, help)
    });
    Some(words.collect())
}

/// Words of which none comes twice, and at least one.
fn set(cx: &mut Context, node: &Node, form: &Form, help: &str) -> Option<Vec<Option<String>>> {
    let words = words(cx, node, form, help)?;
    if words.is_empty() {
        let message = format!("`{}` is empty", node.place.name);
        cx.error("empty", &node.place, message, help);
        return None;
    }
    let elements = node.elements();
    for (at, word) in words.iter().enumerate().filter(|(_, word)| word.is_some()) {
        let first = words.iter().position(|other| other == word)?;
        if first != at {
            let message = format!("`{}` names the same twice", node.place.name);
            let help = "remove one of the two";
            let problem = Problem::error("duplicate-key", &elements[at].place, message, help);
            cx.report(problem.related("the first one is here", &elements[first].place));
        }
    }
    Some(words)
}

/// A string that an HTTP header can carry.
fn header_value(cx: &mut Context, text: &Text) -> Option<Secret> {
    if HeaderValue::from_str(&text.value).is_err() {
        let name = &text.place.name;
        let message = format!("`{name}` holds characters that no header can carry");
        let help = "remove what is not printable ASCII: look for a line break";
        cx.error("invalid-header", &text.place, message, help);
        return None;
    }
    Some(Secret::new(text.value.clone()))
}

fn headers(cx: &mut Context, node: &Node, help: &str) -> Option<Vec<(String, Secret)>> {
    let table = cx.table(node, help)?;
    let mut headers = Vec::new();
    let mut seen: Vec<Place> = Vec::new();
    for (key, node) in table.members() {
        spec::warn_of_stray(cx, &key, "`extra_headers`");
        let is_right = check_header_name(cx, &key, &seen);
        let value = header(cx, &node);
        if let (true, Some(value)) = (is_right, value) {
            headers.push((key.name.clone(), value));
        }
        seen.push(key);
    }
    Some(headers)
}

fn header(cx: &mut Context, node: &Node) -> Option<Secret> {
    let name = &node.place.name;
    let text = cx.text(node, "write a string, such as `\"${NAME}\"`")?;
    let value = header_value(cx, &text)?;
    let scheme = split_scheme(&text.value).0.unwrap_or_default();
    let reference = format!("\"{scheme}${{NAME}}\"");
    let what = format!("the value of {}", quote(name));
    warn_of_text(cx, &text, &what, is_telling(name).then_some(&reference));
    Some(value)
}

fn check_header_name(cx: &mut Context, key: &Place, seen: &[Place]) -> bool {
    let name = &key.name;
    let quoted = quote(name);
    let is_same = |other: &str| other.eq_ignore_ascii_case(name);
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        let message = format!("{quoted} is not a valid header name");
        let help = "write letters, digits and `-`, such as `X-Api-Key`";
        cx.error("invalid-header", key, message, help);
    } else if FRAMING.iter().any(|framing| is_same(framing)) {
        let message = format!("the header {quoted} cannot be set: each request has its own");
        cx.error("reserved-header", key, message, "remove it");
    } else if let Some(first) = seen.iter().find(|seen| is_same(&seen.name)) {
        let message = format!("the header {quoted} is set twice: case does not count");
        let problem = Problem::error("duplicate-header", key, message, "remove one of the two");
        cx.report(problem.related("the first one is here", first));
    } else {
        return true;
    }
    false
}

/// A share of a toggle's users, such as `"30%"`, a number of them, or `"off"`.
fn max_removal(cx: &mut Context, node: &Node) -> Option<MaxRemoval> {
    const HELP: &str = "write a share, such as `max_removal = \"30%\"`, a number of users, such as \
                        `max_removal = 100`, or `max_removal = \"off\"`";
    if node.value.is_integer() {
        let users = cx.integer(node, 0, i64::from(u32::MAX), HELP)?;
        return usize::try_from(users).ok().map(MaxRemoval::Users);
    }
    if !node.value.is_str() {
        cx.wrong_type(
            node,
            "a share of users, a number of them, or `\"off\"`",
            HELP,
        );
        return None;
    }
    let text = cx.text(node, HELP)?;
    if text.value == "off" {
        return Some(MaxRemoval::Off);
    }
    let percent = text.value.strip_suffix('%').map(str::trim_end);
    let percent = percent.and_then(|number| number.parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    if percent.is_none() {
        let message = format!("`max_removal` is not a share of users: {}", text.quoted());
        cx.error("invalid-share", &text.place, message, HELP);
    }
    percent.map(MaxRemoval::Percent)
}

/// Warns of a value that was meant to be a reference, else of a secret that could be one, for
/// which `reference` could stand.
fn warn_of_text(cx: &mut Context, text: &Text, what: &str, reference: Option<&str>) {
    let value = split_scheme(&text.value).1;
    if let Some(variable) = meant_variable(value).filter(|_| text.inline) {
        let message = format!("{what} is sent as it stands: this is not a reference");
        let help = format!("write `${{{variable}}}`");
        cx.warn("literal-reference", &text.place, message, help);
    } else if let Some(reference) = reference {
        warn_of_inline(cx, text, what, reference);
    }
}

fn warn_of_scheme(cx: &mut Context, text: &Text) {
    if split_scheme(&text.value).0.is_some() {
        let scheme = SCHEME.trim_end();
        let name = &text.place.name;
        let message = format!("`{name}` begins with `{scheme}`, which is added to it");
        cx.warn(
            "doubled-scheme",
            &text.place,
            message,
            format!("remove `{scheme}`"),
        );
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

/// Warns of a secret that stands in a file which everybody on this machine can read; `reference`
/// is what to write.
pub(super) fn warn_of_inline(cx: &mut Context, text: &Text, what: &str, reference: &str) {
    if text.inline && cx.around.open_to_others {
        let message = format!("{what} stands in a file that others can read");
        let help = format!("write `{reference}`, or keep others out with `chmod o-r`");
        cx.warn("inline-secret", &text.place, message, help);
    }
}

/// Warns of a secret that travels unencrypted to another host.
pub(crate) fn warn_if_plain(cx: &mut Context, at: &Place, what: &str, to: &Address) {
    if to.is_plain() && !to.is_loopback() {
        let message = format!("{what} travels unencrypted to another host");
        let help = "write an address that begins with `https://`, where the server has one";
        cx.warn("plain-secret", at, message, help);
    }
}

#[cfg(test)]
#[path = "tests/values.rs"]
mod tests;
