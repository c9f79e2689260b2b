//! What one pass did, or would do, for people and for programs.

mod markdown;

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::engine::{Engine, Outcome, Sent, Trouble};
use crate::job::ToggleId;
use crate::terminal::Tone;
use crate::users::{Change, Users};

pub(super) struct Report {
    dry_run: bool,
    took: Duration,
    rows: Vec<Row>,
}

/// What the pass did about one toggle.
struct Row {
    key: String,
    verdict: Verdict,
    /// What was done, or would be; if `max_removal` forbids it, what it forbids.
    outcome: Outcome,
    /// How many users the toggle has then; unknown if it failed.
    users: Option<usize>,
    /// Why the toggle is not as it should be.
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Created,
    Updated,
    /// Updated, and what the target had is not known.
    Set,
    Unchanged,
    /// `max_removal` forbids it.
    Held,
    Failed,
}

#[derive(Serialize)]
struct Summary {
    toggles: usize,
    created: usize,
    updated: usize,
    unchanged: usize,
    held: usize,
    failed: usize,
}

impl Report {
    pub(super) fn new(config: &Config, engine: &Engine, dry_run: bool, took: Duration) -> Report {
        let toggles = config.toggles.iter().enumerate();
        Report {
            dry_run,
            took,
            rows: toggles
                .map(|(id, toggle)| Row::new(id, toggle.key.clone(), engine))
                .collect(),
        }
    }

    /// Whether a toggle failed, or was held back.
    pub(super) fn has_failures(&self) -> bool {
        self.rows.iter().any(|row| row.error.is_some())
    }

    /// Whether anything changed, or would; what is not known counts.
    pub(super) fn has_differences(&self) -> bool {
        let calm = [Verdict::Unchanged, Verdict::Held, Verdict::Failed];
        self.rows.iter().any(|row| !calm.contains(&row.verdict))
    }

    /// One line a toggle, and a summary line. `verbose` adds the users that come and go.
    pub(super) fn human(&self, verbose: bool, colours: bool) -> String {
        let in_columns = self.rows.iter().filter(|row| row.error.is_none());
        let keys = widest(self.rows.iter().map(|row| row.key.clone()));
        let changes = widest(in_columns.clone().map(Row::change));
        let counts = widest(in_columns.map(Row::count));
        let mut text = String::new();
        for row in &self.rows {
            let (key, change, count) = (&row.key, row.change(), row.count());
            let result = match colours {
                true => row.verdict.tone().paint(&self.result(row)),
                false => self.result(row),
            };
            let columns = match (&row.error, row.users) {
                (Some(_), _) => String::new(),
                (None, Some(1)) => format!("{change:changes$}   {count:>counts$} user    "),
                (None, _) => format!("{change:changes$}   {count:>counts$} users   "),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key:keys$}   {columns}{result}");
            if verbose {
                row.names(&mut text);
            }
        }
        text + &self.summary_line()
    }

    /// The same facts as one JSON document.
    pub(super) fn json(&self, verbose: bool) -> String {
        let document = Document {
            dry_run: self.dry_run,
            seconds: (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
            summary: self.summary(),
            toggles: self.rows.iter().map(|row| row.line(verbose)).collect(),
        };
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }

    /// The result of a toggle, in a line. Metadata show nowhere else.
    fn result(&self, row: &Row) -> String {
        let Outcome {
            created,
            described,
            sent,
        } = &row.outcome;
        match &row.error {
            None if *described && *sent == Sent::Nothing => {
                format!("{} (metadata)", self.words(row.verdict))
            }
            None => self.words(row.verdict),
            Some(error) if row.verdict == Verdict::Held => error.clone(),
            Some(error) => {
                let created = if *created { "created, " } else { "" };
                let updated = match sent {
                    Sent::Nothing => "",
                    _ => "users updated, ",
                };
                format!("{created}{updated}failed: {error}")
            }
        }
    }

    fn words(&self, verdict: Verdict) -> String {
        let (word, changes) = match verdict {
            Verdict::Created => ("created", true),
            Verdict::Updated => ("updated", true),
            Verdict::Set => ("set", true),
            Verdict::Unchanged => ("unchanged", false),
            Verdict::Held => ("held", false),
            Verdict::Failed => ("failed", false),
        };
        let would = if self.dry_run && changes {
            "would be "
        } else {
            ""
        };
        format!("{would}{word}")
    }

    fn summary(&self) -> Summary {
        let count = |verdict| {
            self.rows
                .iter()
                .filter(|row| row.verdict == verdict)
                .count()
        };
        Summary {
            toggles: self.rows.len(),
            created: count(Verdict::Created),
            updated: count(Verdict::Updated) + count(Verdict::Set),
            unchanged: count(Verdict::Unchanged),
            held: count(Verdict::Held),
            failed: count(Verdict::Failed),
        }
    }

    fn summary_line(&self) -> String {
        let summary = self.summary();
        let counts = [
            (summary.created, Verdict::Created),
            (summary.updated, Verdict::Updated),
            (summary.unchanged, Verdict::Unchanged),
            (summary.held, Verdict::Held),
            (summary.failed, Verdict::Failed),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(count, verdict)| format!("{count} {}", self.words(verdict)))
            .collect();
        let ending = if summary.toggles == 1 { "" } else { "s" };
        let colon = if counts.is_empty() { "" } else { ": " };
        let (toggles, counts, took) = (summary.toggles, counts.join(", "), self.took.as_secs_f64());
        format!("{toggles} toggle{ending}{colon}{counts} ({took:.2}s)")
    }
}

impl Verdict {
    fn of(outcome: &Outcome) -> Verdict {
        match &outcome.sent {
            Sent::Whole => Verdict::Set,
            _ if outcome.created => Verdict::Created,
            Sent::Nothing if !outcome.described => Verdict::Unchanged,
            Sent::Nothing | Sent::Change(_) => Verdict::Updated,
        }
    }

