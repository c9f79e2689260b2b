//! Reads a value as what its kind says, and warns of secrets that are where they should not be.

use std::net::Ipv6Addr;
use std::time::Duration;

use http::HeaderName;
use serde_json::{Map, Number, Value};
use toml::de::{DeInteger, DeValue};

use super::interpolate::Text;
use super::keys::{Form, Key, SPEC, Spec, TOP, TargetType, ValueKind};
use super::report::{Place, Severity, quote};
use super::section::{Context, Node, Read, Section, Setting};
use super::{Bind, MaxRemoval};
use crate::address::Address;
use crate::duration::{self, Wrong};
use crate::secret::{Secret, unfit_for_header};

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
    pub(super) fn read(&self, cx: &mut Context, node: &Node) -> Option<Read> {
        let before = cx.problems.len();
        let read = self.read_set(cx, node);
        let mut problems = cx.problems[before..].iter();
        match problems.any(|it| it.severity == Severity::Note) {
            false => read,
            true => Some(Read {
                setting: Setting::Unset,
                text: None,
                place: node.place.clone(),
            }),
        }
    }

    fn read_set(&self, cx: &mut Context, node: &Node) -> Option<Read> {
        let help = self.help();
        let before = cx.brought_in.len();
        let mut text = None;
        let setting = match self.kind {
            ValueKind::Table | ValueKind::Tables | ValueKind::Spec => return None,
            ValueKind::Number(low, high) => {
                let number = integer(cx, node, low, high, &help)?;
                Setting::Number(usize::try_from(number).ok()?)
            }
            ValueKind::Bool => {
                let value = node.value.as_bool();
                Setting::Bool(value.or_else(|| cx.wrong_type(node, "true or false", &help))?)
            }
            ValueKind::MaxRemoval => Setting::MaxRemoval(max_removal(cx, node)?),
            ValueKind::Words(form) => Setting::Texts(words(cx, node, form, &help, false)?),
            ValueKind::Set(form) => Setting::Texts(words(cx, node, form, &help, true)?),
            ValueKind::Headers(_) => Setting::Headers(headers(cx, node, &help)?),
            ValueKind::Values => Setting::Json(flat_table(cx, node, &help)?.into()),
            ValueKind::Json => Setting::Json(json(cx, node, Free::Input)?),
            _ => {
                let found = cx.text(node, &help)?;
                self.read_text(cx, text.insert(found))?
            }
        };
        if !self.holds_secrets() {
            cx.brought_in.truncate(before);
        }
        if let (Setting::Address(_), Some(text)) = (&setting, &text) {
            cx.brought_in.extend(text.values_beside_host());
        }
        Some(Read {
            setting,
            text,
            place: node.place.clone(),
        })
    }

    fn read_text(&self, cx: &mut Context, text: &Text) -> Option<Setting> {
        Some(match self.kind {
            ValueKind::Filled => Setting::Text(self.filled(cx, text)?.to_owned()),
            ValueKind::Word(form) => Setting::Text(word(cx, text, form, &self.help())?),
            ValueKind::Bind => Setting::Bind(self.bind(cx, text)?),
            ValueKind::Address(added) => Setting::Address(self.address(cx, text, added)?),
            ValueKind::AdvertisedAddress => {
                Setting::Address(self.found(cx, text, parse_advertised(&text.value))?)
            }
            ValueKind::Duration => self.duration(cx, text, duration::parse)?,
            ValueKind::Interval => self.duration(cx, text, duration::parse_or_zero)?,
            ValueKind::Token(_) => self.token(cx, text)?,
            ValueKind::BearerToken(_) => {
                let token = self.token(cx, text)?;
                if split_scheme(&text.value).0.is_some() {
                    let message =
                        format!("`{}` starts with `Bearer`, which is added to it", self.name);
                    cx.warn("doubled-scheme", &text.place, message, "remove `Bearer`");
                }
                token
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
            _ => Setting::Text(text.value.clone()),
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
    ) -> Option<Setting> {
        let parsed = parse(&text.value);
        if let Err(wrong) = parsed {
            let code = match wrong {
                Wrong::NoDuration => "invalid-duration",
                Wrong::OutOfRange | Wrong::OutOfRangeOrZero => "out-of-range",
            };
            let message = format!("`{}` {wrong}: {}", self.name, text.quoted());
            cx.error(code, &text.place, message, self.help());
        }
        parsed.ok().map(Setting::Duration)
    }

    /// A secret that a header can carry.
    fn token(&self, cx: &mut Context, text: &Text) -> Option<Setting> {
        self.filled(cx, text)?;
        let token = header_value(cx, text)?;
        let reference = format!("{} = {}", self.name, self.example);
        warn_of_text(cx, text, &format!("`{}`", self.name), Some(&reference));
        Some(Setting::Secret(token))
    }

    /// A URL of a source or target.
    fn address(&self, cx: &mut Context, text: &Text, added: &[&str]) -> Option<Address> {
        let address = self.found(cx, text, Address::parse(&text.value))?;
        if address.authorization().is_some() {
            let what = format!("the password in `{}`", self.name);
            warn_of_inline(cx, text, &what, "${NAME}");
            warn_if_plain(cx, &text.place, &what, &address);
        }
        let shown = address.to_string();
        if let Some(path) = added.iter().find(|path| shown.ends_with(**path)) {
            let message = format!("`{}` ends in `{path}`, which is added to it", self.name);
            cx.warn("api-path", &text.place, message, format!("remove `{path}`"));
        }
        Some(address)
    }

    /// The address, or what is wrong with it without the text: it may hold a password.
    fn found(
        &self,
        cx: &mut Context,
        text: &Text,
        address: Result<Address, String>,
    ) -> Option<Address> {
        if let Err(why) = &address {
            let message = format!("`{}` is not a valid address: {why}", self.name);
            cx.error("invalid-address", &text.place, message, self.help());
        }
        address.ok()
    }

    /// `host:port`, of which the host may be missing.
    fn bind(&self, cx: &mut Context, text: &Text) -> Option<Bind> {
        let bind = parse_bind(&text.value);
        if bind.is_none() {
            let message = format!(
                "`{}` is not a valid `host:port`: {}",
                self.name,
                text.quoted()
            );
            let help = "write a host and a port up to 65535, such as `bind = \"127.0.0.1:8080\"`, or \
                        `bind = \":8080\"` for every interface";
            cx.error("invalid-address", &text.place, message, help);
        }
        bind
    }
}

/// The address at which OPAL reaches us: `host:port`, or a URL.
fn parse_advertised(text: &str) -> Result<Address, String> {
    let address = if text.contains("://") {
        Address::parse(text)?
    } else {
        let authority = text.split('/').next().unwrap_or_default();
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) {
            return Err("it needs a port from 1 to 65535".into());
        }
        Address::parse(&format!("http://{text}"))?
    };
    match address.authorization() {
        Some(_) => Err("a callback cannot carry a user name and password".into()),
        None => Ok(address),
    }
}

fn parse_bind(text: &str) -> Option<Bind> {
    let (host, port) = text.rsplit_once(':')?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_number)?;
    let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_host = match bracketed {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => host.chars().all(is_name),
    };
    is_host.then(|| Bind {
        host: bracketed.unwrap_or(host).to_owned(),
        port,
    })
}

