//! A feature as Unleash shows it, and the steps after which exactly the desired users have it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Spec;
use crate::config::report::count;
use crate::http::Object;
use crate::json::Members;
use crate::plan::Environment;
use crate::users::Users;

/// At 100 % this strategy has everyone whom its constraints let through.
const STRATEGY: &str = "flexibleRollout";

/// What Unleash's pages call a strategy of ours.
const TITLE: &str = "optoggles";

/// The longest body, in bytes. From 100 KiB on Unleash answers 413, whatever its limits say.
const BODY: usize = 100_000;

/// The longest value of a constraint, in UTF-16 units (`constraintSchema` of unleash-server).
const LONGEST_KEY: usize = 100;

/// A feature in an answer about it alone.
#[derive(Deserialize)]
pub(super) struct FeatureAnswer {
    #[serde(flatten)]
    pub(super) metadata: Metadata,
    environments: Vec<Object<EnvironmentAnswer>>,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    #[serde(rename = "type")]
    kind: String,
    description: Option<String>,
    #[serde(default)]
    dependencies: Vec<Object<Dependency>>,
}

#[derive(Deserialize)]
pub(super) struct EnvironmentAnswer {
    name: String,
    enabled: bool,
    strategies: Vec<Object<StrategyAnswer>>,
}

/// A feature in one environment, as SDKs are told of it: without ids, and without disabled strategies.
#[derive(Deserialize)]
pub(super) struct ListedFeature {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) metadata: Metadata,
    enabled: bool,
    strategies: Vec<Object<StrategyAnswer>>,
}

/// A feature that has to be on too.
#[derive(Deserialize)]
struct Dependency {
    feature: String,
}

#[derive(Deserialize)]
struct StrategyAnswer {
    #[serde(default)]
    id: String,
    name: String,
    /// Not shown to SDKs.
    #[serde(default = "our_title")]
    title: Option<String>,
    #[serde(default)]
    disabled: bool,
    constraints: Option<Vec<Object<Constraint>>>,
    parameters: Option<Members<Value>>,
    variants: Option<Vec<IgnoredAny>>,
    segments: Option<Vec<IgnoredAny>>,
}

fn our_title() -> Option<String> {
    Some(TITLE.to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Constraint {
    context_name: String,
    operator: String,
    values: Option<Users>,
    #[serde(default)]
    inverted: bool,
    #[serde(default)]
    case_insensitive: bool,
}

/// A feature in one environment.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) is_on: bool,
    strategies: Vec<Strategy>,
    /// The feature without which this one is off.
    parent: Option<String>,
    /// Whether all strategies are shown, with their ids.
    pub(super) is_whole: bool,
}

impl Default for State {
    /// That of a new feature.
    fn default() -> State {
        State {
            is_on: false,
            strategies: Vec::new(),
            parent: None,
            is_whole: true,
        }
    }
}

/// A strategy: a user has the feature if any of those that are not disabled lets it through.
#[derive(Clone, Debug)]
struct Strategy {
    id: String,
    /// It lets through none but these; none: it is not known whom it lets through.
    users: Option<Users>,
    /// It lets through all of them.
    is_exact: bool,
    /// It is exact, and looks as we write it.
    is_tidy: bool,
}

impl PartialEq for Strategy {
    /// Apart from the id, which not every answer shows.
    fn eq(&self, other: &Strategy) -> bool {
        let parts = |it: &Strategy| (it.is_exact, it.is_tidy);
        parts(self) == parts(other) && self.users == other.users
    }
}

/// How much of a feature Unleash keeps in an environment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    /// In a constraint.
    pub(super) values: usize,
    pub(super) strategies: usize,
}

/// A change of an environment. Strategies are named by their ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Rewrite(String, Users),
    Add(Users),
    Remove(String),
    TurnOn,
    TurnOff,
}

impl Step {
    /// Whether what it leads to has to be read.
    pub(super) fn depends_on_others(&self) -> bool {
        matches!(self, Step::Add(_) | Step::TurnOn)
    }
}

