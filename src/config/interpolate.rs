//! `${NAME}`, `${file:PATH}` and `$${` in the strings of the configuration.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::report::{Place, Severity, quote};
use super::section::{Context, Node};
use crate::secret::BYTE_ORDER_MARK;

const INVALID: &str = "invalid-reference";

/// What to do about something that does not end.
const NOT_A_FILE: &str = "name a file of at most 1 MiB";

/// What the configuration may ask of the world around its file.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The folder of the configuration file, to which its paths are relative.
    pub(super) folder: &'a Path,
    /// The value of an environment variable.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file; all files together take no longer than this.
    pub(super) read: &'a dyn Fn(&Path, Duration) -> io::Result<Vec<u8>>,
    /// Whether every user of this machine can read the configuration file.
    pub(super) open_to_others: bool,
    /// How severe a reference to a variable or file is that is not there.
    pub(super) unset: Severity,
}

/// A string of the file, interpolated.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(super) place: Place,
    /// In the order of the text.
    brought: Vec<Brought>,
    written: String,
}

/// What a reference brought into a text.
#[derive(Clone, Debug)]
struct Brought {
    span: Range<usize>,
    /// What is between `${` and `}`.
    name: String,
}

impl Text {
    /// The string as it is in the file, for a message: never what was interpolated.
    ///
    /// Not for keys that hold secrets, nor for URLs, which can.
    pub(super) fn quoted(&self) -> String {
        quote(&self.written)
    }

    /// Whether all of it is in the file.
    pub(super) fn is_inline(&self) -> bool {
        self.brought.is_empty()
    }

    /// Where what is at a byte of it comes from.
    pub(super) fn origin(&self, at: usize) -> String {
        let brought = self.brought.iter().find(|it| it.span.contains(&at));
        brought.map_or_else(|| quote(&self.place.name), |it| origin(&it.name))
    }

    /// What references brought in beside the host and port of an address, each part of the path and of the
    /// user information by itself, with the names of the references.
    pub(super) fn values_beside_host(&self) -> Vec<(String, String)> {
        let url = &*self.value;
        let start = url.find("://").map_or(0, |at| at + 3);
        let path = url[start..].find('/').map_or(url.len(), |at| start + at);
        let host = url[start..path].rfind('@').map_or(start, |at| start + at);
        let mut values = Vec::new();
        for Brought { span, name } in &self.brought {
            for beside in [start..host, path..url.len()] {
                let both = span.start.max(beside.start)..span.end.min(beside.end);
                let whole = url.get(both).unwrap_or_default().trim_matches('/');
                // In `https://flags.example.com/api/toggles`, the path is of ordinary words.
                let is_word = |part: &str| {
                    part.len() < 12 && part.bytes().all(|byte| byte.is_ascii_lowercase())
                };
                let is_url = span.start < host;
                let parts = whole.split(['/', ':']).chain([whole]);
                for part in parts.filter(|part| !(is_url && is_word(part))) {
                    let decoded = percent_decode_str(part).decode_utf8_lossy();
                    values.push((decoded.into_owned(), name.clone()));
                }
            }
        }
        values
    }
}

/// What a reference names, in words.
fn origin(name: &str) -> String {
    match name.strip_prefix("file:") {
        Some(path) => format!("the file {}", quote(path)),
        None => format!("the environment variable {}", quote(name)),
    }
}

