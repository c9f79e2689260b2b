//! What OPAL reports when it calls back. Three members of the body are looked at and nothing is kept, because
//! the rest is users' data.
//!
//! Seen with OPAL 0.9.9: the entries of a load of its base configuration have `periodic_update_interval`,
//! null where they are not loaded periodically, and the entries of published changes do not have it.

use std::io::{BufReader, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::job::Load;
use crate::source::opa::defined;

/// A report of a whole load is short: it names where entries come from, without their data. Longer bodies are
/// not read to the end.
const LARGEST: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Report {
    update_id: Option<IgnoredAny>,
    policy_hash: Option<IgnoredAny>,
    #[serde(default)]
    reports: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    entry: Entry,
    #[serde(default)]
    saved: bool,
}

#[derive(Deserialize)]
struct Entry {
    /// None where it is missing; null is a value.
    #[serde(default, deserialize_with = "defined")]
    periodic_update_interval: Option<Option<f64>>,
}

/// Which load a callback's body reports; none where it is a change, a failed load, or no report of OPAL's.
pub(crate) fn scan(body: impl Read) -> Option<Load> {
    let body = BufReader::new(body.take(LARGEST));
    let report: Report = serde_json::from_reader(body).ok()?;
    if report.policy_hash.is_some() {
        return Some(Load::Policy);
    }
    report.update_id?;
    let is_periodic = |item: &Item| matches!(item.entry.periodic_update_interval, Some(Some(_)));
    let is_loaded = |item: &Item| item.saved && item.entry.periodic_update_interval.is_some();
    match &report.reports[..] {
        [] => Some(Load::Nothing),
        items if items.iter().any(is_periodic) => Some(Load::Periodic),
        items => items.iter().all(is_loaded).then_some(Load::Data),
    }
}
