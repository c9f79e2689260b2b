//! A flag as LaunchDarkly shows it, and the semantic patches that correct it: what
//! differs, and nothing else.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::mark::Mark;
use super::segment::Segment;
use super::spec::Spec;
use crate::error::{Failure, Kind};
use crate::http::Object;
use crate::json::Members;
use crate::plan::{Environment, Present};
use crate::users::Users;

/// The kind of contexts that an instruction is about, and a list shows, without saying so.
pub(super) const USER: &str = "user";

/// A flag in an answer. What the description of the API does not promise is optional.
#[derive(Deserialize)]
pub(super) struct FlagAnswer {
    pub(super) key: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) archived: bool,
    variations: Vec<Object<Variation>>,
    #[serde(default)]
    pub(super) environments: Members<Object<Config>>,
    /// Some environments were not shown.
    #[serde(skip)]
    has_gap: bool,
}

#[derive(Deserialize)]
struct Variation {
    #[serde(rename = "_id", default)]
    id: String,
    value: Value,
}

/// A flag in one environment. Variations are referred to by their index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    on: bool,
    fallthrough: Option<Object<Fallthrough>>,
    off_variation: Option<usize>,
    targets: Option<Vec<Object<Target>>>,
    context_targets: Option<Vec<Object<Target>>>,
    rules: Option<Vec<Object<Rule>>>,
    prerequisites: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(default)]
    disabled: bool,
    variation: Option<usize>,
    rollout: Option<IgnoredAny>,
    clauses: Option<Vec<Object<Clause>>>,
}

#[derive(Deserialize)]
struct Clause {
    op: Option<String>,
    #[serde(default)]
    negate: bool,
    values: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Fallthrough {
    variation: Option<usize>,
    rollout: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    values: Arc<Users>,
    variation: usize,
    context_kind: Option<String>,
}

/// What a flag needs to be as it should be.
pub(super) struct Flag {
    /// The id of the variation `true`.
    on: String,
    /// What brings name, description and tags in line with the `spec`; none while that is being sent.
    pub(super) description: Option<Vec<Instruction>>,
    /// In the order of `spec`; none for one that the flag does not have, or that is being changed.
    pub(super) environments: Vec<Option<State>>,
}

/// A flag in one environment, and what puts it in order.
pub(super) struct State {
    /// The individual targets of the variation `true`, of the kind that `spec` says.
    targets: Arc<Users>,
    /// What removes individual targets that should not be there.
    strays: Vec<Instruction>,
    /// What puts right all but the individual targets.
    repairs: Vec<Instruction>,
    /// Whether the members of the segment are served something by another rule, so that a change of the segment
    /// is one of the flag.
    is_entangled: bool,
    /// Who is served `true`, where that is certain.
    serves: Option<Serves>,
    /// The segment whose members a flag serves that is to be retired: who these are tells the segment.
    pub(super) segment: Option<String>,
}

/// Who is served `true` by a flag in one environment.
enum Serves {
    Nobody,
    Targets,
    /// Of the segment.
    Members,
}

impl FlagAnswer {
    /// Whether a list showed its targets and rules: without `summary=0` it does not, as if there were none.
    pub(super) fn is_whole(&self) -> bool {
        let whole = |config: &Config| config.targets.is_some() && config.rules.is_some();
        !self.has_gap && self.environments.values().all(|config| whole(config))
    }

    /// Whether it is served, and carries this mark and no other owner's.
    pub(super) fn is_marked(&self, mark: &Mark) -> bool {
        let carries = mark.tag().is_some_and(|tag| self.tags.contains(&tag));
        !self.archived && carries && mark.check(&self.tags, &self.key).is_ok()
    }

    /// Takes over other environments of this flag from another list. It may not be there, where a flag was
    /// created or deleted in between.
    pub(super) fn take_environments(&mut self, other: Option<FlagAnswer>) {
        match other {
            Some(mut other) => self.environments.append(&mut other.environments),
            None => self.has_gap = true,
        }
    }

    /// The flag, unless it is another one, or has to be changed by hand before it can be what `spec` says.
    pub(super) fn flag(self, spec: &Spec) -> Result<Flag, Failure> {
        if self.key != spec.key {
            let words = format!("the answer is not about the flag {}", spec.key);
            return Err(Failure::new(Kind::Answer, words));
        }
        if !spec.is_retired {
            spec.mark.check(&self.tags, &spec.about())?;
        }
        if self.archived {
            return Err(refuse(format!(
                "the flag {} is archived: restore it in LaunchDarkly, or remove the toggle from the \
                 configuration",
                self.key
            )));
        }
        let variations @ [(_, on), _] = self.variations(spec)?;
        let mut environments: Vec<Option<State>> = Vec::new();
        for key in &spec.environments {
            let config = self.environments.get(key);
            let state = config.map(|config| config.state(variations, spec, &environments));
            environments.push(state);
        }
        Ok(Flag {
            on: on.to_owned(),
            description: Some(match spec.is_retired {
                true => Vec::new(),
                false => self.description(spec),
            }),
            environments,
        })
    }

