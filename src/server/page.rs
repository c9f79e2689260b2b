//! The status as a small page for people: HTML and CSS, without scripts or anything from elsewhere.

use std::time::{Duration, SystemTime};

use crate::engine::State;
use crate::error::visible;
use crate::status::{Rows, SourceRow, TargetRow, Time, ToggleRow};

/// Only the page's own style is allowed, whatever a toggle is called.
pub(super) const POLICY: (&str, &str) = (
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

const REJECTED: &str = "<p class=\"bad\">The last reload was rejected: optoggles keeps the configuration it \
    had. The log says why.</p>\n";

/// The page. What fails comes first, else the order is that of the configuration.
pub(super) fn of(rows: &Rows, now: SystemTime) -> String {
    let mut toggles: Vec<&ToggleRow> = rows.toggles.iter().collect();
    toggles.sort_by_key(|toggle| toggle.last_error.is_none());
    let toggles: String = toggles.iter().map(|row| toggle(row, now)).collect();
    let targets: String = rows.targets.iter().map(|row| target(row, now)).collect();
    let sources: String = rows.sources.iter().map(|row| source(row, now)).collect();
    let audit = rows.audit_log_error.as_deref();
    let audit = audit.map_or(String::new(), |error| {
        format!("<p class=\"bad\">{}</p>\n", escape(error))
    });
    format!(
        include_str!("page.html"),
        style = include_str!("page.css"),
        status = rows.status,
        state = state(rows.status),
        version = rows.version,
        uptime = length(Duration::from_secs(rows.uptime_seconds)),
        reload = if rows.last_reload_successful {
            ""
        } else {
            REJECTED
        },
        audit = audit,
        targets = targets,
        summary = summary(rows),
        sources = sources,
        toggles = toggles,
    )
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
        cell("Toggle", "", Some(&row.name)),
        cell("Source", "", row.source.as_deref()),
        state_cell(row.state),
        cell("Users", "number", users.as_deref()),
        time_cell("Last success", row.last_success, now),
        cell("Error", "", row.last_error.as_deref()),
        time_cell("Next retry", row.next_retry, now),
    ];
    format!("<tr>{}</tr>\n", cells.concat())
}

fn target(row: &TargetRow, now: SystemTime) -> String {
    let mut text = format!("<p>{}: {}", escape(&row.id), state(row.state));
    if let Some(until) = row.paused_until {
        text += &format!(" until {}", time(until, now));
    }
    if let Some(error) = &row.last_error {
        text += &format!(" ({})", escape(error));
    }
    text + "</p>\n"
}

/// How many toggles are in which state.
fn summary(rows: &Rows) -> String {
    let states = [
        State::Failing,
        State::Held,
        State::InSync,
        State::Retired,
        State::Syncing,
        State::Waiting,
    ];
    let parts = states.into_iter().filter_map(|state| {
        let (count, class) = (rows.count(state), class_of(state));
        (count > 0).then(|| format!("<span class=\"{class}\">{count} {state}</span>"))
    });
    let all = parts.reduce(|all, part| format!("{all}, {part}"));
    all.unwrap_or_else(|| "none".to_owned())
}

fn cell(name: &str, class: &str, text: Option<&str>) -> String {
    let (class, text) = text.map_or(("none", String::new()), |text| (class, escape(text)));
    format!("<td data-name=\"{name}\" class=\"{class}\">{text}")
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
        State::Ok | State::Connected | State::InSync | State::Retired => "good",
        State::Failing | State::Held => "bad",
        _ => "wait",
    }
}

/// How long ago or ahead, with the time itself as a tooltip.
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

/// For an element, or a quoted attribute.
fn escape(text: &str) -> String {
    visible(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests;
