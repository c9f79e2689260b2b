//! The status as a small page for people: HTML and CSS alone, and nothing from elsewhere.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use crate::engine::State;
use crate::status::{Rows, SourceRow, TargetRow, Time, ToggleRow};

/// Nothing but the page's own style is let in, whatever a toggle is called.
pub(super) const POLICY: (&str, &str) = (
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// The frame of the page, with the names of what is filled in between double braces.
const FRAME: &str = include_str!("page.html");

/// The page. What fails comes first, else the order is that of the configuration.
pub(super) fn of(rows: &Rows, now: SystemTime) -> String {
    let mut toggles: Vec<&ToggleRow> = rows.toggles.iter().collect();
    toggles.sort_by_key(|toggle| toggle.last_error.is_none());
    fill(&[
        ("status", rows.status.to_string()),
        ("state", state(rows.status)),
        ("version", Escaped(rows.version).to_string()),
        ("uptime", length(Duration::from_secs(rows.uptime_seconds))),
        (
            "sources",
            rows.sources.iter().map(|row| source(row, now)).collect(),
        ),
        (
            "target",
            rows.targets.iter().map(|row| target(row, now)).collect(),
        ),
        ("summary", summary(rows)),
        (
            "toggles",
            toggles.iter().map(|row| toggle(row, now)).collect(),
        ),
    ])
}

fn source(row: &SourceRow, now: SystemTime) -> String {
    let cells = [
        cell("Source", "", Some(&row.id)),
        cell("Type", "", Some(row.kind)),
        state_cell(row.state),
        time_cell("Last success", row.last_success, now),
        cell("Error", "", row.last_error.as_deref()),
        time_cell("Next retry", row.next_retry, now),
    ];
    format!("<tr>{}</tr>\n", cells.concat())
}

fn toggle(row: &ToggleRow, now: SystemTime) -> String {
    let users = row.users.map(|users| users.to_string());
    let cells = [
        cell("Toggle", "", Some(&row.key)),
        cell("Source", "", Some(&row.source)),
        state_cell(row.state),
        cell("Users", "number", users.as_deref()),
        time_cell("Last success", row.last_success, now),
        cell("Error", "", row.last_error.as_deref()),
        time_cell("Next retry", row.next_retry, now),
    ];
    format!("<tr>{}</tr>\n", cells.concat())
}

fn target(row: &TargetRow, now: SystemTime) -> String {
    let (kind, state) = (Escaped(&row.id), state(row.state));
    let until = row
        .paused_until
        .map(|until| format!(" until {}", time(until, now)));
    let error = row.last_error.as_deref();
    let error = error.map(|error| format!(" ({})", Escaped(error)));
    format!(
        "<p>{kind}: {state}{}{}</p>\n",
        until.unwrap_or_default(),
        error.unwrap_or_default()
    )
}

/// How many toggles are in which state.
fn summary(rows: &Rows) -> String {
    let states = [
        State::Failing,
        State::Held,
        State::InSync,
        State::Syncing,
        State::Waiting,
    ];
    let counts = states.map(|state| (rows.count(state), state));
    let parts = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| {
            let class = class_of(*state);
            format!("<span class=\"{class}\">{count} {state}</span>")
        });
    let all = parts.reduce(|all, part| format!("{all}, {part}"));
    all.unwrap_or_else(|| "none".to_owned())
}

fn cell(name: &str, class: &str, text: Option<&str>) -> String {
    let (class, text) = text.map_or(("none", ""), |text| (class, text));
    format!(
        "<td data-name=\"{name}\" class=\"{class}\">{}",
        Escaped(text)
    )
}

fn state_cell(of: State) -> String {
    format!("<td data-name=\"State\" class=\"state\">{}", state(of))
}

fn time_cell(name: &str, at: Option<Time>, now: SystemTime) -> String {
    match at {
        Some(at) => format!("<td data-name=\"{name}\">{}", time(at, now)),
        None => cell(name, "", None),
    }
}

/// A state in its own word, with a sign before it, and in a colour: each alone would do.
fn state(state: State) -> String {
    let class = class_of(state);
    let sign = match class {
        "good" => "✓",
        "bad" => "✗",
        _ => "…",
    };
    format!("<span class=\"{class}\"><span aria-hidden=\"true\">{sign}</span> {state}</span>")
}

fn class_of(state: State) -> &'static str {
    match state {
        State::Ok | State::Connected | State::InSync => "good",
        State::Failing | State::Held => "bad",
        _ => "wait",
    }
}

/// How long ago or ahead, with the time itself for those who want it.
fn time(at: Time, now: SystemTime) -> String {
    let words = match now.duration_since(at.0) {
        Ok(ago) => format!("{} ago", length(ago)),
        Err(ahead) => format!("in {}", length(ahead.duration())),
    };
    format!("<time datetime=\"{at}\" title=\"{at}\">{words}</time>")
}

/// A duration in its largest unit, rounded down.
fn length(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Fills the frame in, in one walk: what is filled in is not looked at again.
fn fill(values: &[(&str, String)]) -> String {
    let mut page = String::with_capacity(FRAME.len() * 2);
    let mut rest = FRAME;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        let value = values.iter().find(|(known, _)| *known == name);
        page.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Text that can mean nothing to HTML, in an element or in a quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mean_something_to_html_is_escaped() {
        let escaped = Escaped("<b title='a' x=\"&\">").to_string();
        assert_eq!(escaped, "&lt;b title=&#39;a&#39; x=&quot;&amp;&quot;&gt;");
    }

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let page = fill(&[
            ("status", "{{toggles}}".into()),
            ("toggles", "twice".into()),
        ]);
        assert!(page.contains("<title>{{toggles}} "));
        assert_eq!(page.matches("twice").count(), 1);
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let told = |at: u64| time(Time(SystemTime::UNIX_EPOCH + Duration::from_secs(at)), now);
        for (at, words) in [
            (999_990, "10 s ago"),
            (1_000_016, "in 16 s"),
            (999_700, "5 min ago"),
            (990_000, "2 h ago"),
            (500_000, "5 days ago"),
        ] {
            let told = told(at);
            assert!(told.contains(&format!(">{words}</time>")), "{told}");
        }
    }
}
