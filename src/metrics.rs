//! What is counted, for `/metrics`: each event where it occurs.
//!
//! Gauges are computed from the status at each scrape (`server/scrape.rs`), so that state is kept once.
//! Labels are bounded: ids of sources and targets, methods, statuses and words of this program; never a user or a URL.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{
    Error, HistogramVec, IntCounter, IntCounterVec, Registry, register_gauge_with_registry,
    register_histogram_vec_with_registry, register_int_counter_vec_with_registry,
    register_int_counter_with_registry,
};

use crate::error::Kind;
use crate::job::Operation;

/// From a source next door to one that hangs until `http_timeout`.
const PASS_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The counters of the process; a reload does not reset them.
pub struct Metrics {
    registry: Registry,
    passes: IntCounterVec,
    pass_seconds: HistogramVec,
    requests: IntCounterVec,
    retries: IntCounterVec,
    evaluations: IntCounterVec,
    audit_lines_dropped: IntCounter,
    /// In the order of [`Callback`].
    callbacks: [IntCounter; 3],
}

/// Counts the requests to one peer.
#[derive(Clone)]
pub struct Requests {
    total: IntCounterVec,
    peer: String,
}

/// Counts what OpenFeature's SDKs ask of one toggle, or of none.
pub(crate) struct EvaluationCounts {
    total: IntCounterVec,
    toggle: String,
    /// In the order of [`Evaluation`]. To find one in the registry takes longer than an evaluation.
    found: [OnceLock<IntCounter>; 6],
}

/// What comes of an evaluation.
#[derive(Clone, Copy)]
pub(crate) enum Evaluation {
    On,
    Off,
    NotReady,
    NotFound,
    Invalid,
    Unauthorized,
}

/// How a callback is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    Accepted,
    Unauthorized,
    UnknownSource,
}

impl Metrics {
    /// Fails if Prometheus rejects a metric, which only a change of this file can cause.
    pub fn new(started: SystemTime) -> Result<Metrics, Error> {
        let registry = Registry::new();
        let callbacks = register_int_counter_vec_with_registry!(
            "optoggles_callbacks_total",
            "Callbacks by result: accepted, unauthorized, unknown_source.",
            &["result"],
            registry
        )?;
        let start = register_gauge_with_registry!(
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970.",
            registry
        )?;
        start.set(seconds(started));
        Ok(Metrics {
            passes: register_int_counter_vec_with_registry!(
                "optoggles_passes_total",
                "Passes that ended, by source and result: complete, failed (a query failed), late (a \
                 query was not answered when the next pass began).",
                &["source", "result"],
                registry
            )?,
            pass_seconds: register_histogram_vec_with_registry!(
                "optoggles_pass_duration_seconds",
                "How long passes took, from the first query to the last answer, by source.",
                &["source"],
                PASS_SECONDS.to_vec(),
                registry
            )?,
            requests: register_int_counter_vec_with_registry!(
                "optoggles_requests_total",
                "Requests by peer (source or target, and its id), method, and status of the answer; \
                 without an answer, the kind of the failure.",
                &["peer", "method", "status"],
                registry
            )?,
            retries: register_int_counter_vec_with_registry!(
                "optoggles_retries_total",
                "Failures after which another try was scheduled, by what failed.",
                &["operation"],
                registry
            )?,
            evaluations: register_int_counter_vec_with_registry!(
                "optoggles_evaluations_total",
                "Evaluations of toggles by OpenFeature's SDKs, by toggle and result: on, off, not_ready \
                 (its users are not known yet), invalid; without a toggle: not_found, invalid, \
                 unauthorized.",
                &["toggle", "result"],
                registry
            )?,
            audit_lines_dropped: register_int_counter_with_registry!(
                "optoggles_audit_lines_dropped_total",
                "Lines of the audit log that were lost, because they could not be written.",
                registry
            )?,
            // A rate needs the zero before the first one.
            callbacks: ["accepted", "unauthorized", "unknown_source"]
                .map(|result| callbacks.with_label_values(&[result])),
            registry,
        })
    }

