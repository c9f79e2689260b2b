//! The answer of `/metrics`: what was counted, and how things are now.

use std::collections::HashSet;

use prometheus::{Error, GaugeVec, Opts, Registry, TextEncoder};

use crate::metrics::{Metrics, seconds};
use crate::status::{Rows, SourceRow, ToggleRow};

/// Prometheus' text format.
pub(super) const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The labels of everything about a toggle.
const OF_TOGGLE: &[&str] = &["toggle", "source"];

/// All metrics. What is no longer in the rows, because a reload took it out of the configuration, is
/// in none of them.
///
/// # Errors
///
/// Where a metric is not as Prometheus wants it.
pub(super) fn text(metrics: &Metrics, rows: &Rows) -> Result<String, Error> {
    let sources: HashSet<&str> = rows.sources.iter().map(|row| row.id.as_str()).collect();
    let counted = metrics.gather(|id| sources.contains(id));
    let gauges = Gauges::default();
    gauges.sources(&rows.sources)?;
    gauges.toggles(&rows.toggles)?;
    gauges.rest(rows)?;
    TextEncoder::new().encode_to_string(&[counted, gauges.0.gather()].concat())
}

/// How things are, made anew for each scrape.
#[derive(Default)]
struct Gauges(Registry);

impl Gauges {
    fn sources(&self, rows: &[SourceRow]) -> Result<(), Error> {
        let up = self.gauge(
            "optoggles_source_up",
            "Whether a source is connected, has loaded everything, and nothing of it fails.",
            &["source"],
        )?;
        for row in rows {
            set(&up, &[&row.id], flag(row.state == "connected"))?;
        }
        Ok(())
    }

    fn toggles(&self, rows: &[ToggleRow]) -> Result<(), Error> {
        let users = self.gauge(
            "optoggles_toggle_users",
            "How many users the policy allows for a toggle, by the last good answer.",
            OF_TOGGLE,
        )?;
        let in_sync = self.gauge(
            "optoggles_toggle_in_sync",
            "Whether the target has exactly the users that the policy allows for a toggle.",
            OF_TOGGLE,
        )?;
        let held = self.gauge(
            "optoggles_toggle_held",
            "Whether max_removal holds a change of a toggle back.",
            OF_TOGGLE,
        )?;
        let last_success = self.gauge(
            "optoggles_toggle_last_success_timestamp_seconds",
            "When a toggle was last known to be in sync, in seconds since 1970.",
            OF_TOGGLE,
        )?;
        for row in rows {
            let labels = [row.key.as_str(), &row.source];
            set(&in_sync, &labels, flag(row.state == "in sync"))?;
            set(&held, &labels, flag(row.state == "held"))?;
            if let Some(count) = row.users {
                set(&users, &labels, count as f64)?;
            }
            if let Some(time) = row.last_success {
                set(&last_success, &labels, seconds(time.0))?;
            }
        }
        Ok(())
    }

    fn rest(&self, rows: &Rows) -> Result<(), Error> {
        let paused = self.gauge(
            "optoggles_target_paused",
            "Whether the target asked to be left alone for a while (429).",
            &[],
        )?;
        set(&paused, &[], flag(rows.target.paused_until.is_some()))?;
        let build = self.gauge(
            "optoggles_build_info",
            "Always 1; the version of the program is in its label.",
            &["version"],
        )?;
        set(&build, &[rows.version], 1.0)
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }
}

fn set(gauge: &GaugeVec, labels: &[&str], value: f64) -> Result<(), Error> {
    gauge.get_metric_with_label_values(labels)?.set(value);
    Ok(())
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