    /// What brings name, description and tags in line with the `spec`, where it mentions them.
    fn description(&self, spec: &Spec) -> Vec<Instruction> {
        let mut patch = Vec::new();
        if self.name != spec.name {
            let value = spec.name.clone();
            patch.push(Instruction::UpdateName { value });
        }
        if let Some(value) = &spec.description
            && *value != self.description
        {
            let value = value.clone();
            patch.push(Instruction::UpdateDescription { value });
        }
        let tags = spec.all_tags();
        let without = |tags: &[String], others: &[String]| -> Vec<String> {
            let left = tags.iter().filter(|tag| !others.contains(tag));
            left.cloned().collect()
        };
        let (added, mut removed) = (without(&tags, &self.tags), without(&self.tags, &tags));
        removed.retain(|_| spec.tags.is_some());
        removed.sort_unstable();
        if !added.is_empty() {
            patch.push(Instruction::AddTags { values: added });
        }
        if !removed.is_empty() {
            patch.push(Instruction::RemoveTags { values: removed });
        }
        patch
    }

    /// The two variations of a boolean flag, `true` first, each by its index and its id.
    fn variations(&self, spec: &Spec) -> Result<[(usize, &str); 2], Failure> {
        let find = |value: bool| {
            let mut all = self.variations.iter().enumerate();
            let found = all.find(|(_, variation)| variation.value == Value::Bool(value));
            found.map(|(index, variation)| (index, variation.id.as_str()))
        };
        match (find(true), find(false), self.variations.len()) {
            (Some(on), Some(off), 2) if on.1 == off.1 || on.1.is_empty() || off.1.is_empty() => {
                let words = format!("the variations of the flag {} have no ids", self.key);
                Err(Failure::new(Kind::Answer, words))
            }
            (Some(on), Some(off), 2) => Ok([on, off]),
            _ => {
                let remedy = match spec.mark.tag().filter(|_| spec.is_retired) {
                    Some(tag) => format!("turn it off by hand, or remove its tag {tag}"),
                    None => "give the toggle another key, or delete the flag in LaunchDarkly to have it \
                             created again"
                        .to_owned(),
                };
                Err(refuse(format!(
                    "the flag {} is not boolean: {remedy}",
                    self.key
                )))
            }
        }
    }
}

impl Config {
    fn state(&self, [on, off]: [(usize, &str); 2], spec: &Spec, others: &[Option<State>]) -> State {
        let mut targets = Users::default();
        let mut strays = Vec::new();
        let mut nobody_else = true;
        let all = self.targets.iter().chain(&self.context_targets).flatten();
        // Entries without values mark an order, and mean nothing here.
        for target in all.filter(|target| !target.values.is_empty()) {
            let kind = target.context_kind.as_deref().unwrap_or(USER);
            let is_on = target.variation == on.0;
            if is_on && (kind == spec.context_kind || spec.is_retired) {
                targets = targets.and(&target.values);
                continue;
            }
            nobody_else &= !is_on;
            strays.push(Instruction::RemoveTargets(Targets {
                context_kind: other_kind(kind),
                variation_id: if is_on { on.1 } else { off.1 }.to_owned(),
                values: Arc::clone(&target.values),
            }));
        }
        // Equal sets are shared: they can be large.
        let mut known = others.iter().flatten().map(|state| &state.targets);
        let known = known.find(|known| ***known == targets).cloned();
        let targets = known.unwrap_or_else(|| Arc::new(targets));
        // First what can serve `true` to others while it is on, or `false` to targets.
        let mut repairs = Vec::new();
        if self.prerequisites.as_ref().is_some_and(|it| !it.is_empty()) {
            repairs.push(Instruction::ReplacePrerequisites { prerequisites: [] });
        }
        let rules = self.rules.as_deref().unwrap_or_default();
        let served = match rules {
            [Object(rule)] => rule.segment(on.0),
            _ => None,
        };
        let its_own = served.filter(|_| spec.is_retired && self.on);
        let segment = spec.segment.as_deref().or(its_own);
        let has_rule = served.is_some() && served == segment;
        let names = |segment| rules.iter().any(|Object(rule)| rule.names(segment));
        let is_without_rules = rules.is_empty();
        if !(has_rule || is_without_rules && segment.is_none()) {
            let rules = segment.map(|segment| NewRule::of(on.1, segment, &spec.context_kind));
            repairs.push(Instruction::ReplaceRules {
                rules: rules.into_iter().collect(),
            });
        }
        let falls_to_off =
            |it: &Object<Fallthrough>| it.variation == Some(off.0) && it.rollout.is_none();
        if !self.fallthrough.as_ref().is_some_and(falls_to_off) {
            repairs.push(Instruction::UpdateFallthroughVariationOrRollout {
                variation_id: off.1.to_owned(),
            });
        }
        let waits_for_rule = is_without_rules && segment.is_some();
        let is_direct = nobody_else && repairs.len() == usize::from(waits_for_rule);
        let is_off_right = self.off_variation == Some(off.0);
        if !is_off_right {
            repairs.push(Instruction::UpdateOffVariation {
                variation_id: off.1.to_owned(),
            });
        }
        if !self.on {
            repairs.push(Instruction::TurnFlagOn);
        }
        if spec.is_retired {
            // Who it was on for stays to be seen.
            strays.clear();
            repairs.retain(|it| matches!(it, Instruction::UpdateOffVariation { .. }));
            repairs.extend(self.on.then_some(Instruction::TurnFlagOff));
        }
        State {
            serves: match self.on {
                true if is_direct && !has_rule => Some(Serves::Targets),
                true if is_direct && targets.is_empty() => Some(Serves::Members),
                false if is_off_right => Some(Serves::Nobody),
                _ => None,
            },
            targets,
            strays,
            repairs,
            is_entangled: self.on && !has_rule && segment.is_some_and(names),
            segment: its_own.map(str::to_owned),
        }
    }
}

impl Rule {
    fn names(&self, segment: &str) -> bool {
        let clauses = self.clauses.iter().flatten();
        let mut values = clauses.flat_map(|Object(clause)| clause.values.iter().flatten());
        values.any(|value| value == segment)
    }