    /// Counts requests to a peer: `source` or `target`, and its id.
    pub fn requests(&self, peer: impl Into<String>) -> Requests {
        Requests {
            total: self.requests.clone(),
            peer: peer.into(),
        }
    }

    /// Counts evaluations that are of no toggle.
    pub(crate) fn evaluations(&self) -> EvaluationCounts {
        EvaluationCounts::new(&self.evaluations, "")
    }

    pub(crate) fn pass(&self, source: &str, failed: usize, late: usize, took: Duration) {
        let result = match (failed, late) {
            (0, 0) => "complete",
            (0, _) => "late",
            _ => "failed",
        };
        self.passes.with_label_values(&[source, result]).inc();
        let durations = self.pass_seconds.with_label_values(&[source]);
        durations.observe(took.as_secs_f64());
    }

    pub(crate) fn retry(&self, operation: Operation) {
        self.retries.with_label_values(&[operation.word()]).inc();
    }

    pub(crate) fn audit_line_dropped(&self) {
        self.audit_lines_dropped.inc();
    }

    pub(crate) fn callback(&self, callback: Callback) {
        self.callbacks[callback as usize].inc();
    }

    /// The series of these sources, targets and toggles, and those of none; the others are dropped for good.
    pub(crate) fn gather<'a>(
        &self,
        sources: impl Iterator<Item = &'a str>,
        targets: impl Iterator<Item = &'a str>,
        toggles: impl Iterator<Item = &'a str>,
    ) -> Vec<MetricFamily> {
        let ids: HashSet<String> = sources.map(str::to_owned).collect();
        let targets = targets.map(|id| format!("target {id}"));
        let peers = ids.iter().map(|id| format!("source {id}"));
        let peers = peers.chain(targets).collect();
        let toggles = toggles.chain([""]).map(str::to_owned).collect();
        retain(&self.evaluations, "toggle", &toggles);
        retain(&self.passes, "source", &ids);
        retain(&self.pass_seconds, "source", &ids);
        retain(&self.requests, "peer", &peers);
        self.registry.gather()
    }
}

impl Requests {
    pub(crate) fn count(&self, method: &Method, result: Result<u16, Kind>) {
        let status = result.map_or_else(|kind| kind.word().to_owned(), |it| it.to_string());
        let labels = [self.peer.as_str(), method.as_str(), &status];
        self.total.with_label_values(&labels).inc();
    }
}

impl EvaluationCounts {
    fn new(total: &IntCounterVec, toggle: &str) -> EvaluationCounts {
        EvaluationCounts {
            total: total.clone(),
            toggle: toggle.to_owned(),
            found: Default::default(),
        }
    }

    /// Counts those of a toggle of the configuration.
    pub(crate) fn of(&self, toggle: &str) -> EvaluationCounts {
        EvaluationCounts::new(&self.total, toggle)
    }

    pub(crate) fn count(&self, evaluation: Evaluation) {
        let result = match evaluation {
            Evaluation::On => "on",
            Evaluation::Off => "off",
            Evaluation::NotReady => "not_ready",
            Evaluation::NotFound => "not_found",
            Evaluation::Invalid => "invalid",
            Evaluation::Unauthorized => "unauthorized",
        };
        let find = || self.total.with_label_values(&[&self.toggle, result]);
        self.found[evaluation as usize].get_or_init(find).inc();
    }
}

/// A time as Prometheus has it.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(since.as_millis().try_into().unwrap_or_default()).as_secs_f64()
}

/// Drops the series whose value of this label is not kept.
fn retain<T: MetricVecBuilder>(metrics: &MetricVec<T>, label: &str, kept: &HashSet<String>) {
    let families = metrics.collect();
    for metric in families.iter().flat_map(MetricFamily::get_metric) {
        let labels = metric.get_label().iter();
        let labels: HashMap<&str, &str> = labels.map(|pair| (pair.name(), pair.value())).collect();
        let value = labels.get(label);
        if value.is_some_and(|value| !kept.contains(*value)) {
            // It may be gone already.
            let _ = metrics.remove(&labels);
        }
    }
}
