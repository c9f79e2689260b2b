//! The report of one pass: what it changed, or would change.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::config::report::count;
use crate::engine::{Counts, Engine, EnvironmentOutcome, Outcome, Sent, Trouble, Verdict};
use crate::job::{Operation, ToggleId};
use crate::terminal::Tone;
use crate::users::{Change, Users};

/// The most characters of `--format markdown`, with the end of its last line: a comment on GitHub takes 65,536,
/// and the workflow adds some.
const LIMIT: usize = 60_000;

/// How many names `--format markdown` shows of a toggle, and how many where that is too long; the rest is
/// counted.
const NAMES: [usize; 2] = [20, 5];

/// Serialized, it is the document of `--format json`.
#[derive(Serialize)]
pub(super) struct Report {
    dry_run: bool,
    seconds: f64,
    summary: Summary,
    toggles: Vec<Row>,
    /// What went wrong at targets as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

#[derive(Serialize)]
struct Summary {
    toggles: usize,
    created: usize,
    updated: usize,
    unchanged: usize,
    retired: usize,
    held: usize,
    failed: usize,
}

/// What the pass did to one toggle, or what `max_removal` holds back.
#[derive(Serialize)]
struct Row {
    key: String,
    target: String,
    #[serde(flatten)]
    outcome: Outcome,
    /// Who is added and removed, with `--verbose`.
    #[serde(flatten)]
    named: Option<Arc<Change>>,
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    environments: Vec<EnvironmentOutcome>,
    /// The toggle as people know it.
    #[serde(skip)]
    name: String,
    /// What `error` is made of.
    #[serde(skip)]
    errors: Vec<String>,
}

impl Report {
    /// `verbose` adds the names of added and removed users.
    pub(super) fn new(engines: &[Engine], dry_run: bool, verbose: bool, took: Duration) -> Report {
        let rows = engines.iter().flat_map(|engine| {
            let config = engine.config();
            let ids = 0..config.toggles.len();
            // One that was retired before is no news.
            let is_news = |(id, row): &(ToggleId, Row)| {
                let is_unchanged = row.outcome.result == Verdict::Unchanged;
                config.toggles[*id].rule.is_some() || !is_unchanged
            };
            let rows = ids.map(move |id| (id, Row::new(id, config, engine, verbose)));
            rows.filter(is_news).map(|(_, row)| row)
        });
        let toggles: Vec<Row> = rows.collect();
        Report {
            dry_run,
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
            summary: Summary::of(&toggles),
            toggles,
            errors: engines.iter().flat_map(errors_of_targets).collect(),
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        self.summary.failed + self.summary.held > 0 || self.has_errors()
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether anything changed, or would; toggles whose state is not known count.
    pub(super) fn has_differences(&self) -> bool {
        self.summary.created + self.summary.updated + self.summary.retired > 0
    }

    /// One line per toggle, and a summary line.
    pub(super) fn human(&self, colours: bool) -> String {
        let in_columns = self.toggles.iter().filter(|row| row.error.is_none());
        let names = widest(self.toggles.iter().map(|row| row.name.clone()));
        let changes = widest(in_columns.clone().map(Row::change));
        let counts = widest(in_columns.map(Row::count));
        let mut text = String::new();
        for row in &self.toggles {
            let (name, change, count) = (&row.name, row.change(), row.count());
            let noun = if count == "1" { "user" } else { "users" };
            let columns = match row.error {
                Some(_) => String::new(),
                None => format!("{change:changes$}   {count:>counts$} {noun:8}"),
            };
            let result = match colours {
                true => tone(row.outcome.result).paint(&self.result(row, true)),
                false => self.result(row, true),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:names$}   {columns}{result}");
            for it in row.differing() {
                let (name, words) = (&it.name, self.words(it.result));
                let _ = match it.result {
                    Verdict::Failed => writeln!(text, "  {name}: {words}"),
                    _ => writeln!(text, "  {name}: {} {words}", it.counts),
                };
            }
            let named = row.named.iter();
            for (sign, users) in named.flat_map(|it| [('+', &it.added), ('-', &it.removed)]) {
                for user in users.iter() {
                    let _ = writeln!(text, "  {sign} {}", user.escape_debug());
                }
            }
        }
        for error in &self.errors {
            let _ = writeln!(text, "{error}");
        }
        text + &self.summary_line()
    }

    /// A table of the toggles that change or fail, for a comment on a pull request, and a summary line. What
    /// does not fit is left out: names first, then toggles.
    pub(super) fn markdown(&self) -> String {
        const HEAD: &str = "| toggle | gain it | lose it | users | result |\n\
                            | --- | --- | --- | ---: | --- |\n";
        let errors = self.errors.iter().map(|error| plain(error) + "\n\n");
        let summary = errors.chain([self.summary_line()]).collect::<String>();
        let note = |left: usize| match left {
            0 => "Names are left out: a comment holds no more.\n\n".to_owned(),
            left => format!(
                "Names and {} are left out: a comment holds no more.\n\n",
                count(left, "more toggle")
            ),
        };
        let is_shown = |row: &&Row| row.outcome.result != Verdict::Unchanged;
        let mut rows: Vec<&Row> = self.toggles.iter().filter(is_shown).collect();
        if rows.is_empty() {
            return summary;
        }
        // The note about all of them is the longest.
        let around = [HEAD, "\n", &note(rows.len()), &summary, "\n"];
        let space = LIMIT - around.map(size).into_iter().sum::<usize>();
        let fitting = |rows: &[&Row], names: usize| {
            let mut left = space;
            let lines = rows.iter().map(|row| self.line(row, names));
            let lines = lines.map_while(|line| {
                left = left.checked_sub(size(&line))?;
                Some(line)
            });
            lines.collect::<Vec<String>>()
        };
        let mut whole = NAMES.into_iter().map(|names| fitting(&rows, names));
        if let Some(lines) = whole.find(|lines| lines.len() == rows.len()) {
            return format!("{HEAD}{}\n{summary}", lines.concat());
        }
        // What has failed is not left out.
        rows.sort_by_key(|row| row.outcome.result != Verdict::Failed);
        let lines = fitting(&rows, 0);
        let note = note(rows.len() - lines.len());
        format!("{HEAD}{}\n{note}{summary}", lines.concat())
    }

    /// A row of the table, with so many names of those that come, and of those that go.
    fn line(&self, row: &Row, names: usize) -> String {
        let (key, count) = (code(&row.name), row.count());
        let (gains, losses) = row.gains_and_losses(names);
        let result = plain(&self.result(row, false));
        format!("| {key} | {gains} | {losses} | {count} | {result} |\n")
    }

    /// The result of a toggle in words. Changed metadata show only here. Several failures are on `lines` of
    /// their own, if there may be several.
    fn result(&self, row: &Row, lines: bool) -> String {
        let outcome = &row.outcome;
        let (words, is_sent) = (self.words(outcome.result), outcome.sent != Sent::Nothing);
        let errors = match &row.error {
            None if outcome.described && !is_sent => return words + " (metadata)",
            None => return words,
            Some(error) if outcome.result == Verdict::Held => return error.clone(),
            Some(_) if lines && row.errors.len() > 1 => {
                format!("\n  {}", row.errors.join("\n  "))
            }
            Some(error) => format!(" {error}"),
        };
        let mut done = String::new();
        if outcome.created {
            done += &format!("{}, ", self.words(Verdict::Created));
        }
        if is_sent {
            done += &format!("users {}, ", self.words(Verdict::Updated));
        }
        format!("{done}failed:{errors}")
    }

    fn words(&self, result: Verdict) -> String {
        match result {
            Verdict::Created | Verdict::Updated | Verdict::Set | Verdict::Retired
                if self.dry_run =>
            {
                format!("would be {result}")
            }
            _ => result.to_string(),
        }
    }

    fn summary_line(&self) -> String {
        let summary = &self.summary;
        let counts = [
            (summary.created, Verdict::Created),
            (summary.updated, Verdict::Updated),
            (summary.unchanged, Verdict::Unchanged),
            (summary.retired, Verdict::Retired),
            (summary.held, Verdict::Held),
            (summary.failed, Verdict::Failed),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, result)| format!("{count} {}", self.words(result)));
        let counts: Vec<String> = counts.collect();
        let colon = if counts.is_empty() { "" } else { ": " };
        let (toggles, counts) = (count(summary.toggles, "toggle"), counts.join(", "));
        format!("{toggles}{colon}{counts} ({:.2}s)", self.seconds)
    }
}

impl Summary {
    fn of(rows: &[Row]) -> Summary {
        let results = rows.iter().map(|row| row.outcome.result);
        let count = |result| results.clone().filter(|it| *it == result).count();
        Summary {
            toggles: rows.len(),
            created: count(Verdict::Created),
            updated: count(Verdict::Updated) + count(Verdict::Set),
            unchanged: count(Verdict::Unchanged),
            retired: count(Verdict::Retired),
            held: count(Verdict::Held),
            failed: count(Verdict::Failed),
        }
    }
}

impl Row {
    fn new(id: ToggleId, config: &Config, engine: &Engine, verbose: bool) -> Row {
        let mut outcome = engine.outcome(id);
        let errors = outcome.troubles.iter().map(words_of);
        let errors: Vec<String> = errors.map(|it| config.secrets.redact(&it)).collect();
        let named = outcome.sent.as_change().filter(|_| verbose);
        let toggle = &config.toggles[id];
        outcome.environments.retain(|it| !it.name.is_empty());
        Row {
            key: toggle.key.clone(),
            target: config.targets[toggle.target].id.clone(),
            named: named.cloned(),
            error: (!errors.is_empty()).then(|| errors.join("; ")),
            environments: std::mem::take(&mut outcome.environments),
            outcome,
            name: config.name_of(id).to_owned(),
            errors,
        }
    }

