//! `GET /metrics`: what it says is what happened.

mod counts;
mod gauges;
mod shipped;

use std::collections::{BTreeMap, BTreeSet};

use crate::support::World;
use crate::support::program::Daemon;

/// One answer of `/metrics`.
struct Scrape {
    text: String,
    /// By `name{labels}`.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Asks for one, and looks that it is Prometheus' text format.
    #[track_caller]
    fn of(daemon: &Daemon) -> Scrape {
        let answer = daemon.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        let text = answer.text();
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let known = samples.insert(series.to_owned(), value.parse().unwrap());
            assert_eq!(known, None, "{series} is there twice");
        }
        Scrape { text, samples }
    }

    /// The value of `name{labels}`, the labels by name; none where there is no such series.
    fn get(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The same of a counter: one that never counted is zero.
    fn count(&self, series: &str) -> f64 {
        self.get(series).unwrap_or_default()
    }

    /// How many series a metric has.
    fn series(&self, name: &str) -> usize {
        let start = format!("{name}{{");
        let ours = self.samples.keys();
        ours.filter(|series| series.starts_with(&start)).count()
    }

    /// The names of all series, without labels.
    fn names(&self) -> BTreeSet<&str> {
        let series = self.samples.keys();
        series
            .filter_map(|series| series.split('{').next())
            .collect()
    }

    /// The names of all metrics: a histogram is one.
    fn metrics(&self) -> BTreeSet<&str> {
        let lines = self.text.lines();
        let types = lines.filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .filter_map(|line| line.split_once(' '))
            .map(|(name, _)| name)
            .collect()
    }
}

/// Waits until a series has this value.
#[track_caller]
fn wait_for(world: &World, daemon: &Daemon, series: &str, value: f64) {
    world.wait_until(&format!("{series} is {value}"), || {
        Scrape::of(daemon).get(series) == Some(value)
    });
}