impl Context<'_> {
    /// A string, with every reference replaced; what comes in is not looked at again. `help` is for
    /// other values.
    pub(super) fn text(&mut self, node: &Node, help: &str) -> Option<Text> {
        let Some(written) = node.value.as_str() else {
            return self.wrong_type(node, "a string", help);
        };
        let at = &node.place;
        let mut text = Text {
            value: String::with_capacity(written.len()),
            place: at.clone(),
            brought: Vec::new(),
            written: written.to_owned(),
        };
        let mut is_whole = true;
        let mut rest = written;
        while let Some((before, reference)) = rest.split_once('$') {
            text.value.push_str(before);
            if let Some(after) = reference.strip_prefix("${") {
                text.value.push_str("${");
                rest = after;
            } else if let Some(inside) = reference.strip_prefix('{') {
                let Some((name, after)) = inside.split_once('}') else {
                    let help = "close it, as in `${NAME}`, or write `$${` for the characters `${` \
                                themselves";
                    self.error(INVALID, at, "`${` without a closing `}`", help);
                    return None;
                };
                match self.look_up(name, at) {
                    Some(value) => {
                        let start = text.value.len();
                        text.value.push_str(&value);
                        let (span, name) = (start..text.value.len(), name.to_owned());
                        text.brought.push(Brought { span, name });
                    }
                    None => is_whole = false,
                }
                rest = after;
            } else {
                text.value.push('$');
                rest = reference;
            }
        }
        text.value.push_str(rest);
        let values = text.brought.iter();
        let values = values.map(|it| (text.value[it.span.clone()].to_owned(), it.name.clone()));
        self.brought_in.extend(values);
        is_whole.then_some(text)
    }

    fn look_up(&mut self, name: &str, at: &Place) -> Option<String> {
        let value = self.value_of(name, at)?;
        if value.is_empty() {
            let help = "fill it, or remove the reference";
            let message = format!("{} is empty", origin(name));
            // A CI without secrets often has them empty.
            if self.around.unset == Severity::Note {
                self.error("empty-reference", at, message, help).severity = Severity::Note;
                return None;
            }
            self.warn("empty-reference", at, message, help);
        }
        Some(value)
    }

    fn value_of(&mut self, name: &str, at: &Place) -> Option<String> {
        if let Some(path) = name.strip_prefix("file:") {
            let text = self.read_text(path, &quote(path), at, self.around.unset)?;
            let line = text.strip_suffix('\n');
            let line = line.map(|line| line.strip_suffix('\r').unwrap_or(line));
            return Some(line.unwrap_or(&text).to_owned());
        }
        if !is_identifier(name) {
            // It is not repeated: `${TOKEN:-default}` would show a default that is a secret.
            let message = "this is not a reference to an environment variable or a file";
            let help = "write `${NAME}` or `${file:PATH}`, without a default value; for the \
                        characters `${` themselves, `$${`";
            self.error(INVALID, at, message, help);
            return None;
        }
        let value = (self.around.env)(name);
        if value.is_none() {
            let message = format!("the environment variable {} is not set", quote(name));
            let help = format!(
                "set it, for example `export {name}=…`, or take the value from a file: `${{file:PATH}}`"
            );
            let severity = self.around.unset;
            self.error("missing-variable", at, message, help).severity = severity;
        }
        value.map(|value| self.without_mark(value, &origin(name), at))
    }

    /// A text without the byte order mark that some editors and shells write first.
    fn without_mark(&mut self, text: String, origin: &str, at: &Place) -> String {
        let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) else {
            return text;
        };
        let message = format!("{origin} begins with a byte order mark, which is left out");
        let help = "save it as UTF-8 without a byte order mark";
        self.warn("byte-order-mark", at, message, help);
        rest.to_owned()
    }

    /// The text of a file, which messages call `shown`; how severe it is if it is not there.
    pub(super) fn read_text(
        &mut self,
        path: &str,
        shown: &str,
        at: &Place,
        unset: Severity,
    ) -> Option<String> {
        let mut severity = Severity::Error;
        let (why, help) = if path.is_empty() {
            let help = "write the path of a file, for example `secrets/token.txt`";
            ("the path is empty".into(), help)
        } else {
            let path = Path::new(path);
            let read = (self.around.read)(&self.around.folder.join(path), self.limit);
            match read.map(String::from_utf8) {
                Ok(Ok(text)) => {
                    let origin = format!("the file {shown}");
                    return Some(self.without_mark(text, &origin, at));
                }
                Ok(Err(_)) => {
                    let help = "name a text file, or save this one as UTF-8";
                    ("it is not UTF-8 text".into(), help)
                }
                Err(error) => {
                    if error.kind() == io::ErrorKind::NotFound {
                        severity = unset;
                    }
                    (why(&error), what_to_do(&error, path))
                }
            }
        };
        let message = format!("cannot read {shown}: {why}");
        self.error("unreadable-file", at, message, help).severity = severity;
        None
    }
}

fn what_to_do(error: &io::Error, path: &Path) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound if path.is_relative() => {
            "create the file, or correct its path, which is relative to the folder of the \
             configuration file"
        }
        io::ErrorKind::NotFound => "create the file, or correct its path",
        io::ErrorKind::PermissionDenied => {
            "let the user that runs optoggles read it, for example with `chown` or `chmod`"
        }
        io::ErrorKind::IsADirectory => "add the name of a file in this folder to the path",
        io::ErrorKind::TimedOut | io::ErrorKind::FileTooLarge => NOT_A_FILE,
        _ => "name a readable file",
    }
}

/// What went wrong with a file, without the numbers of the operating system.
pub(super) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

/// Whether a text is a name in the environment; one of Rego's looks the same.
pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
#[path = "tests/interpolate.rs"]
mod tests;
