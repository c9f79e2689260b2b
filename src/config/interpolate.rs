//! `${NAME}`, `${file:PATH}` and `$${` in the strings of the configuration.

use std::io;
use std::path::Path;

use crate::config::problem::quote;

/// What the configuration may ask of the world around its file.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The folder of the configuration file, to which its paths are relative.
    pub(super) folder: &'a Path,
    /// The value of an environment variable.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file.
    pub(super) read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Whether everybody on this machine can read the configuration file.
    pub(super) open_to_others: bool,
}

/// A string with its references replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) value: String,
    /// Whether any of it came from outside the file.
    pub(super) from_outside: bool,
}

/// Why a reference, or a file that a key names, could not be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: String,
}

/// Replaces every reference in `text`; what comes in is not looked at again.
pub(super) fn interpolate(text: &str, around: &Surroundings) -> Result<Filled, Vec<Fault>> {
    let mut filled = Filled {
        value: String::with_capacity(text.len()),
        from_outside: false,
    };
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, reference) = rest.split_at(dollar);
        filled.value.push_str(before);
        if let Some(after) = reference.strip_prefix("$${") {
            filled.value.push_str("${");
            rest = after;
        } else if let Some(inside) = reference.strip_prefix("${") {
            let Some((name, after)) = inside.split_once('}') else {
                faults.push(unclosed());
                break;
            };
            filled.from_outside = true;
            match look_up(name, around) {
                Ok(value) => filled.value.push_str(&value),
                Err(fault) => faults.push(fault),
            }
            rest = after;
        } else {
            filled.value.push('$');
            rest = &reference[1..];
        }
    }
    filled.value.push_str(rest);
    if faults.is_empty() {
        Ok(filled)
    } else {
        Err(faults)
    }
}

/// The text of a file, which messages call `shown`.
pub(super) fn read_text(path: &str, shown: &str, around: &Surroundings) -> Result<String, Fault> {
    let unreadable = |why: &str, help: &str| Fault {
        code: "unreadable-file",
        message: format!("cannot read {shown}: {why}"),
        help: help.into(),
    };
    if path.is_empty() {
        let help = "write the path of a file, for example `secrets/token.txt`";
        return Err(unreadable("the path is empty", help));
    }
    let bytes = (around.read)(&around.folder.join(path))
        .map_err(|error| unreadable(&why(&error), what_to_do(&error, Path::new(path))))?;
    String::from_utf8(bytes).map_err(|_| {
        let help = "name a file of text, or save this one as UTF-8";
        unreadable("it is not UTF-8 text", help)
    })
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
        _ => "name a file that can be read",
    }
}

/// What went wrong with a file, without the numbers of the operating system.
pub(super) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

fn look_up(name: &str, around: &Surroundings) -> Result<String, Fault> {
    if let Some(path) = name.strip_prefix("file:") {
        let mut text = read_text(path, &quote(path), around)?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        return Ok(text);
    }
    if !is_variable_name(name) {
        return Err(invalid(name));
    }
    (around.env)(name).ok_or_else(|| Fault {
        code: "missing-variable",
        message: format!("the environment variable {} is not set", quote(name)),
        help: format!(
            "set it, for example `export {name}=…`, or take the value from a file: `${{file:PATH}}`"
        ),
    })
}

/// What is not a name is not repeated: `${TOKEN:-default}` would show a default that is a secret.
fn invalid(name: &str) -> Fault {
    if let Some(meant) = as_elsewhere(name) {
        return Fault {
            code: "invalid-reference",
            message: "this is how another program refers to something outside the file".into(),
            help: format!("write `${{{meant}}}`"),
        };
    }
    let variable = name.split(':').next().filter(|name| is_variable_name(name));
    let (message, help) = match variable {
        Some(variable) => (
            format!("`${{{variable}:…}}` is not a reference: there are no default values"),
            format!("write `${{{variable}}}`, or `${{file:PATH}}` for what is in a file"),
        ),
        None => (
            "what is between `${` and `}` does not name an environment variable".into(),
            "write `${NAME}` or `${file:PATH}`; for the characters `${` themselves, `$${`".into(),
        ),
    };
    Fault {
        code: "invalid-reference",
        message,
        help,
    }
}

/// What other programs' `${env:NAME}` and `${FILE:PATH}` are here, unless either may be a default
/// value: that may be a secret.
fn as_elsewhere(name: &str) -> Option<String> {
    let (kind, rest) = name.split_once(':').unwrap_or(("env", name));
    let rest = rest.trim();
    let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match kind.trim().to_lowercase().as_str() {
        "env" if is_variable_name(rest) && rest.chars().all(is_of_name) => Some(rest.into()),
        "file" if rest.starts_with(['/', '.']) && rest.chars().all(is_of_path) => {
            Some(format!("file:{rest}"))
        }
        _ => None,
    }
}

fn unclosed() -> Fault {
    Fault {
        code: "invalid-reference",
        message: "`${` without a closing `}`".into(),
        help: "close it, as in `${NAME}`, or write `$${` for the characters `${` themselves".into(),
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
#[path = "tests/interpolate.rs"]
mod tests;