/// Steps, and why they do not lead to the desired users, if they do not.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) unfit: Option<String>,
}

impl Metadata {
    pub(super) fn follow(&self, spec: &Spec) -> bool {
        let wanted = spec.description.as_deref();
        let description = self.description.as_deref().unwrap_or_default();
        self.kind == spec.kind && wanted.is_none_or(|wanted| wanted == description)
    }

    fn parent(&self) -> Option<String> {
        self.dependencies.first().map(|it| it.feature.clone())
    }
}

impl FeatureAnswer {
    /// Its state in an environment, if it is there.
    pub(super) fn state(&self, environment: &str, spec: &Spec) -> Option<State> {
        let mut environments = self.environments.iter();
        let found = environments.find(|it| it.name == environment)?;
        Some(State {
            is_on: found.enabled,
            strategies: read(&found.strategies, spec),
            parent: self.metadata.parent(),
            is_whole: true,
        })
    }
}

impl ListedFeature {
    pub(super) fn state(&self, spec: &Spec) -> State {
        State {
            is_on: self.enabled,
            strategies: read(&self.strategies, spec),
            parent: self.metadata.parent(),
            is_whole: false,
        }
    }
}

fn read(strategies: &[Object<StrategyAnswer>], spec: &Spec) -> Vec<Strategy> {
    strategies.iter().map(|it| it.strategy(spec)).collect()
}

impl StrategyAnswer {
    fn strategy(&self, spec: &Spec) -> Strategy {
        let is = |name: &str, value: &str| {
            let parameter = self.parameters.as_ref().and_then(|all| all.get(name));
            parameter.is_some_and(|it| it == value)
        };
        let is_empty = |list: &Option<Vec<IgnoredAny>>| list.as_ref().is_none_or(Vec::is_empty);
        let constraints = self.constraints.as_deref().unwrap_or_default();
        let mut lists = constraints.iter().map(|Object(it)| it.users(spec));
        let users = lists.find_map(|users| users);
        let users = users.filter(|_| self.name == STRATEGY);
        let is_exact = users.is_some()
            && constraints.len() == 1
            && is("rollout", "100")
            // Another one can need something of a user that is missing.
            && is("stickiness", "default")
            && is_empty(&self.segments)
            && !self.disabled;
        let is_tidy = is_exact
            && self.title.as_deref() == Some(TITLE)
            && is("groupId", &spec.key)
            && is_empty(&self.variants);
        Strategy {
            id: self.id.clone(),
            users: users.cloned(),
            is_exact,
            is_tidy,
        }
    }
}

impl Constraint {
    /// The users whom it lets through.
    fn users(&self, spec: &Spec) -> Option<&Users> {
        // Whose keys they are does not matter to who loses a feature.
        let is_of_field = self.context_name == spec.context_field || spec.is_retired;
        let is_list = is_of_field && self.operator == "IN";
        let is_plain = is_list && !self.inverted && !self.case_insensitive;
        let users = self.values.as_ref().filter(|_| is_plain)?;
        users.iter().all(is_exact).then_some(users)
    }
}

/// Whether all SDKs compare a key as it is, and Unleash keeps it. Some trim the values of a constraint, Java's
/// of control characters too; PostgreSQL's JSON has no NUL. Those on Unleash's own engine (yggdrasil) take a
/// backslash at the end for an escape, and have the feature off for everyone.
fn is_exact(key: &str) -> bool {
    let is_trimmed = |c: char| c.is_whitespace() || c <= ' ' || c == '\u{feff}';
    !key.is_empty()
        && !key.starts_with(is_trimmed)
        && !key.ends_with(is_trimmed)
        && !key.ends_with('\\')
        && !key.contains('\0')
        && key.encode_utf16().count() <= LONGEST_KEY
}

impl State {
    /// Whether a list would show it like this one.
    pub(super) fn looks_like(&self, listed: &State) -> bool {
        let parts = |it: &State| (it.is_on, it.parent.clone());
        parts(self) == parts(listed) && self.strategies == listed.strategies
    }

