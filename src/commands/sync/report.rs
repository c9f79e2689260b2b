//! The report of one pass: what it changed, or would change.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::engine::{Engine, EnvironmentOutcome, Named, Sent};
use crate::error::Failure;
use crate::job::{Operation, ToggleId};
use crate::terminal::Tone;
use crate::users::Users;

/// How many names `--format markdown` shows of a toggle; the rest is counted.
const NAMES: usize = 20;

/// Serialized, it is the document of `--format json`.
#[derive(Serialize)]
pub(super) struct Report {
    dry_run: bool,
    seconds: f64,
    summary: Summary,
    toggles: Vec<Row>,
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

/// What the pass did to one toggle, or what `max_removal` holds back; `None` where it is not known.
#[derive(Serialize)]
struct Row {
    key: String,
    target: String,
    #[serde(rename = "result")]
    verdict: Verdict,
    /// How many users the toggle now has.
    users: Option<usize>,
    added: Option<usize>,
    removed: Option<usize>,
    created: bool,
    described: bool,
    /// Shown with `--verbose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    added_users: Option<Users>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_users: Option<Users>,
    error: Option<String>,
    /// Empty at a target without environments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    environments: Vec<EnvironmentRow>,
    /// The toggle as people know it.
    #[serde(skip)]
    name: String,
    /// What `error` is made of.
    #[serde(skip)]
    errors: Vec<String>,
    #[serde(skip)]
    sent: Sent,
}

/// The same of one environment.
#[derive(PartialEq, Serialize)]
struct EnvironmentRow {
    name: String,
    #[serde(rename = "result")]
    verdict: Verdict,
    added: Option<usize>,
    removed: Option<usize>,
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Created,
    Updated,
    /// Updated; what the target had is not known.
    Set,
    Unchanged,
    /// Held back by `max_removal`.
    Held,
    Failed,
}

impl Report {
    /// `verbose` adds the names of added and removed users.
    pub(super) fn new(
        config: &Config,
        engine: &Engine,
        dry_run: bool,
        verbose: bool,
        took: Duration,
    ) -> Report {
        let toggles = (0..config.toggles.len()).map(|id| Row::new(id, config, engine, verbose));
        let toggles: Vec<Row> = toggles.collect();
        Report {
            dry_run,
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
            summary: Summary::of(&toggles),
            toggles,
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        self.summary.failed + self.summary.held > 0
    }

    /// Whether anything changed, or would; toggles whose state is not known count.
    pub(super) fn has_differences(&self) -> bool {
        self.summary.created + self.summary.updated > 0
    }

    /// One line per toggle, and a summary line.
    pub(super) fn human(&self, colours: bool) -> String {
        let in_columns = self.toggles.iter().filter(|row| row.error.is_none());
        let keys = widest(self.toggles.iter().map(|row| row.name.clone()));
        let changes = widest(in_columns.clone().map(Row::change));
        let counts = widest(in_columns.map(Row::count));
        let mut text = String::new();
        for row in &self.toggles {
            let (key, change, count) = (&row.name, row.change(), row.count());
            let result = match colours {
                true => row.verdict.tone().paint(&self.result(row, true)),
                false => self.result(row, true),
            };
            let columns = match (&row.error, row.users) {
                (Some(_), _) => String::new(),
                (None, Some(1)) => format!("{change:changes$}   {count:>counts$} user    "),
                (None, _) => format!("{change:changes$}   {count:>counts$} users   "),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key:keys$}   {columns}{result}");
            for environment in row.differing() {
                let _ = writeln!(text, "  {}", self.environment_line(environment));
            }
            for (sign, users) in [('+', &row.added_users), ('-', &row.removed_users)] {
                for user in users.iter().flat_map(Users::iter) {
                    let _ = writeln!(text, "  {sign} {}", user.escape_debug());
                }
            }
        }
        text + &self.summary_line()
    }

    /// A table of the toggles that change or fail, for a comment on a pull request, and a summary line.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        for row in &self.toggles {
            if row.verdict == Verdict::Unchanged {
                continue;
            }
            if text.is_empty() {
                text.push_str("| toggle | gain it | lose it | users | result |\n");
                text.push_str("| --- | --- | --- | ---: | --- |\n");
            }
            let (key, count, result) = (
                code(&row.name),
                row.count(),
                escape(&self.result(row, false)),
            );
            let (gains, losses) = row.gains_and_losses();
            let _ = writeln!(text, "| {key} | {gains} | {losses} | {count} | {result} |");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text + &self.summary_line()
    }

