//! The state of the engine for the status, the log and the report.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Failure, Kind};
use crate::job::{Operation, Part, SourceId, TargetId, ToggleId};
use crate::users::{Change, Users};

use super::task::{Task, Trouble};
use super::toggle::{Environment, Existence};
use super::{Engine, Key, Mode, Subject, Timer};

/// Whether a user has a toggle in one of its environments, as it was last seen there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    On,
    Off,
    /// The toggle does not exist.
    Missing,
    /// The target cannot be read.
    Unreadable,
    /// Something other than lists of users decides.
    Otherwise,
    /// It was not read.
    Unread,
}

/// What a single pass did about a toggle, or would do. Serialized, it is what `sync --format json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) result: Verdict,
    /// How many users it has then, or would have; none if it failed.
    pub(crate) users: Option<usize>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) created: bool,
    /// Its metadata were sent.
    pub(crate) described: bool,
    /// To all environments together.
    #[serde(skip)]
    pub(crate) sent: Sent,
    /// All that went wrong, and in which environments.
    #[serde(skip)]
    pub(crate) troubles: Vec<(Trouble, Vec<String>)>,
    #[serde(skip)]
    pub(crate) environments: Vec<EnvironmentOutcome>,
}

/// The same of one environment.
#[derive(Debug, Serialize)]
pub(crate) struct EnvironmentOutcome {
    /// Empty at a target without environments.
    pub(crate) name: String,
    pub(crate) result: Verdict,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) error: Option<String>,
}

/// How many users came and went; none where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Counts {
    pub(crate) added: Option<usize>,
    pub(crate) removed: Option<usize>,
}

/// What became of a toggle, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Created,
    Updated,
    /// Updated; what the target had is not known.
    Set,
    Unchanged,
    /// Turned off for everybody, because it has left the configuration.
    Retired,
    /// Held back by `max_removal`.
    Held,
    Failed,
}

/// Which users were sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Sent {
    #[default]
    Nothing,
    /// All, because the target's users are unknown.
    Whole,
    Change(Arc<Change>),
}

impl Sent {
    pub(crate) fn as_change(&self) -> Option<&Arc<Change>> {
        match self {
            Sent::Change(change) => Some(change),
            Sent::Nothing | Sent::Whole => None,
        }
    }

    fn counts(&self, result: Verdict) -> Counts {
        let (added, removed) = match (self, result) {
            (Sent::Change(change), _) => (change.added.len(), change.removed.len()),
            (Sent::Whole, _) | (_, Verdict::Held | Verdict::Failed) => return Counts::default(),
            (Sent::Nothing, _) => (0, 0),
        };
        Counts {
            added: Some(added),
            removed: Some(removed),
        }
    }

    /// Both together.
    fn and(&self, other: &Sent) -> Sent {
        match (self, other) {
            (sent, Sent::Nothing) | (Sent::Nothing, sent) => sent.clone(),
            (Sent::Change(one), Sent::Change(other)) if Arc::ptr_eq(one, other) => self.clone(),
            (Sent::Change(one), Sent::Change(other)) => Sent::Change(Arc::new(one.and(other))),
            _ => Sent::Whole,
        }
    }
}

/// The state of a source, a target, a toggle, one of its environments, or everything. A toggle has the worst
/// state of its environments: the last one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    #[default]
    Ok,
    /// Not everything was discovered, registered and created yet.
    Starting,
    Connecting,
    Connected,
    /// A source's OPA has not loaded everything.
    #[serde(rename = "not ready")]
    NotReady,
    /// The target asked for a pause.
    Paused,
    #[serde(rename = "in sync")]
    InSync,
    /// A toggle that has left the configuration is off for everybody.
    Retired,
    Syncing,
    /// A toggle's users are unknown.
    Waiting,
    /// By `max_removal`.
    Held,
    Failing,
}

#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) state: State,
    /// The number of users in the last good response, of a toggle.
    pub(crate) users: Option<usize>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) last_success: Option<Instant>,
    pub(crate) next_retry: Option<Instant>,
    /// Of a toggle.
    pub(crate) environments: Vec<EnvironmentView>,
}

/// A toggle in one of its environments, as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EnvironmentView {
    /// Empty at a target without environments.
    pub(crate) name: String,
    pub(crate) state: State,
    /// Without the remote's own words.
    pub(crate) last_error: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct TargetView {
    pub(crate) state: State,
    pub(crate) paused_until: Option<Instant>,
    /// The reason of a pause that delays something.
    pub(crate) held_up: Option<Failure>,
    /// A resync takes longer than `resync_interval`.
    pub(crate) is_overdue: bool,
    /// Toggles to retire cannot be found.
    pub(crate) trouble: Option<Trouble>,
}

