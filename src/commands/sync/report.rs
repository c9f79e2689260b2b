//! What one pass did, or would do, for people and for programs.

mod json;
mod markdown;

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::engine::{Engine, Outcome, Sent, Trouble};
use crate::job::ToggleId;
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
    /// What was done, or would be; of what `max_removal` forbids, what that is.
    outcome: Outcome,
    /// How many users there are then; none where it failed.
    users: Option<usize>,
    complaint: Option<Complaint>,
}

/// Why a toggle is not as it should be.
struct Complaint {
    words: String,
    /// `max_removal` forbids it.
    is_held: bool,
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
        let keys = config.toggles.iter().map(|toggle| toggle.key.clone());
        Report {
            dry_run,
            took,
            rows: keys
                .enumerate()
                .map(|(id, key)| Row::new(id, key, engine))
                .collect(),
        }
    }

    /// Whether a toggle failed, or was held back.
    pub(super) fn has_failures(&self) -> bool {
        self.rows.iter().any(|row| row.complaint.is_some())
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
            let cell = move |row: &Row| match row.complaint {
                None => cell(row),
                Some(_) => String::new(),
            };
            width(&cell)
        };
        let keys = width(&|row| row.key.clone());
        let (changes, counts) = (column(Row::change), column(Row::count));
        let mut text = String::new();
        for row in &self.rows {
            let (key, change, count) = (&row.key, row.change(), row.count());
            // Writing to a string does not fail.
            let _ = match &row.complaint {
                None => {
                    let word = if row.users == Some(1) {
                        "user "
                    } else {
                        "users"
                    };
                    let result = paint(row.verdict().tone(), &self.done(row));
                    writeln!(
                        text,
                        "{key:keys$}   {change:changes$}   {count:>counts$} {word}   {result}"
                    )
                }
                Some(complaint) => {
                    let words = paint(Tone::Bad, &complaint.in_a_line(&row.outcome));
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
        match row.outcome.described && row.outcome.sent == Sent::Nothing {
            true => words + " (metadata)",
            false => words,
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
        .map(|Trouble { failure, .. }| match failure.is_held() {
            true => format!("held: {failure}"),
            false => failure.to_string(),
        })
        .collect();
    words.dedup();
    match words.is_empty() {
        true => "stopped before it was done".to_owned(),
        false => words.join("; "),
    }
}

impl Complaint {
    /// In one line, with what was done before it failed.
    fn in_a_line(&self, outcome: &Outcome) -> String {
        if self.is_held {
            return self.words.clone();
        }
        let done = [
            outcome.created.then_some("created, "),
            (outcome.sent != Sent::Nothing).then_some("users updated, "),
        ];
        let done: String = done.into_iter().flatten().collect();
        format!("{done}failed: {}", self.words)
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
    fn new(id: ToggleId, key: String, engine: &Engine) -> Row {
        let (outcome, result) = engine.outcome(id);
        let mut row = Row {
            key,
            outcome,
            users: None,
            complaint: None,
        };
        match result {
            Ok(users) => row.users = Some(users),
            Err(troubles) => {
                let is_held = troubles.iter().any(|trouble| trouble.failure.is_held());
                if let Some((held, users)) = engine.held_back_change(id).filter(|_| is_held) {
                    (row.outcome, row.users) = (held, Some(users));
                }
                let words = words_of(&troubles);
                row.complaint = Some(Complaint { words, is_held });
            }
        }
        row
    }

    fn verdict(&self) -> Verdict {
        match (&self.complaint, &self.outcome.sent) {
            (Some(Complaint { is_held: true, .. }), _) => Verdict::Held,
            (Some(_), _) => Verdict::Failed,
            (None, Sent::Whole) => Verdict::Set,
            (None, _) if self.outcome.created => Verdict::Created,
            (None, Sent::Change(_)) => Verdict::Updated,
            (None, Sent::Nothing) if self.outcome.described => Verdict::Updated,
            (None, Sent::Nothing) => Verdict::Unchanged,
        }
    }

    /// Such as `+1 -2`; `=` where nobody comes or goes, `?` where that is not known.
    fn change(&self) -> String {
        match &self.outcome.sent {
            Sent::Nothing => "=".into(),
            Sent::Whole => "?".into(),
            Sent::Change(change) if change.is_empty() => "=".into(),
            Sent::Change(change) => {
                let parts = [('+', change.added.len()), ('-', change.removed.len())];
                let parts = parts.into_iter().filter(|(_, count)| *count > 0);
                let parts: Vec<String> = parts
                    .map(|(sign, count)| format!("{sign}{count}"))
                    .collect();
                parts.join(" ")
            }
        }
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
}