    /// The result of a toggle in words. Changed metadata show only here. Several failures are on `lines` of
    /// their own, if there may be several.
    fn result(&self, row: &Row, lines: bool) -> String {
        let words = self.words(row.verdict);
        match &row.error {
            None if row.described && row.sent == Sent::Nothing => words + " (metadata)",
            None => words,
            Some(error) if row.verdict == Verdict::Held => error.clone(),
            Some(error) => {
                let errors = match lines && row.errors.len() > 1 {
                    true => format!("\n  {}", row.errors.join("\n  ")),
                    false => format!(" {error}"),
                };
                let is_sent = row.sent != Sent::Nothing;
                let done = [(row.created, Verdict::Created), (is_sent, Verdict::Updated)];
                let done = done.into_iter().filter(|(is_done, _)| *is_done);
                let done = done.map(|(_, verdict)| match verdict {
                    Verdict::Updated => format!("users {}, ", self.words(verdict)),
                    verdict => format!("{}, ", self.words(verdict)),
                });
                format!("{}failed:{errors}", done.collect::<String>())
            }
        }
    }

    fn environment_line(&self, row: &EnvironmentRow) -> String {
        let change = change_of(row.added, row.removed);
        match row.verdict {
            Verdict::Failed => format!("{}: {}", row.name, self.words(row.verdict)),
            _ => format!("{}: {change} {}", row.name, self.words(row.verdict)),
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

    fn summary_line(&self) -> String {
        let summary = &self.summary;
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
        let (toggles, counts, seconds) = (summary.toggles, counts.join(", "), self.seconds);
        format!("{toggles} toggle{ending}{colon}{counts} ({seconds:.2}s)")
    }
}

impl Summary {
    fn of(rows: &[Row]) -> Summary {
        let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        Summary {
            toggles: rows.len(),
            created: count(Verdict::Created),
            updated: count(Verdict::Updated) + count(Verdict::Set),
            unchanged: count(Verdict::Unchanged),
            held: count(Verdict::Held),
            failed: count(Verdict::Failed),
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
    fn new(id: ToggleId, config: &Config, engine: &Engine, verbose: bool) -> Row {
        let (mut outcome, result) = engine.outcome(id);
        let (verdict, users, errors) = match result {
            Ok(users) => {
                let verdict = match &outcome.sent() {
                    Sent::Whole => Verdict::Set,
                    _ if outcome.created => Verdict::Created,
                    Sent::Nothing if !outcome.described => Verdict::Unchanged,
                    Sent::Nothing | Sent::Change(_) => Verdict::Updated,
                };
                (verdict, Some(users), Vec::new())
            }
            Err(troubles)
                if !troubles.is_empty()
                    && troubles.iter().all(|it| it.trouble.failure.is_held()) =>
            {
                let (held, users) = engine.held_back_change(id).unzip();
                outcome = held.unwrap_or(outcome);
                (Verdict::Held, users, words_of(&troubles))
            }
            Err(troubles) => (Verdict::Failed, None, words_of(&troubles)),
        };
        let sent = outcome.sent();
        let change = sent.as_change();
        let named = change.filter(|_| verbose);
        let same = (errors.is_empty() && sent == Sent::Nothing).then_some(0);
        let environments = outcome.environments.iter();
        let environments = environments.filter(|it| !it.name.is_empty());
        let environments = environments.map(EnvironmentRow::of);
        let toggle = &config.toggles[id];
        Row {
            key: toggle.key.clone(),
            target: config.targets[toggle.target].id.clone(),
            environments: environments.collect(),
            name: config.name_of(id).to_owned(),
            verdict,
            users,
            added: change.map(|change| change.added.len()).or(same),
            removed: change.map(|change| change.removed.len()).or(same),
            created: outcome.created,
            described: outcome.described,
            added_users: named.map(|change| change.added.clone()),
            removed_users: named.map(|change| change.removed.clone()),
            error: (!errors.is_empty()).then(|| errors.join("; ")),
            errors,
            sent,
        }
    }

    /// Such as `+1 -2`; `=` if the users are the same, `?` if that is not known.
    fn change(&self) -> String {
        change_of(self.added, self.removed)
    }

    /// Its environments, where not the same was done in all of them.
    fn differing(&self) -> &[EnvironmentRow] {
        let facts = |row: &EnvironmentRow| (row.verdict, row.added, row.removed);
        let mut pairs = self.environments.windows(2);
        match pairs.any(|pair| facts(&pair[0]) != facts(&pair[1])) {
            true => &self.environments,
            false => &[],
        }
    }

    fn gains_and_losses(&self) -> (String, String) {
        match (self.sent.as_change(), self.verdict) {
            (Some(change), _) => (names('+', &change.added), names('−', &change.removed)),
            (None, Verdict::Set | Verdict::Held) => ("?".into(), "?".into()),
            (None, _) => Default::default(),
        }
    }

    fn count(&self) -> String {
        self.users.map_or(String::new(), |users| users.to_string())
    }
}

impl EnvironmentRow {
    fn of(outcome: &EnvironmentOutcome) -> EnvironmentRow {
        let verdict = match (&outcome.failure, &outcome.sent) {
            (Some(failure), _) if failure.is_held() => Verdict::Held,
            (Some(_), _) => Verdict::Failed,
            (None, Sent::Whole) => Verdict::Set,
            (None, Sent::Change(_)) => Verdict::Updated,
            (None, Sent::Nothing) if outcome.is_done => Verdict::Unchanged,
            // Its toggle has failed.
            (None, Sent::Nothing) => Verdict::Failed,
        };
        let change = outcome.sent.as_change();
        let same = (verdict == Verdict::Unchanged).then_some(0);
        EnvironmentRow {
            name: outcome.name.clone(),
            verdict,
            added: change.map(|change| change.added.len()).or(same),
            removed: change.map(|change| change.removed.len()).or(same),
            error: outcome.failure.as_ref().map(Failure::to_string),
        }
    }
}

/// Such as `+1 -2`; `=` if no user comes or goes, `?` if that is not known.
fn change_of(added: Option<usize>, removed: Option<usize>) -> String {
    match (added, removed) {
        (Some(0), Some(0)) => "=".to_owned(),
        (Some(added), Some(0)) => format!("+{added}"),
        (Some(0), Some(removed)) => format!("-{removed}"),
        (Some(added), Some(removed)) => format!("+{added} -{removed}"),
        _ => "?".to_owned(),
    }
}

/// All that went wrong: a toggle can fail at its source, in each environment of its target, and with its
/// metadata.
fn words_of(troubles: &[Named]) -> Vec<String> {
    let key = |it: &Named| {
        let is_metadata = it.trouble.operation == Operation::Describe;
        (is_metadata, it.trouble.failure.clone())
    };
    let mut keys: Vec<(bool, Failure)> = Vec::new();
    for key in troubles.iter().map(key) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return vec!["interrupted before it was done".to_owned()];
    }
    let words = keys.iter().map(|it| {
        let (is_metadata, failure) = it;
        let held = if failure.is_held() { "held: " } else { "" };
        let same = troubles.iter().filter(|trouble| key(trouble) == *it);
        let names = same.map(|it| &*it.environment).filter(|it| !it.is_empty());
        match &names.collect::<Vec<_>>()[..] {
            [] if *is_metadata => format!("metadata: {failure}"),
            [] => format!("{held}{failure}"),
            [name] => format!("{held}environment {name}: {failure}"),
            names => format!("{held}environments {}: {failure}", names.join(", ")),
        }
    });
    words.collect()
}

fn widest(cells: impl Iterator<Item = String>) -> usize {
    let widths = cells.map(|cell| cell.chars().count());
    widths.max().unwrap_or_default()
}

/// How many users, and the first of their names.
fn names(sign: char, users: &Users) -> String {
    if users.is_empty() {
        return String::new();
    }
    let names: String = users
        .iter()
        .take(NAMES)
        .map(|user| format!(" {}", code(user)))
        .collect();
    let more = match users.len().checked_sub(NAMES) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    };
    format!("{sign}{}:{names}{more}", users.len())
}

/// Verbatim text in a cell: a name must not become a link, a mention or a command.
fn code(text: &str) -> String {
    let text = escape(&text.escape_debug().to_string());
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}

/// A `|` ends a cell, even within code.
fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests;