impl Engine {
    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    pub(crate) fn source(&self, id: SourceId) -> View {
        let source = &self.sources[id];
        let tasks = [
            (&source.discover, Key::Discover(id)),
            (&source.register, Key::Register(id)),
            (&source.watch, Key::Watch(id)),
            (&source.count, Key::Count(id)),
            (&source.load, Key::Load(id)),
            (&source.passes.ready, Key::Ready(id)),
        ];
        let troubles = troubles(tasks.map(|(task, _)| task));
        let state = if !troubles.is_empty() || source.passes.unanswered {
            State::Failing
        } else if source.passes.held_since.is_some() {
            State::NotReady
        } else if source.is_connected() {
            State::Connected
        } else {
            State::Connecting
        };
        View {
            state,
            users: None,
            troubles,
            last_success: source.passes.last,
            next_retry: self.next_retry(tasks.into_iter()),
            environments: Vec::new(),
        }
    }

    pub(crate) fn toggle(&self, id: ToggleId) -> View {
        let toggle = &self.toggles[id];
        let rule_id = self.config.toggles[id].rule;
        let rule = self.rule_of(id);
        let desired = self.desired(id).map(|users| &**users);
        let is_there = toggle.existence == Existence::Present;
        let secrets = &self.config.secrets;
        let environments = toggle.environments.iter().map(|it| EnvironmentView {
            name: secrets.redact(&it.name),
            state: match (&it.work.task.trouble, desired) {
                (Some(trouble), _) if trouble.failure.is_held() => State::Held,
                (Some(_), _) => State::Failing,
                (None, None) => State::Waiting,
                (None, Some(_)) if !is_there || it.work.task.is_running() => State::Syncing,
                (None, Some(desired)) if it.is_on_for(desired) => State::InSync,
                (None, Some(_)) => State::Syncing,
            },
            last_error: it.work.task.trouble.as_ref().map(Trouble::reason),
        });
        let environments: Vec<EnvironmentView> = environments.collect();
        let mut troubles = troubles([&toggle.whole.task, &toggle.metadata.task]);
        troubles.splice(0..0, rule.and_then(|rule| rule.query.trouble.clone()));
        let mut state = match toggle.described == Some(true) && !toggle.is_running() {
            true => State::InSync,
            false => State::Syncing,
        };
        state = environments
            .iter()
            .map(|it| it.state)
            .fold(state, State::max);
        if toggle.is_late && troubles.is_empty() && state < State::Held {
            let failure = Failure::new(Kind::Late, "the change has not arrived in time");
            troubles.push(Trouble::first(Operation::Update, failure));
        }
        if !troubles.is_empty() {
            state = State::Failing;
        }
        if self.is_retired(id) && state == State::InSync {
            state = State::Retired;
        }
        let parts = toggle.works();
        let tasks = parts.map(|(part, work)| (&work.task, Key::Apply(id, part)));
        let query = rule.zip(rule_id);
        let query = query.map(|(rule, id)| (&rule.query, Key::Query(id)));
        let users = rule.map_or(Some(&self.no_users), |rule| rule.users());
        View {
            state,
            users: users.map(|users| users.len()),
            troubles,
            last_success: toggle.last_success,
            next_retry: self.next_retry(tasks.chain(query)),
            environments,
        }
    }

    /// The name of a toggle's environment; empty at a target without environments.
    pub(crate) fn environment(&self, id: ToggleId, number: usize) -> &str {
        &self.toggles[id].environments[number].name
    }

    pub(crate) fn target(&self, id: TargetId) -> TargetView {
        let target = &self.targets[id];
        let mut toggles = target.terms.toggles.keys();
        let waits = toggles.any(|id| self.toggles[*id].is_queued());
        let (paused_until, failure) = target.paused.clone().unzip();
        let resync = target.resync.as_ref();
        let is_overdue = resync.is_some_and(|resync| resync.is_overdue);
        let trouble = target.find.trouble.clone();
        TargetView {
            state: match is_overdue || trouble.is_some() {
                _ if paused_until.is_some() => State::Paused,
                true => State::Failing,
                false => State::Ok,
            },
            trouble,
            paused_until,
            held_up: failure.filter(|_| waits),
            is_overdue,
        }
    }

    /// Whether the rule of a toggle allows a user, and how many it allows; none if they are not known.
    pub(crate) fn allows(&self, id: ToggleId, user: &str) -> Option<(bool, usize)> {
        let desired = self.desired(id)?;
        Some((desired.contains(user), desired.len()))
    }

