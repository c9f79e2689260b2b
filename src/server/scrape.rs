//! The answer of `/metrics`: what was counted, and how things are now.

use prometheus::{Error, GaugeVec, Opts, Registry, TextEncoder};

use crate::engine::State;
use crate::metrics::{Metrics, seconds};
use crate::status::{Rows, ToggleRow};

/// Prometheus' text format.
pub(super) const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics. What is no longer in the rows, because a reload took it out of the configuration, is
/// in none of them.
///
/// # Errors
///
/// If Prometheus refuses a metric.
pub(super) fn text(metrics: &Metrics, rows: &Rows) -> Result<String, Error> {
    let counted = metrics.gather(rows.sources.iter().map(|row| row.id.as_str()));
    let mut text = Text(TextEncoder::new().encode_to_string(&counted)?);
    text.sources_and_target(rows)?;
    text.toggles(&rows.toggles)?;
    Ok(text.0)
}

/// Grows by one metric at a time, so that not all of a thousand toggles are in memory twice.
struct Text(String);

impl Text {
    fn sources_and_target(&mut self, rows: &Rows) -> Result<(), Error> {
        self.gauge(
            "optoggles_build_info",
            "Always 1; the version of the program is in its label.",
            ["version"],
            [([rows.version], 1.0)],
        )?;
        let sources = rows.sources.iter();
        self.gauge(
            "optoggles_source_up",
            "Whether a source is connected, has loaded everything, and nothing of it fails.",
            ["source"],
            sources.map(|row| ([row.id.as_str()], flag(row.state == State::Connected))),
        )?;
        let targets = rows.targets.iter();
        self.gauge(
            "optoggles_target_paused",
            "Whether the target asked to be left alone for a while (429).",
            ["target"],
            targets
                .clone()
                .map(|row| ([row.id.as_str()], flag(row.paused_until.is_some()))),
        )?;
        self.gauge(
            "optoggles_resync_overdue",
            "Whether a resync takes longer than resync_interval.",
            ["target"],
            targets.map(|row| ([row.id.as_str()], flag(row.resync_overdue))),
        )
    }

    fn toggles(&mut self, rows: &[ToggleRow]) -> Result<(), Error> {
        self.toggle_gauge(
            rows,
            "optoggles_toggle_users",
            "How many users the policy allows for a toggle, by the last good answer.",
            |row| row.users.map(|count| count as f64),
        )?;
        self.toggle_gauge(
            rows,
            "optoggles_toggle_in_sync",
            "Whether the target has exactly the users that the policy allows for a toggle.",
            |row| Some(flag(row.state == State::InSync)),
        )?;
        self.toggle_gauge(
            rows,
            "optoggles_toggle_held",
            "Whether max_removal holds a change of a toggle back.",
            |row| Some(flag(row.state == State::Held)),
        )?;
        self.toggle_gauge(
            rows,
            "optoggles_toggle_last_success_timestamp_seconds",
            "When a toggle was last known to be in sync, in seconds since 1970.",
            |row| row.last_success.map(|time| seconds(time.0)),
        )
    }

    /// A gauge with a series for each toggle of which something is known.
    fn toggle_gauge(
        &mut self,
        rows: &[ToggleRow],
        name: &str,
        help: &str,
        value: impl Fn(&ToggleRow) -> Option<f64>,
    ) -> Result<(), Error> {
        let known = rows.iter().filter_map(|row| {
            let labels = [row.key.as_str(), row.source.as_str()];
            Some((labels, value(row)?))
        });
        self.gauge(name, help, ["toggle", "source"], known)
    }

    fn gauge<'a, const N: usize>(
        &mut self,
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
        TextEncoder::new().encode_utf8(&registry.gather(), &mut self.0)
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
