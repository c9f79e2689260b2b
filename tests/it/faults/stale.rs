//! Nothing old is ever sent.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::World;
use crate::support::opa::query_of;
use crate::support::store::patch_of;

/// An update that is on its way already cannot know better: so long may it take to arrive.
const ON_ITS_WAY: Duration = Duration::from_millis(400);

/// Fails if an update was sent with users that are older than those of OPA's newest answer. The
/// users of a toggle are a single one, `v0`, then `v1`, and so on.
#[track_caller]
pub(super) fn nothing_stale_was_sent(world: &World, key: &str) {
    let answers = world.opa.http.seen(&query_of(key)).into_iter();
    let answers: Vec<(Instant, u32)> = answers
        .filter_map(|seen| {
            let body: Value = serde_json::from_slice(&seen.said).ok()?;
            Some((seen.answered?, version(&body["result"])?))
        })
        .collect();
    let mut last = 0;
    for update in world.store.http.seen(&patch_of(key)) {
        let users = &update.request.json()["users"];
        let Some(sent) = version(users) else {
            panic!("nobody was ever allowed what was sent: {users}");
        };
        let known = answers
            .iter()
            .filter(|(answered, _)| *answered + ON_ITS_WAY < update.received);
        let newest = known.map(|(_, version)| *version).max().unwrap_or_default();
        assert!(
            sent >= newest.max(last),
            "v{sent} was sent to {key}, after v{last} was, and OPA had answered v{newest}"
        );
        last = sent;
    }
}

/// Of `["v3"]` it is 3.
fn version(users: &Value) -> Option<u32> {
    match users.as_array()?.as_slice() {
        [Value::String(user)] => user.strip_prefix('v')?.parse().ok(),
        _ => None,
    }
}
