//! What one pass did, for programs.

use serde::Serialize;

use super::{Report, Row, Summary, Verdict};
use crate::engine::Sent;
use crate::users::{Change, Users};

/// The whole, as JSON.
#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    seconds: f64,
    summary: Summary,
    toggles: Vec<Line<'a>>,
}

/// A toggle, as JSON. What is not known is null.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    result: Verdict,
    users: Option<usize>,
    added: Option<usize>,
    removed: Option<usize>,
    created: bool,
    described: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    added_users: Option<&'a Users>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_users: Option<&'a Users>,
    error: Option<&'a str>,
}

impl Report {
    /// The same facts as one JSON document.
    pub(in crate::commands::sync) fn json(&self, verbose: bool) -> String {
        let document = Document {
            dry_run: self.dry_run,
            seconds: (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
            summary: self.summary(),
            toggles: self.rows.iter().map(|row| row.line(verbose)).collect(),
        };
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }
}

impl Row {
    fn line(&self, verbose: bool) -> Line<'_> {
        let change = self.known_change();
        let nothing = self.complaint.is_none() && self.outcome.sent == Sent::Nothing;
        let count = |users: fn(&Change) -> &Users| {
            change
                .map(|change| users(change).len())
                .or(nothing.then_some(0))
        };
        let names = change.filter(|_| verbose);
        Line {
            key: &self.key,
            result: self.verdict(),
            users: self.users,
            added: count(|change| &change.added),
            removed: count(|change| &change.removed),
            created: self.outcome.created,
            described: self.outcome.described,
            added_users: names.map(|change| &change.added),
            removed_users: names.map(|change| &change.removed),
            error: self
                .complaint
                .as_ref()
                .map(|complaint| complaint.words.as_str()),
        }
    }
}