    /// Whether each environment of a toggle has it on for a user.
    pub(crate) fn holdings(&self, id: ToggleId, user: &str) -> Vec<Holding> {
        let (toggle, readable) = (&self.toggles[id], self.is_readable(id));
        let holding = |it: &Environment| match (toggle.existence, &it.observed) {
            (Existence::Absent, _) => Holding::Missing,
            (_, None) if readable => Holding::Unread,
            (_, None) => Holding::Unreadable,
            (_, Some(observed)) => match &observed.users {
                Some(users) if users.contains(user) => Holding::On,
                Some(_) => Holding::Off,
                None => Holding::Otherwise,
            },
        };
        toggle.environments.iter().map(holding).collect()
    }

    /// What a single pass did about a toggle; of a dry run, and where it is held, what would be done.
    pub(crate) fn outcome(&self, id: ToggleId) -> Outcome {
        let toggle = &self.toggles[id];
        let desired = self.desired(id);
        let has_failed = toggle.works().any(|(_, work)| work.task.trouble.is_some());
        let is = |existence| toggle.existence == existence;
        let is_known = !is(Existence::Unknown) || !(has_failed || self.is_readable(id));
        let is_planned = is_known && matches!(self.mode, Mode::Once { dry_run: true, .. });
        let is_in_sync = |desired| toggle.described == Some(true) && !toggle.lacks_users(desired);
        let is_done = !has_failed && desired.is_some_and(|it| is_planned || is_in_sync(it));
        let troubles = match is_done {
            true => Vec::new(),
            false => self.why_not_done(id, has_failed),
        };
        let is_held = !is_done && troubles.iter().all(|(it, _)| it.failure.is_held());
        let plan = desired.filter(|_| is_planned || is_held);

        let mut all = Sent::Nothing;
        let secrets = &self.config.secrets;
        let environments = toggle.environments.iter().map(|it| {
            let failure = it.work.task.trouble.as_ref().map(|it| &it.failure);
            let has_failed = failure.is_some_and(|failure| !failure.is_held());
            let is_on = desired.is_some_and(|desired| it.is_on_for(desired));
            let sent = match plan.filter(|_| !is_on && !has_failed) {
                Some(desired) => would_send(it, toggle.existence, desired),
                None => it.sent.clone(),
            };
            let result = match sent {
                _ if has_failed => Verdict::Failed,
                _ if failure.is_some() => Verdict::Held,
                Sent::Whole | Sent::Change(_) if self.is_retired(id) => Verdict::Retired,
                Sent::Whole => Verdict::Set,
                Sent::Change(_) => Verdict::Updated,
                Sent::Nothing if is_on => Verdict::Unchanged,
                // Its toggle has failed.
                Sent::Nothing => Verdict::Failed,
            };
            all = all.and(&sent);
            EnvironmentOutcome {
                name: secrets.redact(&it.name),
                result,
                counts: sent.counts(result),
                error: failure.map(|failure| secrets.redact(&failure.to_string())),
            }
        });
        let environments: Vec<_> = environments.collect();
        let is_created = plan.is_some() && is(Existence::Absent);
        let is_described =
            plan.is_some() && is(Existence::Present) && toggle.described != Some(true);
        let created = toggle.created || is_created;
        let described = toggle.described_now || is_described;
        let result = match all {
            _ if is_held => Verdict::Held,
            _ if !is_done => Verdict::Failed,
            Sent::Whole | Sent::Change(_) if self.is_retired(id) => Verdict::Retired,
            Sent::Whole => Verdict::Set,
            _ if created => Verdict::Created,
            Sent::Nothing if !described => Verdict::Unchanged,
            Sent::Nothing | Sent::Change(_) => Verdict::Updated,
        };
        Outcome {
            result,
            users: desired.filter(|_| is_done || is_held).map(|it| it.len()),
            counts: all.counts(result),
            created,
            described,
            sent: all,
            troubles,
            environments,
        }
    }

    /// Each trouble of a toggle and its source, with its environments; else why it is not done all the same.
    fn why_not_done(&self, id: ToggleId, has_failed: bool) -> Vec<(Trouble, Vec<String>)> {
        let toggle = &self.toggles[id];
        let source = self.source_of(id).map(|source| &self.sources[source]);
        let at_source = source.map(|source| [&source.discover, &source.passes.ready]);
        let at_source = self
            .query_of(id)
            .into_iter()
            .chain(at_source.into_iter().flatten());
        let at_source = at_source.map(|task| (task, ""));
        let at_target = toggle.works().map(|(part, work)| match part {
            Part::Environment(number) => (&work.task, self.environment(id, number)),
            Part::Whole | Part::Metadata => (&work.task, ""),
        });
        let what = |it: &Trouble| (it.operation == Operation::Describe, it.failure.clone());
        let mut all: Vec<(Trouble, Vec<String>)> = Vec::new();
        for (task, environment) in at_source.chain(at_target) {
            let Some(trouble) = &task.trouble else {
                continue;
            };
            let name = self.config.secrets.redact(environment);
            let name = Some(name).filter(|name| !name.is_empty());
            match all.iter_mut().find(|(it, _)| what(it) == what(trouble)) {
                Some((_, names)) => names.extend(name),
                None => all.push((trouble.clone(), Vec::from_iter(name))),
            }
        }
        let paused = &self.targets[self.config.toggles[id].target].paused;
        let failure = match paused {
            Some((_, failure)) if !has_failed && self.desired(id).is_some() => failure.clone(),
            _ if !all.is_empty() => return all,
            _ => Failure::new(Kind::Late, "interrupted before it was done"),
        };
        vec![(Trouble::first(Operation::Update, failure), Vec::new())]
    }

