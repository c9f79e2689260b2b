//! Why there is no configuration.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::VARIABLE;
use crate::config::interpolate::why;
use crate::config::report::{Entry, Report};

/// Why there is no configuration. Its `Display` tells the user everything, on one or more lines.
#[derive(Debug)]
pub enum LoadError {
    /// There is no file at any of these places.
    NotFound {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
        /// What named the place, such as `-c`; none: it is one of the usual places.
        named_by: Option<&'static str>,
    },
    /// There is a file, and it cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file was read, and at least one of its problems is an error.
    Invalid(Box<Report>),
}

impl LoadError {
    /// The same for programs.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let (code, file) = match self {
            LoadError::Invalid(report) => return report.entries().collect(),
            LoadError::NotFound { looked, .. } => ("no-file", looked.first()),
            LoadError::Unreadable { file, .. } => ("unreadable-file", Some(file)),
        };
        vec![Entry {
            help: Some(self.help()),
            file: file.map(|file| file.display().to_string()),
            ..Entry::new("error", code, self.message())
        }]
    }

    fn message(&self) -> String {
        match self {
            LoadError::NotFound { looked, named_by } => {
                let looked: Vec<String> = looked
                    .iter()
                    .map(|path| format!("`{}`", path.display()))
                    .collect();
                let looked = looked.join(" and ");
                match named_by {
                    Some(by) => format!("there is no configuration file {looked} ({by})"),
                    None => format!("there is no configuration file: looked for {looked}"),
                }
            }
            LoadError::Unreadable { file, cause } => {
                let (file, why) = (file.display(), why(cause));
                format!("cannot read the configuration file `{file}`: {why}")
            }
            LoadError::Invalid(report) => report.to_string(),
        }
    }

    fn help(&self) -> String {
        match self {
            LoadError::NotFound { .. } => format!("name one with -c or ${VARIABLE}"),
            LoadError::Unreadable { cause, .. } if cause.kind() == io::ErrorKind::IsADirectory => {
                "name the file in it".into()
            }
            LoadError::Unreadable { .. } => "let the user that runs optoggles read it".into(),
            LoadError::Invalid(_) => String::new(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Invalid(report) => report.fmt(f),
            _ => write!(f, "{}\n  help: {}", self.message(), self.help()),
        }
    }
}

impl std::error::Error for LoadError {}