fn integer(cx: &mut Context, node: &Node, low: i64, high: i64, help: &str) -> Option<i64> {
    let Some(integer) = node.value.as_integer() else {
        return cx.wrong_type(node, "an integer", help);
    };
    let value = whole(integer).and_then(|number| number.as_i64());
    let value = value.filter(|value| (low..=high).contains(value));
    if value.is_none() {
        let message = format!("`{}` must be from {low} to {high}", node.place.name);
        cx.error("out-of-range", &node.place, message, help);
    }
    value
}

/// A word of a certain form.
pub(super) fn word(cx: &mut Context, text: &Text, form: &Form, help: &str) -> Option<String> {
    if (form.is_met)(&text.value) {
        return Some(text.value.clone());
    }
    let message = format!("{} is not a valid {}", text.quoted(), form.what);
    let help = format!("it consists of {}: {help}", form.of);
    cx.error(form.code, &text.place, message, help);
    None
}

/// Words, of which a set has at least one, and none twice.
fn words(
    cx: &mut Context,
    node: &Node,
    form: &Form,
    help: &str,
    is_set: bool,
) -> Option<Vec<String>> {
    if !node.value.is_array() {
        return cx.wrong_type(node, "a list", help);
    }
    let name = &node.place.name;
    let elements = node.elements();
    if is_set && elements.is_empty() {
        cx.error("empty", &node.place, format!("`{name}` is empty"), help);
        return None;
    }
    let words = elements.iter().map(|element| {
        let text = cx.text(element, help)?;
        word(cx, &text, form, help)
    });
    let words: Vec<Option<String>> = words.collect();
    for (at, word) in words.iter().enumerate().filter(|_| is_set) {
        let first = words[..at]
            .iter()
            .position(|other| word.is_some() && other == word);
        if let Some(first) = first {
            let message = format!("duplicate value in `{name}`");
            let (place, first) = (&elements[at].place, &elements[first].place.span);
            let help = "remove one of the two";
            cx.error("duplicate-key", place, message, help).first = Some(first.clone());
        }
    }
    words.into_iter().collect()
}

