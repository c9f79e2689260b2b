//! The answer of `/metrics`: what was counted, and how things are now.

use prometheus::{Error, GaugeVec, Opts, Registry, TextEncoder};

use crate::engine::State;
use crate::metrics::{Metrics, seconds};
use crate::status::{Rows, ToggleRow};

/// Prometheus' text format.
pub(super) const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A gauge of each toggle: its name and help, and its value as far as that is known.
type ToggleGauge = (&'static str, &'static str, fn(&ToggleRow) -> Option<f64>);

const TOGGLE_GAUGES: [ToggleGauge; 4] = [
    (
        "optoggles_toggle_users",
        "How many users the policy allows for a toggle, by the last good answer.",
        |row| row.users.map(|count| count as f64),
    ),
    (
        "optoggles_toggle_in_sync",
        "Whether the target has exactly the users that the policy allows for a toggle.",
        |row| Some(flag(row.state == State::InSync)),
    ),
    (
        "optoggles_toggle_held",
        "Whether max_removal holds a change of a toggle back, and nothing of it fails.",
        |row| Some(flag(row.state == State::Held)),
    ),
    (
        "optoggles_toggle_last_success_timestamp_seconds",
        "When a toggle was last known to be in sync, in seconds since 1970.",
        |row| row.last_success.map(|time| seconds(time.0)),
    ),
];

/// All metrics, without the sources, targets and toggles that a reload has removed.
pub(super) fn text(metrics: &Metrics, rows: &Rows) -> Result<String, Error> {
    let counted = metrics.gather(
        rows.sources.iter().map(|row| row.id.as_str()),
        rows.targets.iter().map(|row| row.id.as_str()),
    );
    let mut text = TextEncoder::new().encode_to_string(&counted)?;
    add_gauge(
        &mut text,
        "optoggles_build_info",
        "Always 1; the version of the program is in its label.",
        ["version"],
        [([rows.version], 1.0)],
    )?;
    let sources = rows.sources.iter();
    add_gauge(
        &mut text,
        "optoggles_source_up",
        "Whether a source is connected, has loaded everything, and nothing of it fails.",
        ["source"],
        sources.map(|row| ([row.id.as_str()], flag(row.state == State::Connected))),
    )?;
    let targets = rows.targets.iter();
    add_gauge(
        &mut text,
        "optoggles_target_paused",
        "Whether the target asked to be left alone for a while (429).",
        ["target"],
        targets
            .clone()
            .map(|row| ([row.id.as_str()], flag(row.paused_until.is_some()))),
    )?;
    add_gauge(
        &mut text,
        "optoggles_resync_overdue",
        "Whether a resync takes longer than resync_interval.",
        ["target"],
        targets.map(|row| ([row.id.as_str()], flag(row.resync_overdue))),
    )?;
    for (name, help, value) in TOGGLE_GAUGES {
        let known = rows.toggles.iter().filter_map(|row| {
            let labels = [&*row.key, &*row.source, &*row.target];
            Some((labels, value(row)?))
        });
        add_gauge(&mut text, name, help, ["toggle", "source", "target"], known)?;
    }
    Ok(text)
}

/// One at a time, so that not all series of a thousand toggles are in memory twice.
fn add_gauge<'a, const N: usize>(
    text: &mut String,
    name: &str,
    help: &str,
    labels: [&str; N],
    series: impl IntoIterator<Item = ([&'a str; N], f64)>,
) -> Result<(), Error> {
    let gauge = GaugeVec::new(Opts::new(name, help), &labels)?;
    for (values, number) in series {
        gauge.get_metric_with_label_values(&values)?.set(number);
    }
    // It sorts the series.
    let registry = Registry::new();
    registry.register(Box::new(gauge))?;
    TextEncoder::new().encode_utf8(&registry.gather(), text)
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