    fn tone(self) -> Tone {
        match self {
            Verdict::Created | Verdict::Updated | Verdict::Set => Tone::Good,
            Verdict::Unchanged => Tone::Quiet,
            Verdict::Held | Verdict::Failed => Tone::Bad,
        }
    }
}

impl Row {
    fn new(id: ToggleId, key: String, engine: &Engine) -> Row {
        let (outcome, result) = engine.outcome(id);
        let mut row = Row {
            key,
            verdict: Verdict::of(&outcome),
            outcome,
            users: None,
            error: None,
        };
        match result {
            Ok(users) => row.users = Some(users),
            Err(troubles) => {
                row.error = Some(words_of(&troubles));
                row.verdict = Verdict::Failed;
                if troubles.iter().any(|trouble| trouble.failure.is_held()) {
                    row.verdict = Verdict::Held;
                    if let Some((outcome, users)) = engine.held_back_change(id) {
                        (row.outcome, row.users) = (outcome, Some(users));
                    }
                }
            }
        }
        row
    }

    /// Such as `+1 -2`; `=` if no user comes or goes, `?` if that is not known.
    fn change(&self) -> String {
        let change = match &self.outcome.sent {
            Sent::Whole => return "?".into(),
            Sent::Change(change) if !change.is_empty() => change,
            Sent::Nothing | Sent::Change(_) => return "=".into(),
        };
        let parts = [('+', change.added.len()), ('-', change.removed.len())];
        let parts = parts.into_iter().filter(|(_, count)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(sign, count)| format!("{sign}{count}"))
            .collect();
        parts.join(" ")
    }

    fn count(&self) -> String {
        self.users.map_or(String::new(), |users| users.to_string())
    }

    fn known_change(&self) -> Option<&Change> {
        self.outcome.sent.as_change()
    }

    fn names(&self, text: &mut String) {
        let Some(change) = self.known_change() else {
            return;
        };
        for (sign, users) in [('+', &change.added), ('-', &change.removed)] {
            for user in users.iter() {
                let _ = writeln!(text, "  {sign} {}", user.escape_debug());
            }
        }
    }

    fn line(&self, verbose: bool) -> Line<'_> {
        let change = self.known_change();
        let is_same = self.error.is_none() && self.outcome.sent == Sent::Nothing;
        let count = |users: Option<&Users>| users.map(Users::len).or(is_same.then_some(0));
        let added = change.map(|change| &change.added);
        let removed = change.map(|change| &change.removed);
        Line {
            key: &self.key,
            result: self.verdict,
            users: self.users,
            added: count(added),
            removed: count(removed),
            created: self.outcome.created,
            described: self.outcome.described,
            added_users: added.filter(|_| verbose),
            removed_users: removed.filter(|_| verbose),
            error: self.error.as_deref(),
        }
    }
}

/// All that went wrong: a toggle can fail at its source and at the target.
fn words_of(troubles: &[Trouble]) -> String {
    let words = troubles.iter().map(|trouble| trouble.failure.to_string());
    let mut words: Vec<String> = words.collect();
    words.dedup();
    match words.is_empty() {
        true => "stopped before it was done".to_owned(),
        false => words.join("; "),
    }
}

fn widest(cells: impl Iterator<Item = String>) -> usize {
    let widths = cells.map(|cell| cell.chars().count());
    widths.max().unwrap_or_default()
}

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    seconds: f64,
    summary: Summary,
    toggles: Vec<Line<'a>>,
}

/// A toggle in the JSON document. What is not known is null.
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
