//! Finds the configuration file and reads it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use toml::de::DeTable;

use super::interpolate::{Surroundings, why};
use super::keys::{TARGETS, TOGGLES};
use super::report::{Entry, Place, Problem, Report, Severity};
use super::tables::check;
use super::{Catalog, Config, mask};
use crate::file;

/// Where a configuration file is looked for when none is named.
const USUAL: [&str; 2] = ["optoggles.toml", "/etc/optoggles/optoggles.toml"];

/// The environment variable that names the configuration file.
const VARIABLE: &str = "OPTOGGLES_CONFIG";

/// How long files are read, together, as long as `http_timeout` is not known: its default.
pub(crate) const FIRST_LIMIT: Duration = Duration::from_secs(10);

/// The most bytes of the configuration: many thousand toggles.
const LARGEST: usize = 16 * 1024 * 1024;

/// The most bytes of a file that it names.
const LARGEST_NAMED: usize = 1024 * 1024;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// Warnings only, often none.
    pub(crate) warnings: Report,
}

/// Why there is no configuration. Its `Display` tells the user everything, on one or more lines.
#[derive(Debug)]
pub enum LoadError {
    /// There is no file, or it cannot be read.
    NoFile(Box<Entry>),
    /// The file was read, and at least one of its problems is an error, or a note: then something that it
    /// refers to is not there.
    Invalid(Box<Report>),
}

/// Reads the configuration from the file that `-c` names, else from the one that
/// `$OPTOGGLES_CONFIG` names, else from the first of the usual places that has one.
pub fn load(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
) -> Result<Loaded, LoadError> {
    load_with(explicit, env, catalog, Severity::Error)
}

/// The same where a reference to a variable or file that is not there is so severe.
pub(crate) fn load_with(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
    unset: Severity,
) -> Result<Loaded, LoadError> {
    let (candidates, named_by) = candidates(explicit, env);
    load_first(&candidates, named_by, env, catalog, unset)
}

/// What the toggles of the configuration file are called, as it is written: no reference is looked up, and
/// nothing is checked. None where it is no TOML, or no regular file: a pipe can be read only once.
pub(crate) fn toggle_names(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<BTreeSet<String>> {
    let (candidates, _) = candidates(explicit, env);
    let found = candidates.iter().find(|path| path.exists());
    let path = found.filter(|path| path.is_file())?;
    let (bytes, _) = file::read(path, Instant::now(), FIRST_LIMIT, LARGEST).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let tree = DeTable::parse(&text).ok()?;
    let toggles = tree.get_ref().get(TOGGLES.name)?.get_ref().as_array()?;
    let toggles = toggles.iter().filter_map(|it| it.get_ref().as_table());
    let names = toggles.flat_map(|toggle| {
        let text = |key: &str| toggle.get(key).and_then(|it| it.get_ref().as_str());
        let (key, target) = (text("key"), text("target"));
        let named = target
            .zip(key)
            .map(|(target, key)| format!("{target}/{key}"));
        key.map(str::to_owned).into_iter().chain(named)
    });
    Some(names.collect())
}

/// The files of which the first is read that is there, and what names it, if anything.
fn candidates(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Vec<PathBuf>, Option<&'static str>) {
    let variable = env(VARIABLE).filter(|path| !path.is_empty());
    match (explicit, variable) {
        (Some(path), _) => (vec![path.to_owned()], Some("-c")),
        (None, Some(path)) => (vec![path.into()], Some("$OPTOGGLES_CONFIG")),
        (None, None) => (USUAL.map(PathBuf::from).to_vec(), None),
    }
}

fn load_first(
    candidates: &[PathBuf],
    named_by: Option<&'static str>,
    env: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
    unset: Severity,
) -> Result<Loaded, LoadError> {
    let start = Instant::now();
    for path in candidates {
        match read(path, start) {
            Ok((bytes, open_to_others)) => {
                let around = Surroundings {
                    folder: path.parent().unwrap_or(Path::new("")),
                    env,
                    read: &|path, limit| Ok(file::read(path, start, limit, LARGEST_NAMED)?.0),
                    open_to_others,
                    unset,
                };
                return parse(path, bytes, &around, catalog);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let (file, why) = (path.display(), why(&error));
                let message = format!("cannot read the configuration file `{file}`: {why}");
                let help = match error.kind() {
                    io::ErrorKind::IsADirectory => "name the file in it",
                    io::ErrorKind::TimedOut | io::ErrorKind::FileTooLarge => {
                        "name a file of at most 16 MiB"
                    }
                    _ => "let the user that runs optoggles read it",
                };
                return Err(no_file("unreadable-file", message, help.into(), Some(path)));
            }
        }
    }
    let looked = candidates.iter();
    let looked: Vec<String> = looked.map(|path| format!("`{}`", path.display())).collect();
    let looked = looked.join(" and ");
    let message = match named_by {
        Some(by) => format!("configuration file {looked} not found ({by})"),
        None => format!("no configuration file found: looked for {looked}"),
    };
    let help = format!("name one with -c or ${VARIABLE}");
    Err(no_file("no-file", message, help, candidates.first()))
}

fn no_file(code: &'static str, message: String, help: String, file: Option<&PathBuf>) -> LoadError {
    LoadError::NoFile(Box::new(Entry {
        severity: "error",
        code,
        message,
        help: Some(help),
        file: file.map(|file| file.display().to_string()),
        ..Entry::default()
    }))
}

/// The content of a file, and whether every user of this machine can read it.
fn read(path: &Path, start: Instant) -> io::Result<(Vec<u8>, bool)> {
    /// Read permission for those who are neither the owner nor of the group.
    const OTHERS_READ: u32 = 0o004;
    let (bytes, metadata) = file::read(path, start, FIRST_LIMIT, LARGEST)?;
    let is_open = metadata.is_file() && metadata.permissions().mode() & OTHERS_READ != 0;
    Ok((bytes, is_open))
}

fn parse(
    file: &Path,
    bytes: Vec<u8>,
    around: &Surroundings,
    catalog: &Catalog,
) -> Result<Loaded, LoadError> {
    let (config, report) = match String::from_utf8(bytes) {
        Ok(text) => check(file, text, around, catalog),
        Err(error) => (None, not_utf8(file, error, catalog)),
    };
    match config {
        Some(config) => Ok(Loaded {
            config,
            warnings: report,
        }),
        None => Err(LoadError::Invalid(Box::new(report))),
    }
}

/// A report that shows where the text ends to be text.
fn not_utf8(file: &Path, error: std::string::FromUtf8Error, catalog: &Catalog) -> Report {
    let end = error.utf8_error().valid_up_to();
    let mut bytes = error.into_bytes();
    bytes.truncate(end);
    let at = Place {
        span: end..end,
        ..Place::default()
    };
    let message = "the file is not UTF-8 text from here on";
    let help = "save it as UTF-8, for example with `iconv -f utf-16 -t utf-8`, or `-f latin1`";
    let problem = Problem::error("not-utf8", &at, message, help);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let cuts = mask::cuts_of_unparsed(&text, &catalog.groups(&TARGETS));
    Report::new(file, text, vec![problem], cuts)
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NoFile(entry) => {
                let help = entry.help.as_deref().unwrap_or_default();
                write!(f, "{}\n  help: {help}", entry.message)
            }
            LoadError::Invalid(report) => report.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
#[path = "tests/load.rs"]
mod tests;