    /// Its environments, where not the same was done in all of them.
    fn differing(&self) -> &[EnvironmentOutcome] {
        let facts = |it: &EnvironmentOutcome| (it.result, it.counts);
        let mut pairs = self.environments.windows(2);
        match pairs.any(|pair| facts(&pair[0]) != facts(&pair[1])) {
            true => &self.environments,
            false => &[],
        }
    }

    fn gains_and_losses(&self, limit: usize) -> (String, String) {
        let names = |sign, users| names(sign, users, limit);
        match (self.outcome.sent.as_change(), self.outcome.result) {
            (Some(change), _) => (names('+', &change.added), names('−', &change.removed)),
            (None, Verdict::Set | Verdict::Held) => ("?".into(), "?".into()),
            (None, _) => Default::default(),
        }
    }

    fn change(&self) -> String {
        self.outcome.counts.to_string()
    }

    fn count(&self) -> String {
        let users = self.outcome.users;
        users.map_or(String::new(), |users| users.to_string())
    }
}

/// Such as `+1 -2`; `=` if no user comes or goes, `?` if that is not known.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.added, self.removed) {
            (Some(0), Some(0)) => f.write_str("="),
            (Some(added), Some(0)) => write!(f, "+{added}"),
            (Some(0), Some(removed)) => write!(f, "-{removed}"),
            (Some(added), Some(removed)) => write!(f, "+{added} -{removed}"),
            _ => f.write_str("?"),
        }
    }
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Created | Verdict::Updated | Verdict::Set | Verdict::Retired => Tone::Good,
        Verdict::Unchanged => Tone::Quiet,
        Verdict::Held | Verdict::Failed => Tone::Bad,
    }
}