    /// What the engine has to know of it.
    pub(super) fn observed(&self) -> Environment {
        if !self.is_on {
            return Environment::of(Default::default());
        }
        let lists = self.strategies.iter().filter_map(|it| it.users.as_ref());
        let listed = lists.clone().map(Users::len).sum::<usize>();
        let named: Users = lists.flat_map(Users::iter).collect();
        let is_listed_once = named.len() == listed;
        let is_known = self.parent.is_none()
            && !self.strategies.is_empty()
            && self.strategies.iter().all(|it| it.is_exact);
        let (users, named) = match is_known {
            true => (Some(named.into()), None),
            false => (
                None,
                Some(named.into()).filter(|named: &Arc<Users>| !named.is_empty()),
            ),
        };
        Environment {
            users,
            named,
            in_order: is_known && is_listed_once && self.strategies.iter().all(|it| it.is_tidy),
        }
    }

    /// The feature on which this one depends, so that not all desired users can have it.
    pub(super) fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    /// The steps after which exactly these users have the feature. After each of them, only users have it who had it
    /// before or are to have it. Those who are to keep it have it throughout, if a strategy lists them.
    pub(super) fn plan(&self, desired: &Users, room: Room, spec: &Spec) -> Plan {
        let mut left: BTreeSet<&str> = desired.iter().collect();
        let kept = self.shares(&mut left);
        let (new, odd): (Vec<&str>, Vec<&str>) = left.into_iter().partition(|key| is_exact(key));
        let (shares, more) = spread(kept.clone(), new, room, spec);
        let filled = shares.iter().filter(|share| !share.users.is_empty());
        if filled.count() + more.len() > room.strategies {
            let unfit = format!(
                "{} do not fit: Unleash allows {} strategies in an environment, with {} values each, and \
                 bodies of {BODY} bytes: raise its UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT or \
                 UNLEASH_CONSTRAINT_VALUES_LIMIT; until then, optoggles only removes users from its strategies",
                count(desired.len(), "user"),
                room.strategies,
                room.values,
            );
            return Plan {
                steps: self.revocation(&kept, room),
                unfit: Some(unfit),
            };
        }
        let unfit = format!(
            "{} cannot be kept in Unleash: none may begin or end with a blank, end with a backslash, hold \
             NUL, or have more than {LONGEST_KEY} characters",
            count(odd.len(), "user key")
        );
        Plan {
            steps: self.steps(&shares, more, room),
            unfit: Some(unfit).filter(|_| !odd.is_empty()),
        }
    }

    /// The strategies that list users, each with those of the ones left that it keeps. First come those that
    /// let these through as they are.
    fn shares<'s>(&'s self, left: &mut BTreeSet<&'s str>) -> Vec<Share<'s>> {
        let (exact, others): (Vec<_>, Vec<_>) = self.strategies.iter().partition(|it| it.is_exact);
        let mut shares = Vec::new();
        for strategy in exact.into_iter().chain(others) {
            let Some(listed) = &strategy.users else {
                continue;
            };
            let mut share = Share {
                strategy,
                users: Vec::new(),
                is_changed: false,
            };
            share
                .users
                .extend(listed.iter().filter(|key| left.remove(key)));
            share.is_changed = !strategy.is_tidy || share.users.len() < listed.len();
            shares.push(share);
        }
        shares
    }

    /// The steps that give the feature to no one, and take it from those who lose it. What does not list users
    /// is left alone where nothing here does.
    fn revocation(&self, kept: &[Share], room: Room) -> Vec<Step> {
        match kept.is_empty() || !self.is_on {
            true => Vec::new(),
            false => self.steps(kept, Vec::new(), room),
        }
    }

