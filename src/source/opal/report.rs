//! What OPAL reports when it calls back: the body of a callback, of which three members are looked at and
//! nothing is kept.
//!
//! Beside them it holds data of users, as large as it is. Seen with OPAL 0.9.9: the entries of a load of its
//! base configuration have `periodic_update_interval`, null where they are not loaded periodically, and
//! the entries of published changes do not have it.

use std::io::{BufReader, Read};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use crate::job::Load;

/// A report of a whole load is short: of entries it holds where they come from, and not their data. What is
/// longer is not looked at to its end.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A callback's body.
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
    #[serde(default, deserialize_with = "present")]
    periodic_update_interval: Option<Option<f64>>,
}

/// Which load a callback's body is about; none where it is a change, a load that failed, or not a report of
/// OPAL's.
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

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn data(reports: Value) -> Value {
        json!({ "update_id": "39c8", "reports": reports, "policy_hash": null, "user_data": {} })
    }

    fn item(entry: Value, saved: bool) -> Value {
        json!({ "entry": entry, "fetched": saved, "saved": saved, "hash": "eb16" })
    }

    #[test]
    fn whole_loads_are_told_from_changes_and_from_loads_that_failed() {
        let base = || json!({ "url": "u", "dst_path": "/users", "data": null, "periodic_update_interval": null });
        let periodic = json!({ "url": "u", "periodic_update_interval": 30.0 });
        let change = json!({ "url": "", "dst_path": "/users/bob", "data": { "periodic_update_interval": null } });
        let policy = json!({ "update_id": null, "reports": [], "policy_hash": "db31" });
        for (body, load) in [
            (policy, Some(Load::Policy)),
            (data(json!([])), Some(Load::Nothing)),
            (
                data(json!([item(base(), true), item(base(), true)])),
                Some(Load::Data),
            ),
            (data(json!([item(base(), true), item(base(), false)])), None),
            (
                data(json!([item(base(), true), item(change.clone(), true)])),
                None,
            ),
            (data(json!([item(change, true)])), None),
            (data(json!([item(periodic, true)])), Some(Load::Periodic)),
            (
                json!({ "update_id": null, "reports": [], "policy_hash": null }),
                None,
            ),
            (json!({}), None),
            (json!([]), None),
            (json!({ "update_id": "1", "reports": {} }), None),
        ] {
            assert_eq!(scan(body.to_string().as_bytes()), load, "{body}");
        }
        assert_eq!(scan(&b"{\"update_id\":\"1\",\"reports\":["[..]), None);
        assert_eq!(scan(&b""[..]), None);
    }
}
