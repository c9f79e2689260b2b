//! What one pass did, or would do, for people and for programs.

mod json;
mod markdown;

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::engine::{Engine, Outcome, Sent, Trouble};
use crate::terminal::Tone;
use crate::users::Change;

/// What one pass did.
pub(super) struct Report {
    dry_run: bool,
    took: Duration,
    rows: Vec<Row>,
}

/// What it did about one toggle.
struct Row {
    key: String,
    result: Result<(Outcome, usize), Complaint>,
}

/// Why a toggle is not as it should be.
struct Complaint {
    words: String,
    /// The change that `max_removal` forbids, and how many users there would be.
    held: Option<(Outcome, usize)>,
}

/// The results, as they are counted in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Created,
    Updated,
    /// Updated, where it is not known what the target had.
    Set,
    Unchanged,
    /// `max_removal` forbids it.
    Held,
    Failed,
}

#[derive(Default, Serialize)]
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
        let row = |(id, toggle): (usize, &crate::config::Toggle)| Row {
            key: toggle.key.clone(),
            result: engine.outcome(id).map_err(|troubles| Complaint {
                words: words_of(&troubles),
                held: match troubles.iter().any(|trouble| trouble.failure.is_held()) {
                    true => engine.held_back_change(id),
                    false => None,
                },
            }),
        };
        Report {
            dry_run,
            took,
            rows: config.toggles.iter().enumerate().map(row).collect(),
        }
    }

    /// Whether a toggle failed, or was held back.
    pub(super) fn has_failures(&self) -> bool {
        self.rows.iter().any(|row| row.result.is_err())
    }

    /// Whether anything changed, or would; what is not known counts.
    pub(super) fn has_differences(&self) -> bool {
        let calm = [Verdict::Unchanged, Verdict::Held, Verdict::Failed];
        self.rows.iter().any(|row| !calm.contains(&row.verdict()))
    }

    /// One line a toggle, and a summary line. `verbose` adds who comes and goes; results have colours
    /// where these are wanted.
    pub(super) fn human(&self, verbose: bool, colours: bool) -> String {
        let paint = |tone: Tone, words: &str| match colours {
            true => tone.paint(&words),
            false => words.to_owned(),
        };
        let width = |text: &dyn Fn(&Row) -> String| {
            let widths = self.rows.iter().map(|row| text(row).chars().count());
            widths.max().unwrap_or_default()
        };
        // What is held or has failed has no columns.
        let column = |cell: fn(&Row) -> String| {
            let cell = move |row: &Row| row.result.as_ref().map_or(String::new(), |_| cell(row));
            width(&cell)
        };
        let keys = width(&|row| row.key.clone());
        let (changes, counts) = (column(Row::change), column(Row::count));
        let mut text = String::new();
        for row in &self.rows {
            let (key, change, count) = (&row.key, row.change(), row.count());
            // Writing to a string does not fail.
            let _ = match &row.result {
                Ok((_, users)) => {
                    let word = if *users == 1 { "user " } else { "users" };
                    let result = paint(row.verdict().tone(), &self.done(row));
                    writeln!(
                        text,
                        "{key:keys$}   {change:changes$}   {count:>counts$} {word}   {result}"
                    )
                }
                Err(complaint) => {
                    let words = paint(Tone::Bad, &complaint.in_a_line());
                    writeln!(text, "{key:keys$}   {words}")
                }
            };
            if verbose {
                row.names(&mut text);
            }
        }
        text + &self.summary_line()
    }

    /// What was done about a row that has not failed; of metadata alone nothing else would tell.
    fn done(&self, row: &Row) -> String {
        let words = self.words(row.verdict());
        match row.outcome() {
            Some((outcome, _)) if outcome.described && outcome.sent == Sent::Nothing => {
                words + " (metadata)"
            }
            _ => words,
        }
    }

    fn words(&self, verdict: Verdict) -> String {
        let word = match verdict {
            Verdict::Created => "created",
            Verdict::Updated => "updated",
            Verdict::Set => "set",
            Verdict::Unchanged => "unchanged",
            Verdict::Held => "held",
            Verdict::Failed => "failed",
        };
        match verdict {
            Verdict::Created | Verdict::Updated | Verdict::Set if self.dry_run => {
                format!("would be {word}")
            }
            _ => word.to_owned(),
        }
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary {
            toggles: self.rows.len(),
            ..Summary::default()
        };
        for row in &self.rows {
            *match row.verdict() {
                Verdict::Created => &mut summary.created,
                Verdict::Updated | Verdict::Set => &mut summary.updated,
                Verdict::Unchanged => &mut summary.unchanged,
                Verdict::Held => &mut summary.held,
                Verdict::Failed => &mut summary.failed,
            } += 1;
        }
        summary
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

/// All that went wrong: a toggle can fail at its source and at the target.
fn words_of(troubles: &[Trouble]) -> String {
    let mut words: Vec<String> = troubles
        .iter()
        .map(|trouble| trouble.failure.to_string())
        .collect();
    words.dedup();
    match words.is_empty() {
        true => "stopped before it was done".to_owned(),
        false => words.join("; "),
    }
}

impl Complaint {
    fn in_a_line(&self) -> String {
        match self.held {
            Some(_) => self.words.clone(),
            None => format!("failed: {}", self.words),
        }
    }
}

impl Verdict {
    fn tone(self) -> Tone {
        match self {
            Verdict::Created | Verdict::Updated | Verdict::Set => Tone::Good,
            Verdict::Unchanged => Tone::Quiet,
            Verdict::Held | Verdict::Failed => Tone::Bad,
        }
    }
}

impl Row {
    fn verdict(&self) -> Verdict {
        match &self.result {
            Err(Complaint { held: Some(_), .. }) => Verdict::Held,
            Err(_) => Verdict::Failed,
            Ok((outcome, _)) => match outcome.sent {
                Sent::Whole => Verdict::Set,
                _ if outcome.created => Verdict::Created,
                Sent::Change(_) => Verdict::Updated,
                Sent::Nothing if outcome.described => Verdict::Updated,
                Sent::Nothing => Verdict::Unchanged,
            },
        }
    }

    /// What was done, or would be, and how many users there are then.
    fn outcome(&self) -> Option<&(Outcome, usize)> {
        match &self.result {
            Ok(outcome) => Some(outcome),
            Err(complaint) => complaint.held.as_ref(),
        }
    }

    /// Such as `+1 -2`; `=` where nobody comes or goes, `?` where that is not known.
    fn change(&self) -> String {
        match self.outcome() {
            None => String::new(),
            Some((Outcome { sent, .. }, _)) => match sent {
                Sent::Nothing => "=".into(),
                Sent::Whole => "?".into(),
                Sent::Change(change) if change.is_empty() => "=".into(),
                Sent::Change(Change { added, removed }) => {
                    let parts = [('+', added.len()), ('-', removed.len())];
                    let parts = parts.into_iter().filter(|(_, count)| *count > 0);
                    let parts: Vec<String> = parts
                        .map(|(sign, count)| format!("{sign}{count}"))
                        .collect();
                    parts.join(" ")
                }
            },
        }
    }

    fn count(&self) -> String {
        let count = self.outcome().map(|(_, users)| users.to_string());
        count.unwrap_or_default()
    }

    fn known_change(&self) -> Option<&Change> {
        self.outcome()
            .and_then(|(outcome, _)| outcome.sent.as_change())
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
}
