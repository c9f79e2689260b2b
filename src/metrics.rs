//! What is counted, for `/metrics`: each event where it is seen.
//!
//! Only what happened is kept here. A scrape takes how things are now from the status
//! (`server/scrape.rs`), so that it is kept once. Labels are bounded: ids of sources, methods,
//! statuses, and words of this program; never a user, and never a URL.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Gauge, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::error::Kind;
use crate::job::Operation;

/// The bounds of the buckets for a pass's duration, in seconds: from a source that is next door to
/// one that hangs until `http_timeout`.
const PASS_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// All counters of the process. A reload does not set them back.
pub struct Metrics {
    registry: Registry,
    passes: IntCounterVec,
    pass_seconds: HistogramVec,
    requests: IntCounterVec,
    retries: IntCounterVec,
    callbacks: IntCounterVec,
}

/// Counts the requests to one peer.
#[derive(Clone)]
pub struct Requests {
    total: IntCounterVec,
    peer: String,
}

/// How a callback is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// A pass follows.
    Accepted,
    /// Its token is missing or wrong.
    Unauthorized,
    /// The configuration has no source of this id.
    UnknownSource,
}

impl Metrics {
    /// Everything at zero, for a process that was started at this time.
    ///
    /// # Errors
    ///
    /// If Prometheus refuses a metric, which only a change of this file can cause.
    pub fn new(started: SystemTime) -> Result<Metrics, Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let metrics = Metrics {
            passes: counter(
                "optoggles_passes_total",
                "Passes that ended, by source and result: complete, failed (a query failed), late (a \
                 query was not answered when the next pass began).",
                &["source", "result"],
            )?,
            pass_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "optoggles_pass_duration_seconds",
                    "How long passes took, from the first query to the last answer, by source.",
                )
                .buckets(PASS_SECONDS.to_vec()),
                &["source"],
            )?,
            requests: counter(
                "optoggles_requests_total",
                "Requests by peer (source and its id, or target), method, and status of the answer; \
                 without an answer, the kind of the failure.",
                &["peer", "method", "status"],
            )?,
            retries: counter(
                "optoggles_retries_total",
                "Failures after which another try was scheduled, by what failed.",
                &["operation"],
            )?,
            callbacks: counter(
                "optoggles_callbacks_total",
                "Callbacks by result: accepted, unauthorized, unknown_source.",
                &["result"],
            )?,
            registry: registry.clone(),
        };
        registry.register(Box::new(metrics.pass_seconds.clone()))?;
        let start = Gauge::new(
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970.",
        )?;
        start.set(seconds(started));
        registry.register(Box::new(start))?;
        for callback in [
            Callback::Accepted,
            Callback::Unauthorized,
            Callback::UnknownSource,
        ] {
            // A rate needs the zero before the first one.
            metrics.of_callback(callback);
        }
        Ok(metrics)
    }

    /// Where the requests to a peer are to be counted: `target`, or `source` and its id.
    pub fn requests(&self, peer: impl Into<String>) -> Requests {
        Requests {
            total: self.requests.clone(),
            peer: peer.into(),
        }
    }

    /// A pass has ended, in which so many queries failed, and so many were not answered.
    pub fn pass(&self, source: &str, failed: usize, late: usize, took: Duration) {
        let result = match (failed, late) {
            (0, 0) => "complete",
            (0, _) => "late",
            _ => "failed",
        };
        self.passes.with_label_values(&[source, result]).inc();
        let durations = self.pass_seconds.with_label_values(&[source]);
        durations.observe(took.as_secs_f64());
    }

    /// Something failed, and will be tried again.
    pub(crate) fn retry(&self, operation: Operation) {
        self.retries.with_label_values(&[operation.word()]).inc();
    }

    /// A callback was answered.
    pub fn callback(&self, callback: Callback) {
        self.of_callback(callback).inc();
    }

    /// All series of these sources, and those that belong to no source; the others are dropped.
    pub fn gather<'a>(&self, sources: impl Iterator<Item = &'a str>) -> Vec<MetricFamily> {
        let ids: HashSet<String> = sources.map(str::to_owned).collect();
        let peers = ids.iter().map(|id| format!("source {id}"));
        let peers = peers.chain(["target".to_owned()]).collect();
        retain(&self.passes, "source", &ids);
        retain(&self.pass_seconds, "source", &ids);
        retain(&self.requests, "peer", &peers);
        self.registry.gather()
    }

    fn of_callback(&self, callback: Callback) -> prometheus::IntCounter {
        let result = match callback {
            Callback::Accepted => "accepted",
            Callback::Unauthorized => "unauthorized",
            Callback::UnknownSource => "unknown_source",
        };
        self.callbacks.with_label_values(&[result])
    }
}

impl Requests {
    /// A request has ended: with an answer of this status, or with a failure of this kind.
    pub fn count(&self, method: &Method, result: Result<u16, Kind>) {
        let status = match result.map_err(|kind| kind.word()) {
            Ok(status) => status.to_string(),
            Err(word) => word.to_owned(),
        };
        let labels = [self.peer.as_str(), method.as_str(), &status];
        self.total.with_label_values(&labels).inc();
    }
}

/// A time as Prometheus has it.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(since.as_millis().try_into().unwrap_or_default()).as_secs_f64()
}

/// Drops the series whose value of this label is not kept.
fn retain<T: MetricVecBuilder>(metrics: &MetricVec<T>, label: &str, kept: &HashSet<String>) {
    for family in metrics.collect() {
        for metric in family.get_metric() {
            let labels = metric.get_label().iter();
            let labels: HashMap<&str, &str> =
                labels.map(|pair| (pair.name(), pair.value())).collect();
            if labels
                .get(label)
                .is_some_and(|value| !kept.contains(*value))
            {
                // That it is gone already is as good.
                let _ = metrics.remove(&labels);
            }
        }
    }
}
