//! The feature management platforms that hold the toggles.

mod flagd;
mod launchdarkly;
mod mark;
mod openfeature;
mod restapi;
mod unleash;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::Answers;
use crate::config::{Config, TargetType};
use crate::error::Failure;
use crate::job::{
    Applied, Applies, Edit, Marked, Reads, TargetId, TargetTerms, ToggleId, ToggleTerms,
};
use crate::metrics::Requests;
pub use openfeature::Evaluations;
pub(crate) use openfeature::{Asked, Reply, ask};

/// Makes the requests to a platform: at most one at a time for each part of a toggle, and no other beside one
/// for the whole.
pub trait Target: Send + Sync {
    /// What it can do, and within which limits.
    fn terms(&self) -> TargetTerms;

    /// What the target holds of each of these toggles. Of several, some may be left unknown: each of them is
    /// then read by itself.
    fn read(&self, toggles: &[ToggleId]) -> Reads;

    /// Makes edits, of one toggle or, where its terms say so, of several. Where the toggle to describe or
    /// update does not exist, the failure has the status 404.
    fn apply(&self, edits: &[Edit]) -> Applies;

    /// The toggles that carry the mark of the target's owner and are not in the configuration. Those that are
    /// retired already are found again.
    fn find_marked(&self) -> Result<Vec<Marked>, Failure> {
        Ok(Vec::new())
    }

    /// Checks what the configuration expects of the target, without writing anything.
    fn check(&self) -> Answers;
}

type Open =
    fn(&Arc<Config>, TargetId, Requests, &Arc<Evaluations>) -> Result<Box<dyn Target>, String>;

/// A type of target: what the configuration has to know of it, and how one is opened.
struct Type {
    config: TargetType,
    open: Open,
}

static TYPES: &[&Type] = &[
    &flagd::TYPE,
    &launchdarkly::TYPE,
    &openfeature::TYPE,
    &restapi::TYPE,
    &unleash::TYPE,
];

pub(crate) fn types() -> Vec<&'static TargetType> {
    TYPES.iter().map(|it| &it.config).collect()
}

/// Opens a target of a configuration. Fails where something in the configuration cannot be used.
pub fn open(
    config: &Arc<Config>,
    id: TargetId,
    requests: Requests,
    evaluations: &Arc<Evaluations>,
) -> Result<Box<dyn Target>, String> {
    let target = &config.targets[id];
    let found = TYPES.iter().find(|it| it.config == *target.kind);
    let found = found.ok_or_else(|| format!("unknown type of target `{:?}`", target.kind))?;
    (found.open)(config, id, requests, evaluations)
        .map_err(|error| format!("target {}: {error}", target.id))
}

/// The terms of the toggles of a target without environments.
fn plain_toggles(
    config: &Config,
    id: TargetId,
    batch: Option<usize>,
) -> BTreeMap<ToggleId, ToggleTerms> {
    let toggles = config.toggles_at(id);
    let terms = |(id, _)| (id, ToggleTerms::plain(batch));
    toggles.map(terms).collect()
}

/// The terms of toggles in projects, each with its project, its environments and what it shares: those of one
/// project and the same environments can be read from one list.
fn toggles_of_projects<'s>(
    toggles: impl Iterator<Item = (ToggleId, &'s str, &'s [String], &'s [usize])>,
) -> BTreeMap<ToggleId, ToggleTerms> {
    let mut batches = BTreeMap::new();
    let terms = toggles.map(|(id, project, environments, shares)| {
        let next = batches.len();
        let terms = ToggleTerms {
            batch: Some(*batches.entry((project, environments)).or_insert(next)),
            environments: environments.to_vec(),
            shares: shares.to_vec(),
        };
        (id, terms)
    });
    terms.collect()
}

fn one_by_one(edits: &[Edit], mut apply: impl FnMut(&Edit) -> Result<Applied, Failure>) -> Applies {
    let apply = |edit: &Edit| (edit.toggle, edit.part(), apply(edit));
    edits.iter().map(apply).collect()
}
