//! Finds the configuration file and reads it.

mod error;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::check::check;
use crate::config::interpolate::Surroundings;
use crate::config::mask;
use crate::config::problem::{Place, Problem};
use crate::config::report::Report;
use crate::config::{Catalog, Config};
pub(crate) use error::LoadError;

/// Where a configuration file is looked for when none is named.
const USUAL: [&str; 2] = ["optoggles.toml", "/etc/optoggles/optoggles.toml"];

/// The environment variable that names the configuration file.
const VARIABLE: &str = "OPTOGGLES_CONFIG";

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub(crate) file: PathBuf,
    /// What it says.
    pub config: Config,
    /// Warnings only, often none.
    pub(crate) warnings: Report,
}

/// Reads the configuration from the file that `-c` names, else from the one that
/// `$OPTOGGLES_CONFIG` names, else from the first of the usual places that has one.
///
/// # Errors
///
/// Where there is no file, it cannot be read, or what it says is wrong.
pub fn load(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
) -> Result<Loaded, LoadError> {
    let variable = env(VARIABLE).filter(|path| !path.is_empty());
    let (candidates, named_by) = match (explicit, variable) {
        (Some(path), _) => (vec![path.to_owned()], Some("-c")),
        (None, Some(path)) => (vec![path.into()], Some("$OPTOGGLES_CONFIG")),
        (None, None) => (USUAL.map(PathBuf::from).to_vec(), None),
    };
    load_first(candidates, named_by, env, catalog)
}

fn load_first(
    candidates: Vec<PathBuf>,
    named_by: Option<&'static str>,
    env: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
) -> Result<Loaded, LoadError> {
    for path in &candidates {
        match read(path) {
            Ok((bytes, open_to_others)) => {
                return parse(path.clone(), bytes, open_to_others, env, catalog);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => {
                let file = path.clone();
                return Err(LoadError::Unreadable { file, cause });
            }
        }
    }
    Err(LoadError::NotFound {
        looked: candidates,
        named_by,
    })
}

/// The content of a file, and whether everybody on this machine can read it.
fn read(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, is_open_to_others(&file)?))
}

fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    /// Read permission for those who are neither the owner nor of the group.
    const OTHERS_READ: u32 = 0o004;
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && metadata.permissions().mode() & OTHERS_READ != 0)
}

fn parse(
    file: PathBuf,
    bytes: Vec<u8>,
    open_to_others: bool,
    env: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
) -> Result<Loaded, LoadError> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(LoadError::Invalid(Box::new(not_utf8(file, error, catalog)))),
    };
    let around = Surroundings {
        folder: file.parent().unwrap_or(Path::new("")),
        env,
        read: &|path| std::fs::read(path),
        open_to_others,
    };
    let checked = check(&text, &around, catalog);
    let report = Report::new(file.clone(), text, checked.problems, &checked.cuts);
    match checked.config {
        Some(config) => Ok(Loaded {
            file,
            config,
            warnings: report,
        }),
        None => Err(LoadError::Invalid(Box::new(report))),
    }
}

/// A report that shows where the text ends to be text.
fn not_utf8(file: PathBuf, error: std::string::FromUtf8Error, catalog: &Catalog) -> Report {
    let end = error.utf8_error().valid_up_to();
    let mut bytes = error.into_bytes();
    bytes.truncate(end);
    let at = Place {
        span: end..end,
        ..Place::default()
    };
    let message = "the file is not UTF-8 text from here on";
    let help = "save it as UTF-8, for example with `iconv -f latin1 -t utf-8`";
    let problem = Problem::error("not-utf8", &at, message, help);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let cuts = mask::cuts_of_unparsed(&text, &catalog.groups());
    Report::new(file, text, vec![problem], &cuts)
}

#[cfg(test)]
#[path = "tests/load.rs"]
mod tests;