/// The searches for toggles to retire that have failed.
pub(in crate::commands) fn errors_of_targets(engine: &Engine) -> Vec<String> {
    let config = engine.config();
    let targets = config.targets.iter().enumerate();
    let errors = targets.filter_map(|(id, target)| {
        let Trouble {
            operation, failure, ..
        } = engine.target(id).trouble?;
        let words = format!(
            "target {}: {} failed: {failure}",
            target.id,
            operation.word()
        );
        Some(config.secrets.redact(&words))
    });
    errors.collect()
}

/// What went wrong, and in which environments.
fn words_of((trouble, environments): &(Trouble, Vec<String>)) -> String {
    let failure = &trouble.failure;
    let held = if failure.is_held() { "held: " } else { "" };
    match &environments[..] {
        [] if trouble.operation == Operation::Describe => format!("metadata: {failure}"),
        [] => format!("{held}{failure}"),
        [name] => format!("{held}environment {name}: {failure}"),
        names => format!("{held}environments {}: {failure}", names.join(", ")),
    }
}

fn widest(cells: impl Iterator<Item = String>) -> usize {
    let widths = cells.map(|cell| cell.chars().count());
    widths.max().unwrap_or_default()
}

/// How many users, and the first of their names.
fn names(sign: char, users: &Users, limit: usize) -> String {
    let all = match users.len() {
        0 => return String::new(),
        all => format!("{sign}{all}"),
    };
    if limit == 0 {
        return all;
    }
    let names = users.iter().take(limit);
    let names: String = names.map(|user| format!(" {}", code(user))).collect();
    let more = match users.len().saturating_sub(limit) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{all}:{names}{more}")
}

/// In characters as JavaScript and others count them: at least as many as there are.
fn size(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Verbatim text in a cell: a name must not become a link, a mention or a command.
fn code(text: &str) -> String {
    let text = escape(&text.escape_debug().to_string());
    // Only a fence of the same length ends it.
    let runs = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or_default() + 1);
    match fence.len() {
        1 => format!("`{text}`"),
        _ => format!("{fence} {text} {fence}"),
    }
}

/// Words of ours and of remotes in a cell: neither HTML, nor a link, nor a mention.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // A link has its address right after.
            ']' if characters.peek() == Some(&'(') => plain += "\\]",
            '<' => plain += "&lt;",
            '&' => plain += "&amp;",
            // A mention needs the sign itself.
            '@' => plain += "@\u{200b}",
            '*' | '_' | '`' | '\\' | '|' => plain.extend(['\\', character]),
            _ => plain.push(character),
        }
    }
    plain
}

/// A `|` ends a cell, even within code.
fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests;
