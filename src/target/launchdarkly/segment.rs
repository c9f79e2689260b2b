//! A segment in one environment, which toggles that follow the same rule can share, and the semantic patches
//! that correct it.

use std::collections::VecDeque;
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::flag::{USER, refuse};
use crate::error::Failure;
use crate::http::Object;
use crate::users::Users;

/// The most targets that one patch of a segment adds or removes.
const PIECE: usize = 1_500;

/// A segment that toggles share, in one environment.
pub(super) struct Slot {
    pub(super) project: String,
    pub(super) environment: String,
    pub(super) key: String,
    pub(super) kind: String,
    /// What LaunchDarkly's audit log shows of a change.
    pub(super) comment: String,
    /// As it was last read, with what was changed of it since; none while that is not known. Locked while it
    /// is read or changed: so it is changed once for all its toggles.
    pub(super) state: Mutex<Option<Segment>>,
}

#[derive(Clone)]
pub(super) struct Segment {
    exists: bool,
    /// Who is in it because they are named.
    pub(super) members: Arc<Users>,
    /// What removes everything that lets others in.
    strays: Vec<Instruction>,
    /// What lets members be added again.
    exclusions: Vec<Instruction>,
}

/// A segment in an answer. What the description of the API does not promise is optional.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SegmentAnswer {
    key: String,
    #[serde(default)]
    unbounded: bool,
    included: Option<Arc<Users>>,
    excluded: Option<Arc<Users>>,
    included_contexts: Option<Vec<Object<Contexts>>>,
    excluded_contexts: Option<Vec<Object<Contexts>>>,
    rules: Option<Vec<Object<Rule>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contexts {
    values: Option<Arc<Users>>,
    context_kind: Option<String>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "clauses")]
    _clauses: Option<IgnoredAny>,
}

/// An instruction of a semantic patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instruction {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Arc<Users>>,
}

/// The names of an instruction: for users, and for contexts of other kinds.
type Names = [&'static str; 2];

const ADD: Names = ["addIncludedUsers", "addIncludedTargets"];
const REMOVE: Names = ["removeIncludedUsers", "removeIncludedTargets"];
const READMIT: Names = ["removeExcludedUsers", "removeExcludedTargets"];

impl Instruction {
    fn of([user, other]: Names, kind: &str, values: Arc<Users>) -> Instruction {
        let is_user = kind == USER;
        Instruction {
            kind: if is_user { user } else { other },
            rule_id: None,
            context_kind: Some(kind.to_owned()).filter(|_| !is_user),
            values: Some(values),
        }
    }

    fn remove_rule(id: String) -> Instruction {
        Instruction {
            kind: "removeRule",
            rule_id: Some(id),
            context_kind: None,
            values: None,
        }
    }
}

impl Slot {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Segment>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment in messages.
    pub(super) fn about(&self) -> String {
        format!("segment {} of project {}", self.key, self.project)
    }

    /// What the answer says of it.
    pub(super) fn read(&self, answer: SegmentAnswer) -> Result<Segment, Failure> {
        if answer.key != self.key {
            return Err(refuse(format!(
                "the answer is not about the segment {}",
                self.key
            )));
        }
        if answer.unbounded {
            return Err(refuse(format!(
                "the segment {} is a big segment, which optoggles cannot read: set `segment` to another key",
                self.key
            )));
        }
        let of_kinds = |users: Option<Arc<Users>>, others: Option<Vec<Object<Contexts>>>| {
            let others = others.into_iter().flatten().map(|Object(it)| {
                let kind = it.context_kind.unwrap_or_else(|| USER.to_owned());
                (kind, it.values.unwrap_or_default())
            });
            let all = [(USER.to_owned(), users.unwrap_or_default())];
            let all = all.into_iter().chain(others);
            all.filter(|(_, values)| !values.is_empty())
                .collect::<Vec<_>>()
        };
        let mut members: Arc<Users> = Arc::default();
        let rules = answer.rules.into_iter().flatten();
        let mut strays: Vec<Instruction> = rules
            .map(|Object(rule)| Instruction::remove_rule(rule.id))
            .collect();
        for (kind, values) in of_kinds(answer.included, answer.included_contexts) {
            match kind == self.kind {
                true => {
                    members = if members.is_empty() {
                        values
                    } else {
                        Arc::new(members.and(&values))
                    }
                }
                false => strays.push(Instruction::of(REMOVE, &kind, values)),
            }
        }
        let exclusions = of_kinds(answer.excluded, answer.excluded_contexts);
        let exclusions = exclusions.into_iter();
        let exclusions = exclusions.map(|(kind, values)| Instruction::of(READMIT, &kind, values));
        Ok(Segment {
            exists: true,
            members,
            strays,
            exclusions: exclusions.collect(),
        })
    }
}

impl Segment {
    pub(super) fn absent() -> Segment {
        Segment {
            exists: false,
            ..Segment::of(Arc::default())
        }
    }

    /// One with exactly these members.
    pub(super) fn of(members: Arc<Users>) -> Segment {
        Segment {
            exists: true,
            members,
            strays: Vec::new(),
            exclusions: Vec::new(),
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.exists
    }

    /// For `check-config --online`.
    pub(super) fn tell(&self) -> String {
        match (self.exists, self.members.len()) {
            (false, _) => "does not exist yet".to_owned(),
            (true, 1) => "1 member".to_owned(),
            (true, count) => format!("{count} members"),
        }
    }

    /// Whether only its members are in it.
    pub(super) fn is_exact(&self) -> bool {
        self.strays.is_empty()
    }

    /// Whether nothing but its members can differ.
    pub(super) fn in_order(&self) -> bool {
        self.exists && self.strays.is_empty() && self.exclusions.is_empty()
    }

    /// The patches that leave exactly these members, in turn. What takes users away comes first, so that
    /// wherever they are cut off, it has only users who were in it before or are to be.
    pub(super) fn patches(
        &self,
        kind: &str,
        desired: &Users,
    ) -> impl Iterator<Item = Vec<Instruction>> {
        let change = desired.change_from(&self.members);
        let mut left: VecDeque<Instruction> = self.strays.iter().cloned().collect();
        left.push_back(Instruction::of(REMOVE, kind, Arc::new(change.removed)));
        left.extend(self.exclusions.iter().cloned());
        left.push_back(Instruction::of(ADD, kind, Arc::new(change.added)));
        let mut start = 0;
        iter::from_fn(move || {
            let (mut patch, mut room) = (Vec::new(), PIECE);
            while let Some(next) = left.front() {
                let length = next
                    .values
                    .as_ref()
                    .map_or(0, |values| values.len() - start);
                if length > 0 && room == 0 {
                    break;
                }
                let end = start + length.min(room);
                room -= end - start;
                let values = next
                    .values
                    .as_ref()
                    .map(|values| Arc::new(values.part(start..end)));
                if values.as_ref().is_none_or(|values| !values.is_empty()) {
                    patch.push(Instruction {
                        values,
                        ..next.clone()
                    });
                }
                start = end;
                let is_done = next
                    .values
                    .as_ref()
                    .is_none_or(|values| end == values.len());
                if is_done {
                    start = 0;
                    left.pop_front();
                }
            }
            (!patch.is_empty()).then_some(patch)
        })
    }
}
