//! The answer of `/metrics`: what was counted, and how things are now.

use std::fmt::Write;

use prometheus::{Error, TextEncoder};

use crate::engine::State;
use crate::metrics::{Metrics, seconds};
use crate::status::{Rows, ToggleRow};

/// Prometheus' text format.
pub(super) const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, without the sources, targets and toggles that a reload has removed.
pub(super) fn text(metrics: &Metrics, rows: &Rows) -> Result<String, Error> {
    let counted = metrics.gather(
        rows.sources.iter().map(|row| row.id.as_str()),
        rows.targets.iter().map(|row| row.id.as_str()),
        rows.toggles.iter().map(|row| row.key.as_str()),
    );
    let mut text = TextEncoder::new().encode_to_string(&counted)?;
    add_gauge(
        &mut text,
        "optoggles_build_info",
        "Always 1; the version of the program is in its label.",
        ["version"],
        [([rows.version], 1.0)],
    );
    add_gauge(
        &mut text,
        "optoggles_config_last_reload_successful",
        "Whether the configuration was accepted when it was last read.",
        [],
        [([], flag(rows.last_reload_successful))],
    );
    let sources = rows.sources.iter();
    add_gauge(
        &mut text,
        "optoggles_source_up",
        "Whether a source is connected, has loaded everything, and nothing of it fails.",
        ["source"],
        sources.map(|row| ([row.id.as_str()], flag(row.state == State::Connected))),
    );
    let targets = rows.targets.iter();
    add_gauge(
        &mut text,
        "optoggles_target_paused",
        "Whether the target asked to be left alone for a while (429).",
        ["target"],
        targets
            .clone()
            .map(|row| ([row.id.as_str()], flag(row.paused_until.is_some()))),
    );
    add_gauge(
        &mut text,
        "optoggles_resync_overdue",
        "Whether a resync takes longer than resync_interval.",
        ["target"],
        targets.map(|row| ([row.id.as_str()], flag(row.resync_overdue))),
    );
    // Toggles whose value is unknown have no series, nor have those that are retired.
    let toggles = rows.toggles.iter();
    let toggles = toggles.filter(|row| row.state != State::Retired);
    let mut add_values = |name, help, value: fn(&ToggleRow) -> Option<f64>| {
        let known = toggles.clone();
        let known = known.filter_map(|row| Some((labels_of(row), value(row)?)));
        add_gauge(&mut text, name, help, ["source", "target", "toggle"], known)
    };
    add_values(
        "optoggles_toggle_users",
        "How many users the policy allows for a toggle, by the last good answer.",
        |row| row.users.map(|count| count as f64),
    );
    add_values(
        "optoggles_toggle_last_success_timestamp_seconds",
        "When a toggle was last known to be in sync, in seconds since 1970.",
        |row| row.last_success.map(|time| seconds(time.0)),
    );
    // For each toggle in each of its environments: 1 in this state.
    let mut add_states = |name, help, state| {
        let states = toggles.clone().flat_map(|row| {
            let environments = row.environments.iter();
            let environments = environments.map(|it| (&*it.name, it.state));
            // Without environments, the toggle has one state.
            let whole = row.environments.is_empty().then_some(("", row.state));
            whole
                .into_iter()
                .chain(environments)
                .map(move |(name, its)| {
                    let [source, target, key] = labels_of(row);
                    ([name, source, target, key], flag(its == state))
                })
        });
        let labels = ["environment", "source", "target", "toggle"];
        add_gauge(&mut text, name, help, labels, states)
    };
    add_states(
        "optoggles_toggle_in_sync",
        "Whether the target has exactly the users that the policy allows for a toggle.",
        State::InSync,
    );
    add_states(
        "optoggles_toggle_held",
        "Whether max_removal holds a change of a toggle back.",
        State::Held,
    );
    Ok(text)
}

fn labels_of(row: &ToggleRow) -> [&str; 3] {
    let source = row.source.as_deref().unwrap_or_default();
    [source, &row.target, &row.key]
}

/// A gauge with its series, without labels that are empty: to Prometheus, those are missing. As text at once:
/// with the types of the crate, ten thousand toggles take a quarter of a second.
fn add_gauge<'a, const N: usize>(
    text: &mut String,
    name: &str,
    help: &str,
    labels: [&str; N],
    series: impl IntoIterator<Item = ([&'a str; N], f64)>,
) {
    let mut head = format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
    for (values, number) in series {
        text.push_str(&std::mem::take(&mut head));
        text.push_str(name);
        let pairs = labels.iter().zip(values);
        let mut sign = '{';
        let mut end = "";
        for (label, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            text.push(sign);
            text.push_str(label);
            text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\n' => text.push_str("\\n"),
                    '"' | '\\' => text.extend(['\\', character]),
                    _ => text.push(character),
                }
            }
            text.push('"');
            (sign, end) = (',', "}");
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "{end} {number}");
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

#[cfg(test)]
mod tests;
