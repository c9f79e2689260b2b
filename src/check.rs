//! What a source or the target answers to `check-config --online`.

use crate::error::Failure;
use crate::job::Origin;

/// What was asked, in a word or two, and what came of it.
pub(crate) type Answers = Vec<(String, Result<Told, Failure>)>;

/// An answer that will do.
#[derive(Clone, Debug)]
pub struct Told {
    pub(crate) words: String,
    pub(crate) is_warning: bool,
}

impl Told {
    pub(crate) fn warning(words: impl Into<String>) -> Told {
        Told {
            words: words.into(),
            is_warning: true,
        }
    }
}

impl<W: Into<String>> From<W> for Told {
    fn from(words: W) -> Told {
        Told {
            words: words.into(),
            is_warning: false,
        }
    }
}

pub(crate) struct SourceCheck {
    pub(crate) answers: Answers,
    /// Where its rules are to be queried, or why they cannot be; none: they are not queried.
    pub(crate) origin: Option<Result<Origin, Failure>>,
}

/// The failure of a question that was not asked, because `peer` failed before.
pub(crate) fn not_asked(peer: &str, failure: &Failure) -> Failure {
    let words = format!("not asked: {peer} failed ({})", failure.reason());
    Failure::new(failure.kind, words)
}