/// A string that an HTTP header can carry.
fn header_value(cx: &mut Context, text: &Text) -> Option<Secret> {
    if let Some((at, what)) = unfit_for_header(&text.value) {
        let origin = text.origin(at);
        let message = format!("{origin} contains {what}, which an HTTP header cannot carry");
        let help = "remove it: a header consists of printable ASCII characters";
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
        warn_of_stray(cx, &key, "`extra_headers`");
        let is_valid = check_header_name(cx, &key, &seen);
        let value = header(cx, &node);
        if let (true, Some(value)) = (is_valid, value) {
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
        let message = format!("the header {quoted} cannot be set: optoggles sets it itself");
        cx.error("reserved-header", key, message, "remove it");
    } else if let Some(first) = seen.iter().find(|seen| is_same(&seen.name)) {
        let message = format!("duplicate header {quoted}: header names are case-insensitive");
        let help = "remove one of the two";
        cx.error("duplicate-header", key, message, help).first = Some(first.span.clone());
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
        let users = integer(cx, node, 0, i64::from(u32::MAX), HELP)?;
        return usize::try_from(users).ok().map(MaxRemoval::Users);
    }
    if !node.value.is_str() {
        let expected = "a share of users, a number of them, or `\"off\"`";
        return cx.wrong_type(node, expected, HELP);
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

/// Where a value of any form is: in a toggle's `spec`, or in the `input` of its rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    Spec,
    Input,
}

/// Reads a toggle's `spec` as its target has it.
pub(super) fn spec(
    cx: &mut Context,
    node: Option<Node>,
    target: Option<&'static TargetType>,
) -> Option<Map<String, Value>> {
    let Some(node) = node else {
        return Some(Map::new());
    };
    let mut section = cx.table(&node, &SPEC.help())?;
    let reserved = match target.map(|target| &target.spec) {
        Some(Spec::Keys(keys)) => {
            section.read(cx, keys);
            return section.finish(cx).into_json();
        }
        Some(Spec::Free(reserved)) => *reserved,
        None => &[],
    };
    for (key, _) in section.members() {
        if reserved.contains(&&*key.name) {
            let message = format!("`{}` in a `spec` would override the toggle's own", key.name);
            let help = "remove or rename it, or write the missing `[[toggles]]` above it";
            cx.error("reserved-key", &key, message, help);
        }
    }
    object(cx, &section, Free::Spec)
}

/// A table of strings, numbers and booleans.
fn flat_table(cx: &mut Context, node: &Node, help: &str) -> Option<Map<String, Value>> {
    let table = cx.table(node, help)?;
    for (key, member) in table.members() {
        if matches!(member.value, DeValue::Array(_) | DeValue::Table(_)) {
            let (name, within) = (quote(&key.name), &node.place.name);
            let message = format!("{name} in `{within}` must be a string, number or boolean");
            let help = "write several values under several keys";
            cx.error("wrong-type", &member.place, message, help);
        }
    }
    object(cx, &table, Free::Spec)
}

/// A table as JSON, its strings interpolated; none if something in it was reported.
///
/// The TOML parser bounds how deep tables go, so this may follow them down.
pub(super) fn object(cx: &mut Context, table: &Section, free: Free) -> Option<Map<String, Value>> {
    let members = table.members();
    let members = members.iter().map(|(key, node)| {
        if free == Free::Spec {
            warn_of_stray(cx, key, "a `spec`");
        }
        Some((key.name.clone(), json(cx, node, free)?))
    });
    // Every member is looked at before the first that is wrong ends it.
    members.collect::<Vec<_>>().into_iter().collect()
}

fn json(cx: &mut Context, node: &Node, free: Free) -> Option<Value> {
    let number = match node.value {
        DeValue::String(_) => {
            let text = cx.text(node, "write a string")?;
            let name = &*node.place.name;
            // A `key` is the toggle's own, which is another mistake; that of a project is public.
            if !matches!(name, "key" | "proj_key") && is_telling(name) {
                let what = format!("the value of {}", quote(name));
                warn_of_inline(cx, &text, &what, "\"${NAME}\"");
            }
            return Some(Value::String(text.value));
        }
        DeValue::Boolean(boolean) => return Some(Value::Bool(*boolean)),
        DeValue::Datetime(date) if free == Free::Spec => {
            return Some(Value::String(date.to_string()));
        }
        DeValue::Datetime(_) => None,
        DeValue::Array(_) => {
            let elements = node.elements();
            let values: Vec<_> = elements.iter().map(|node| json(cx, node, free)).collect();
            return values.into_iter().collect::<Option<_>>().map(Value::Array);
        }
        DeValue::Table(entries) => {
            let table = Section::new(entries, node.place.clone());
            return object(cx, &table, free).map(Value::Object);
        }
        DeValue::Integer(integer) => whole(integer),
        // None for `nan`, `inf`, and what is too large to be anything else.
        DeValue::Float(float) => float.as_str().parse().ok().and_then(Number::from_f64),
    };
    if number.is_none() {
        let is_date = node.value.is_datetime();
        let what = if is_date { "date" } else { "number" };
        let message = format!("this {what} cannot be represented in JSON");
        let help = "write it as a string, in quotes";
        cx.error("not-json", &node.place, message, help);
    }
    number.map(Value::Number)
}

fn whole(integer: &DeInteger) -> Option<Number> {
    let (digits, radix) = (integer.as_str(), integer.radix());
    let signed = i64::from_str_radix(digits, radix).map(Number::from);
    let number = signed.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from));
    number.ok()
}

