//! The feature management platforms that hold the toggles.

mod flagd;
mod launchdarkly;
mod restapi;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::Answers;
use crate::config::{Config, TargetType};
use crate::error::Failure;
use crate::job::{
    Applied, Applies, Edit, Reads, TargetId, TargetTerms, ToggleId, ToggleTerms, What,
};
use crate::metrics::Requests;

/// Makes the requests to a platform. Of a toggle, at most one for each part is under way, and none beside
/// one for the whole.
pub trait Target: Send + Sync {
    /// How it is to be dealt with.
    fn terms(&self) -> TargetTerms;

    /// What the target holds of each of these toggles. Of several, those that it cannot tell of at once
    /// may be left unknown: each of them is then asked for by itself.
    fn read(&self, toggles: &[ToggleId]) -> Reads;

    /// Makes edits, of one toggle or of several as its terms say. Where the toggle to describe or to
    /// update is not there, a failure has the status 404.
    fn apply(&self, edits: &[Edit]) -> Applies;

    /// Asks the target for all that the configuration takes for granted of it, without writing
    /// anything.
    fn check(&self) -> Answers;
}

type Open = fn(&Arc<Config>, TargetId, Requests) -> Result<Box<dyn Target>, String>;

/// A type of target: what the configuration has to know of it, and how one is opened.
struct Type {
    config: TargetType,
    open: Open,
}

/// The types of targets.
static TYPES: &[&Type] = &[&flagd::TYPE, &launchdarkly::TYPE, &restapi::TYPE];

pub(crate) fn types() -> Vec<&'static TargetType> {
    TYPES.iter().map(|it| &it.config).collect()
}

/// A target of the configuration; its requests are counted in `requests`.
///
/// # Errors
///
/// Says what of its configuration cannot be used.
pub fn open(
    config: &Arc<Config>,
    id: TargetId,
    requests: Requests,
) -> Result<Box<dyn Target>, String> {
    let target = &config.targets[id];
    let found = TYPES.iter().find(|it| it.config == *target.kind);
    let found = found.ok_or_else(|| format!("unknown type of target `{:?}`", target.kind))?;
    (found.open)(config, id, requests).map_err(|error| format!("target {}: {error}", target.id))
}

/// The terms of the toggles of a target without environments.
fn plain_toggles(
    config: &Config,
    id: TargetId,
    batch: Option<usize>,
) -> BTreeMap<ToggleId, ToggleTerms> {
    let toggles = config.toggles_at(id);
    toggles
        .map(|(id, _)| (id, ToggleTerms::plain(batch)))
        .collect()
}

/// Makes edits one after the other.
fn one_by_one(
    edits: &[Edit],
    apply: impl Fn(ToggleId, &What) -> Result<Applied, Failure>,
) -> Applies {
    let apply = |edit: &Edit| (edit.toggle, edit.part(), apply(edit.toggle, &edit.what));
    edits.iter().map(apply).collect()
}