    fn steps(&self, shares: &[Share], mut more: Vec<Users>, room: Room) -> Vec<Step> {
        let strays = self.strategies.iter().filter(|it| it.users.is_none());
        let strays: Vec<&str> = strays.map(|it| it.id.as_str()).collect();
        let (filled, emptied): (Vec<&Share>, Vec<&Share>) =
            shares.iter().partition(|share| !share.users.is_empty());
        if filled.is_empty() && more.is_empty() {
            return Vec::from_iter(self.is_on.then_some(Step::TurnOff));
        }
        let mut steps = Vec::new();
        let rewrite = |id: &str, users| Step::Rewrite(id.to_owned(), users);
        let remove = |id: &str| Step::Remove(id.to_owned());
        for share in filled.iter().filter(|share| share.is_changed) {
            let users = share.users.iter().copied().collect();
            steps.push(rewrite(&share.strategy.id, users));
        }
        steps.extend(emptied.iter().map(|share| remove(&share.strategy.id)));
        // The last users to be placed may have the feature by a stray: it is rewritten for them. More strays
        // than one are only where Unleash has no room for others.
        let free = room.strategies.saturating_sub(filled.len() + strays.len());
        let turned = more.len().saturating_sub(free).max(1);
        let turned = turned.min(more.len()).min(strays.len());
        let last = more.split_off(more.len() - turned);
        steps.extend(more.into_iter().map(Step::Add));
        steps.extend(
            strays
                .iter()
                .zip(last)
                .map(|(id, users)| rewrite(id, users)),
        );
        steps.extend(strays[turned..].iter().map(|id| remove(id)));
        steps.extend((!self.is_on).then_some(Step::TurnOn));
        steps
    }

    /// Notes that a step was taken. What others may have changed as well is read instead.
    pub(super) fn took(&mut self, step: Step) {
        match step {
            Step::Rewrite(id, users) => {
                let mut strategies = self.strategies.iter_mut();
                if let Some(found) = strategies.find(|it| it.id == id) {
                    *found = Strategy::of(id, users);
                }
            }
            Step::Remove(id) => self.strategies.retain(|it| it.id != id),
            Step::TurnOff => self.is_on = false,
            Step::Add(_) | Step::TurnOn => {}
        }
    }
}

impl Strategy {
    /// One as we write it.
    fn of(id: String, users: Users) -> Strategy {
        Strategy {
            id,
            users: Some(users),
            is_exact: true,
            is_tidy: true,
        }
    }
}

/// A strategy with the users that it is to list.
#[derive(Clone)]
struct Share<'s> {
    strategy: &'s Strategy,
    users: Vec<&'s str>,
    is_changed: bool,
}

/// Puts users where there is room: first into what is rewritten anyway, last into strategies of their own.
fn spread<'s>(
    mut shares: Vec<Share<'s>>,
    users: Vec<&'s str>,
    room: Room,
    spec: &Spec,
) -> (Vec<Share<'s>>, Vec<Users>) {
    let bytes = BODY.saturating_sub(size(&body(spec, &Users::default())));
    let mut users = users.into_iter().peekable();
    let mut fill = |list: &mut Vec<&'s str>| {
        let mut used: usize = list.iter().map(|key| size(key) + 1).sum();
        let before = list.len();
        while list.len() < room.values
            && let Some(key) = users.next_if(|key| used + size(key) < bytes)
        {
            used += size(&key) + 1;
            list.push(key);
        }
        list.len() > before
    };
    for is_changed in [true, false] {
        for share in shares.iter_mut().filter(|it| it.is_changed == is_changed) {
            share.is_changed |= fill(&mut share.users);
        }
    }
    let mut more = Vec::new();
    let mut list = Vec::new();
    while fill(&mut list) {
        more.push(list.drain(..).collect());
    }
    (shares, more)
}

/// How long something is as JSON, in bytes.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

/// A strategy that lets these users through. All of it is written each time: without `constraints` a rewrite
/// would let everybody through.
pub(super) fn body(spec: &Spec, users: &Users) -> impl Serialize {
    json!({
        "name": STRATEGY,
        "title": TITLE,
        "disabled": false,
        "parameters": { "rollout": "100", "stickiness": "default", "groupId": spec.key },
        "constraints": [{ "contextName": spec.context_field, "operator": "IN", "values": users }],
        "segments": [],
        "variants": [],
    })
}
