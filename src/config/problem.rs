//! What can be wrong with a configuration, and where.

use std::ops::Range;

use crate::config::mask::is_plain;

/// One thing that is wrong with the configuration.
///
/// The texts are fit to be shown: they name keys, and quote no value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// Kebab-case, and the same in every version.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What to write instead: one line, code in backticks.
    pub(crate) help: String,
    /// The bytes of the file.
    pub(crate) span: Range<usize>,
    /// Another place that explains it, such as the first of two equal ids.
    pub(crate) related: Option<Related>,
    /// The path of the key, such as `toggles[1].users_policy.package`; empty for the whole file.
    pub(crate) key: String,
}

/// Only an error keeps the program from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Related {
    pub(crate) message: String,
    pub(crate) span: Range<usize>,
}

/// Where a value or key stands: in the file, and in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) span: Range<usize>,
    /// The whole path, such as `sources[0].url`.
    pub(crate) key: String,
    /// Its last part, such as `url`, as messages call it.
    pub(crate) name: String,
}

impl Problem {
    pub(crate) fn error(
        code: &'static str,
        at: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            help: help.into(),
            span: at.span.clone(),
            related: None,
            key: at.key.clone(),
        }
    }

    pub(crate) fn warning(
        code: &'static str,
        at: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..Problem::error(code, at, message, help)
        }
    }

    pub(crate) fn related(mut self, message: impl Into<String>, at: &Place) -> Problem {
        self.related = Some(Related {
            message: message.into(),
            span: at.span.clone(),
        });
        self
    }
}

/// Text from the file, fit for a message: in backticks, not long, and `…` where it may hold a secret.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    if !is_plain(text) {
        return "`…`".into();
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
