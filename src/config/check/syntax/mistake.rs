//! One mistake in the syntax.

use std::ops::Range;

use toml::de::Error;

use crate::config::check::syntax::words;
use crate::config::lines::Lines;
use crate::config::problem::{Place, Problem, quote};

/// A mistake in the syntax.
#[derive(Debug)]
pub(in crate::config::check) struct Mistake {
    /// The bytes of the file that it is about.
    pub(in crate::config::check) at: Range<usize>,
    /// How much of the file it hides.
    pub(in crate::config::check) damage: Damage,
    pub(super) code: &'static str,
    message: String,
    help: String,
}

/// How much of the file a mistake makes unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config::check) enum Damage {
    /// Nothing: what was meant is plain.
    None,
    /// One value, which is there all the same.
    Value,
    /// Lines of one table: keys may be lost.
    Lines,
    /// Keys may also have landed in another table.
    Rest,
}

/// How the parser's messages begin where only a value is hurt. A message that is not known here
/// counts as worse, so that a new version of the parser costs findings but invents none.
const VALUE_ONLY: &[&str] = &[
    "carriage return",
    "duplicate key",
    "integers with a radix",
    "invalid basic string",
    "invalid binary",
    "invalid boolean",
    "invalid comment character",
    "invalid date",
    "invalid exponent",
    "invalid float",
    "invalid fraction",
    "invalid hexadecimal",
    "invalid integer",
    "invalid literal string",
    "invalid mantissa",
    "invalid multi-line",
    "invalid octal",
    "invalid time",
    "invalid value",
    "missing escaped value",
    "radix must be lowercase",
    "redundant",
    "string values must be quoted",
    "too few unicode value digits",
    "unexpected leading zero",
    "unexpected sign",
    "`_` may only go between digits",
];

/// The code of a key that is in a table twice.
pub(super) const DUPLICATE: &str = "duplicate-key";

impl Mistake {
    /// What the parser says, in other words; `table` is the header of the table that it is about.
    pub(in crate::config::check) fn new(
        text: &str,
        lines: &Lines,
        table: &str,
        error: &Error,
    ) -> Mistake {
        let span = error.span().unwrap_or_default();
        let start = text.floor_char_boundary(span.start);
        let at = start..text.ceil_char_boundary(span.end).max(start);
        // The message alone: the error's Display shows the line, and with it the value.
        let said = error.message();
        let damage = if VALUE_ONLY.iter().any(|begin| said.starts_with(begin)) {
            Damage::Value
        } else {
            Damage::Lines
        };
        if said == "duplicate key" {
            let key = quote(text.get(at.clone()).unwrap_or_default());
            return Mistake {
                at,
                damage,
                code: DUPLICATE,
                message: format!("the key {key} is here twice"),
                help: "take one of the two away".into(),
            };
        }
        let line = lines.range(text, lines.line(start));
        let place = words::place(said, &text[line.clone()]);
        let at = place.map_or(at, |place| line.start + place.start..line.start + place.end);
        let column = start - line.start;
        let (message, help) = words::explain(said, table, &text[line], column);
        Mistake {
            at,
            damage,
            code: "syntax",
            message,
            help,
        }
    }

    /// What can be mended with nothing lost.
    pub(in crate::config::check) fn plain(
        at: Range<usize>,
        code: &'static str,
        message: String,
        help: String,
    ) -> Mistake {
        Mistake {
            at,
            damage: Damage::None,
            code,
            message,
            help,
        }
    }

    /// What a merge has left.
    pub(in crate::config::check) fn conflict(at: Range<usize>) -> Mistake {
        Mistake {
            at,
            damage: Damage::Rest,
            code: "syntax",
            message: "a merge conflict is left in the file".into(),
            help: "keep one of the two sides, and take away the other one and the lines that \
                   begin with `<<<<<<<`, `=======` and `>>>>>>>`"
                .into(),
        }
    }

    /// A bracket or quotes without their other half.
    pub(in crate::config::check) fn unclosed(
        text: &str,
        at: Range<usize>,
        closing: &str,
    ) -> Mistake {
        let opening = &text[at.clone()];
        let rest = text[at.end..].lines().next().unwrap_or_default().trim();
        let ends_line = rest.is_empty() || rest.starts_with('#');
        let is_second = closing.len() == 1 && text[..at.start].ends_with(opening);
        let (message, help) = if is_second && opening == closing && ends_line {
            let message = format!("there is a `{opening}` too many");
            (message, format!("take one `{opening}` away"))
        } else {
            let message = format!("this `{opening}` is not closed");
            (message, format!("write `{closing}` where it ends"))
        };
        Mistake {
            at,
            damage: Damage::Lines,
            code: "syntax",
            message,
            help,
        }
    }

    /// Whether a key is in a table twice: what hurts nothing.
    pub(in crate::config::check) fn is_duplicate(&self) -> bool {
        self.code == DUPLICATE
    }

    /// Asks for the header between two tables where the second one's keys have landed in the
    /// first one's, which begins with the header `above`.
    pub(in crate::config::check) fn suspect_header(&mut self, text: &str, above: &str) {
        let key = &text[self.at.clone()];
        let missing = match (above, key) {
            ("[[toggles]]", "key" | "users_policy") => above,
            ("[[sources]]", "id" | "url" | "advertised_address") => above,
            ("[[sources]]", "type") => "[target]",
            _ => return,
        };
        if self.is_duplicate() {
            self.help = format!("is `{missing}` missing above it? else take one of the two away");
            self.damage = Damage::Rest;
        }
    }
}

impl From<Mistake> for Problem {
    fn from(mistake: Mistake) -> Problem {
        let at = Place {
            span: mistake.at,
            ..Place::default()
        };
        Problem::error(mistake.code, &at, mistake.message, mistake.help)
    }
}