    /// The segment to exactly whose members it serves this variation.
    fn segment(&self, variation: usize) -> Option<&str> {
        let is_plain = !self.disabled && self.rollout.is_none();
        let [Object(clause)] = self.clauses.as_deref()? else {
            return None;
        };
        let is_match = clause.op.as_deref() == Some("segmentMatch") && !clause.negate;
        match clause.values.as_deref()? {
            [value] if is_plain && is_match && self.variation == Some(variation) => value.as_str(),
            _ => None,
        }
    }
}

/// What is known of a toggle's segment in an environment.
pub(super) type Looked = Result<Segment, Failure>;

impl Flag {
    /// What the engine has to know of it, as it was read; `segments` are those of its environments, where they
    /// have one.
    pub(super) fn present(&self, spec: &Spec, segments: &[Option<Looked>]) -> Present {
        let observed = |(number, key): (usize, &String)| {
            let state = self.environments.get(number).and_then(Option::as_ref);
            let state = state.ok_or_else(|| refuse(spec.has_no_environment(key)))?;
            let segment = segments.get(number).and_then(Option::as_ref);
            let segment = segment.map(Looked::as_ref).transpose();
            let mut observed = state.observed(segment.map_err(Failure::clone)?);
            if spec.is_retired && observed.users.is_none() {
                // Those who are named may be the fewest of those who lose it.
                observed.named = None;
            }
            Ok(observed)
        };
        Present {
            described: self.description.as_ref().is_some_and(Vec::is_empty),
            environments: spec.environments.iter().enumerate().map(observed).collect(),
        }
    }

    /// An environment that is to be changed, with the id of the variation `true`.
    pub(super) fn take(&mut self, number: usize) -> Option<(String, State)> {
        let state = self.environments.get_mut(number)?.take()?;
        Some((self.on.clone(), state))
    }
}

impl State {
    /// One in which exactly these users have the toggle, or if it has a segment, the members of that.
    pub(super) fn of(users: &Arc<Users>, spec: &Spec) -> State {
        let (targets, serves) = match spec.segment {
            _ if spec.is_retired => (Arc::default(), Serves::Nobody),
            Some(_) => (Arc::default(), Serves::Members),
            None => (Arc::clone(users), Serves::Targets),
        };
        State {
            targets,
            strays: Vec::new(),
            repairs: Vec::new(),
            is_entangled: false,
            serves: Some(serves),
            segment: None,
        }
    }