/// Warns of a setting of the file's top that was written below a table which can have any keys. A single
/// word, such as `bind`, may well be that table's own.
fn warn_of_stray(cx: &mut Context, key: &Place, within: &str) {
    let mut top = TOP.iter().filter(|top| top.name.contains('_'));
    if let Some(top) = top.find(|top| top.is_called(&key.name)) {
        let (name, key_of_top) = (&key.name, top.name);
        let message = format!("`{name}` in {within} is not a setting: it is sent to the target");
        let help =
            format!("write `{key_of_top}` at the top of the file, before the first `[table]`");
        cx.warn("stray-key", key, message, help);
    }
}

/// Whether the name of a header, or of a key in a `spec`, says that its value grants access.
pub(super) fn is_telling(name: &str) -> bool {
    const PARTS: &[&str] = &[
        "auth",
        "cookie",
        "credential",
        "key",
        "pass",
        "secret",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// Warns of a value that was meant to be a reference, else of a secret that could be one, for
/// which `reference` could be written.
fn warn_of_text(cx: &mut Context, text: &Text, what: &str, reference: Option<&str>) {
    let value = split_scheme(&text.value).1;
    if let Some(variable) = meant_variable(value).filter(|_| text.is_inline()) {
        let message = format!("{what} is sent as it is: this is not a reference");
        let help = format!("write `${{{variable}}}`");
        cx.warn("literal-reference", &text.place, message, help);
    } else if let Some(reference) = reference {
        warn_of_inline(cx, text, what, reference);
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

/// Warns of a secret in a file that every user of this machine can read; `reference` is what to write.
fn warn_of_inline(cx: &mut Context, text: &Text, what: &str, reference: &str) {
    if text.is_inline() && cx.around.open_to_others {
        let message = format!("{what} is in a file that others can read");
        let help = format!("write `{reference}`, or keep others out with `chmod o-r`");
        cx.warn("inline-secret", &text.place, message, help);
    }
}

/// Warns of a secret that is sent unencrypted to another host.
pub(super) fn warn_if_plain(cx: &mut Context, at: &Place, what: &str, to: &Address) {
    if to.is_plain() && !to.is_loopback() {
        let message = format!("{what} is sent unencrypted to another host");
        let help = "write an address that begins with `https://`, where the server has one";
        cx.warn("plain-secret", at, message, help);
    }
}

#[cfg(test)]
#[path = "tests/values.rs"]
mod tests;
