//! Semantic patches: what differs, and nothing else.

use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;

use super::flag::{Flag, State};
use crate::plan::Environment;
use crate::users::Users;

/// The body of a semantic patch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Patch<'a> {
    /// None for what is the same in every environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment_key: Option<&'a str>,
    /// Who asks, for LaunchDarkly's audit log.
    pub(super) comment: &'a str,
    pub(super) instructions: &'a [Instruction],
}

/// An instruction of a semantic patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Instruction {
    TurnFlagOn,
    UpdateFallthroughVariationOrRollout { variation_id: String },
    UpdateOffVariation { variation_id: String },
    ReplaceRules { rules: [(); 0] },
    ReplacePrerequisites { prerequisites: [(); 0] },
    AddTargets(Targets),
    RemoveTargets(Targets),
    ReplaceTargets { targets: Vec<Targets> },
    UpdateName { value: String },
    UpdateDescription { value: String },
    AddTags { values: Vec<String> },
    RemoveTags { values: Vec<String> },
}

/// Individual targets of a variation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Targets {
    /// None: user.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_kind: Option<String>,
    variation_id: String,
    values: Arc<Users>,
}

/// What makes a flag be on for exactly these users in one environment; nothing where it is.
///
/// `observed` is what is known of the environment now; `state` how it was found when it was read.
pub(super) fn instructions(
    flag: &Flag,
    state: &State,
    observed: &Environment,
    desired: &Arc<Users>,
) -> Vec<Instruction> {
    if observed.is_on_for(desired) {
        return Vec::new();
    }
    // What was put in order since then has the users that were sent last, and nothing else.
    let known = observed.users.as_ref().filter(|_| observed.in_order);
    let (targets, strays, repairs) = match known {
        Some(users) => (users, &[][..], &[][..]),
        None => (&state.targets, &state.strays[..], &state.repairs[..]),
    };
    let change = desired.change_from(targets);
    let of = |values: Arc<Users>| Targets {
        context_kind: None,
        variation_id: flag.on.clone(),
        values,
    };
    let strays = strays.iter().map(|stray| {
        Instruction::RemoveTargets(Targets {
            context_kind: stray.kind.clone(),
            variation_id: stray.variation.clone(),
            values: Arc::clone(&stray.values),
        })
    });
    // First away, then there: a key must not be in two variations in between.
    let mut differences: Vec<Instruction> = strays.collect();
    if !change.removed.is_empty() {
        differences.push(Instruction::RemoveTargets(of(Arc::new(change.removed))));
    }
    if !change.added.is_empty() {
        differences.push(Instruction::AddTargets(of(Arc::new(change.added))));
    }
    let all = Some(desired).filter(|users| !users.is_empty());
    let whole = Instruction::ReplaceTargets {
        targets: all.cloned().map(of).into_iter().collect(),
    };
    // Mostly the keys alone are longer than the differences: then the whole set need not be measured.
    let length = size(&differences);
    let replaces = desired.bytes() < length && size(&[&whole]) < length && !differences.is_empty();
    let targets = if replaces { vec![whole] } else { differences };
    targets.into_iter().chain(repairs.iter().cloned()).collect()
}

/// How long something is as JSON, in bytes.
fn size(value: &(impl Serialize + ?Sized)) -> usize {
    let mut length = Length(0);
    match serde_json::to_writer(&mut length, value) {
        Ok(()) => length.0,
        Err(_) => usize::MAX,
    }
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