    /// What makes the flag be on for exactly these users there, as individual targets; `on` is the id of its
    /// variation `true`. Nothing where it is.
    pub(super) fn patch(&self, on: &str, desired: &Arc<Users>, kind: &str) -> Vec<Instruction> {
        let change = desired.change_from(&self.targets);
        let of = |values: Arc<Users>| Targets::of(on, kind, values);
        // Removals first: a key must never be in two variations.
        let mut differences = self.strays.clone();
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
        // Mostly the keys alone are longer than the differences, and the whole set need not be measured.
        let length = size(&differences);
        let replaces =
            desired.bytes() < length && size(&[&whole]) < length && !differences.is_empty();
        let mut patch = if replaces { vec![whole] } else { differences };
        patch.extend(self.repairs.iter().cloned());
        patch
    }

    /// What turns the flag off there for everybody, if it is retired.
    pub(super) fn retirement(&self) -> &[Instruction] {
        &self.repairs
    }

    /// What comes before the segment is filled: it takes the toggle away from those who have it as individual
    /// targets and are to lose it, and from all others where the segment already matters.
    pub(super) fn revocation(&self, on: &str, desired: &Users, kind: &str) -> Vec<Instruction> {
        let removed = desired.change_from(&self.targets).removed;
        let mut patch = Vec::new();
        if self.is_entangled {
            patch.extend(self.strays.iter().cloned());
            patch.extend(self.repairs.iter().cloned().map(|repair| match repair {
                Instruction::ReplaceRules { .. } => Instruction::ReplaceRules { rules: Vec::new() },
                repair => repair,
            }));
        }
        if !removed.is_empty() && !matches!(self.serves, Some(Serves::Nobody)) {
            let removed = Targets::of(on, kind, Arc::new(removed));
            patch.push(Instruction::RemoveTargets(removed));
        }
        patch
    }

    fn observed(&self, segment: Option<&Segment>) -> Environment {
        let in_order = self.strays.is_empty() && self.repairs.is_empty();
        let Some(segment) = segment else {
            let users = match self.serves {
                Some(Serves::Nobody) => Some(Arc::default()),
                Some(Serves::Targets) => Some(Arc::clone(&self.targets)),
                Some(Serves::Members) | None => None,
            };
            let named = Some(&self.targets).filter(|named| users.as_ref() != Some(named));
            return Environment {
                named: named.cloned(),
                users,
                in_order,
            };
        };
        let members = Some(&segment.members).filter(|_| segment.is_exact());
        let users = match self.serves {
            Some(Serves::Nobody) => Some(Arc::default()),
            Some(Serves::Targets) => Some(Arc::clone(&self.targets)),
            Some(Serves::Members) => members.cloned(),
            None => None,
        };
        // What is done to the segment, other toggles and flags may feel.
        let named = match (self.targets.is_empty(), segment.members.is_empty()) {
            (_, true) => Arc::clone(&self.targets),
            (true, false) => Arc::clone(&segment.members),
            (false, false) => Arc::new(self.targets.and(&segment.members)),
        };
        Environment {
            named: Some(named).filter(|named| users.as_ref() != Some(named)),
            users,
            in_order: in_order && self.targets.is_empty() && segment.in_order(),
        }
    }
}

/// A failure that lasts until the flag or the configuration is changed by hand.
pub(super) fn refuse(words: impl Into<String>) -> Failure {
    Failure::new(Kind::Misfit, words)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Patch<'a> {
    /// None for what is the same in every environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment_key: Option<&'a str>,
    /// For LaunchDarkly's audit log.
    pub(super) comment: &'a str,
    pub(super) instructions: &'a [Instruction],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Instruction {
    TurnFlagOn,
    TurnFlagOff,
    UpdateFallthroughVariationOrRollout { variation_id: String },
    UpdateOffVariation { variation_id: String },
    ReplaceRules { rules: Vec<NewRule> },
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
    #[serde(skip_serializing_if = "Option::is_none")]
    context_kind: Option<String>,
    variation_id: String,
    values: Arc<Users>,
}

impl Targets {
    fn of(variation: &str, kind: &str, values: Arc<Users>) -> Targets {
        Targets {
            context_kind: other_kind(kind),
            variation_id: variation.to_owned(),
            values,
        }
    }
}

/// A kind where it has to be named.
fn other_kind(kind: &str) -> Option<String> {
    Some(kind).filter(|kind| *kind != USER).map(str::to_owned)
}

/// A rule that serves a variation to the members of a segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewRule {
    variation_id: String,
    description: &'static str,
    clauses: [Value; 1],
}

impl NewRule {
    fn of(variation: &str, segment: &str, kind: &str) -> NewRule {
        let clause = json!({
            "contextKind": kind,
            "attribute": "segmentMatch",
            "op": "segmentMatch",
            "negate": false,
            "values": [segment],
        });
        NewRule {
            variation_id: variation.to_owned(),
            description: "optoggles",
            clauses: [clause],
        }
    }
}

/// How long something is as JSON, in bytes.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}