    fn next_retry<'t>(&self, tasks: impl Iterator<Item = (&'t Task, Key)>) -> Option<Instant> {
        let waiting = tasks.filter(|(task, _)| task.is_waiting());
        let retries = waiting.filter_map(|(_, key)| self.timers.get(Timer::Task(key)));
        retries.min()
    }
}

/// What a run would send to an environment that is not on for exactly these users.
fn would_send(environment: &Environment, existence: Existence, desired: &Users) -> Sent {
    let change = match &environment.observed {
        Some(observed) => observed.users.as_ref().map(|it| desired.change_from(it)),
        None => (existence == Existence::Absent).then(|| desired.change_from(&Users::default())),
    };
    change.map_or(Sent::Whole, |change| Sent::Change(Arc::new(change)))
}

fn troubles<const N: usize>(tasks: [&Task; N]) -> Vec<Trouble> {
    tasks
        .iter()
        .filter_map(|task| task.trouble.clone())
        .collect()
}

/// Why a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cause {
    Connected,
    Callback,
    /// OPA has another address.
    Moved,
    /// The file has changed.
    Changed,
    /// OPA has loaded everything.
    Ready,
    /// OPA was written to, whether or not OPAL called back.
    Watch,
    /// `poll_interval`, or `sync --interval`.
    Poll,
    Resync,
    Reload,
}

/// Why users were sent, as the audit log has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    /// The first look at the policy.
    #[default]
    Start,
    Callback,
    Poll,
    Resync,
    Reload,
    /// The target no longer had the users that it had been given, and the policy had not changed.
    Drift,
    /// A run of `sync`.
    Sync,
    /// The same with `--force`, where `max_removal` would have held the update back.
    Force,
    /// The toggle has left the configuration.
    Retired,
}

impl Why {
    /// That of what a pass finds out; the first of a rule is the start.
    pub(super) fn of(cause: Cause, is_first: bool) -> Why {
        match cause {
            Cause::Callback => Why::Callback,
            Cause::Poll | Cause::Changed | Cause::Watch => Why::Poll,
            Cause::Reload => Why::Reload,
            Cause::Connected | Cause::Moved | Cause::Ready if is_first => Why::Start,
            Cause::Connected | Cause::Moved | Cause::Ready | Cause::Resync => Why::Resync,
        }
    }
}

/// They print the words that they have in JSON.
macro_rules! in_words {
    ($($name:ident)*) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        })*
    };
}
in_words! { Verdict State Cause }

#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) subject: Subject,
    pub(crate) news: News,
}

/// Users of an environment that were sent.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) users: Arc<Users>,
    /// None where it is not known what the target had.
    pub(crate) change: Option<Arc<Change>>,
    /// None where these users were sent before, to a target that cannot be read.
    pub(crate) why: Option<Why>,
    /// Of the answer that allows them.
    pub(crate) revision: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(crate) enum News {
    Discovered {
        opa: String,
    },
    Registered,
    /// OPAL was restarted, or another instance took the registration.
    Lost,
    /// OPAL has never called back, although there were changes.
    Unheard {
        advertised: String,
    },
    NotReady,
    /// OPA does not report how far it has loaded.
    Untold,
    /// OPAL does not report that it has loaded everything into an OPA that was restarted: from now on, changes
    /// within the removal limit are applied.
    Unproven,
    /// OPA removes users, and has not proven that it has loaded everything.
    Doubtful,
    Restarted,
    /// All queries of a pass have ended, and its changes have arrived.
    Pass {
        cause: Cause,
        toggles: usize,
        changed: usize,
        failed: usize,
        /// Queries without a response when the next pass began.
        late: usize,
        took: Duration,
    },
    HeldBack(Failure),
    Released,
    Created,
    Updated(Update),
    Late {
        after: Duration,
    },
    Overdue {
        took: Duration,
        left: usize,
    },
    Failing {
        operation: Operation,
        failure: Failure,
        count: u32,
        retry_in: Option<Duration>,
    },
    Retry {
        operation: Operation,
        wait: Duration,
    },
    Mended {
        operation: Operation,
        count: u32,
    },
    /// The target asked for a pause (429).
    Paused {
        wait: Duration,
    },
}
