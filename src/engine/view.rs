//! The state of the engine for the status, the log and the report.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Operation, Part, SourceId, TargetId, ToggleId};
use crate::users::{Change, Users};

use super::task::{Task, Trouble};
use super::toggle::{Environment, Existence};
use super::{Engine, Key, Mode, Subject, Timer};

/// What a single pass did about a toggle at its target, or would have done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) created: bool,
    pub(crate) described: bool,
    pub(crate) environments: Vec<EnvironmentOutcome>,
}

/// The same of one environment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EnvironmentOutcome {
    /// Empty at a target without environments.
    pub(crate) name: String,
    pub(crate) sent: Sent,
    /// Nothing is left to do there.
    pub(crate) is_done: bool,
    /// Why it failed, or is held.
    pub(crate) failure: Option<Failure>,
}

impl Outcome {
    /// What was sent to all environments together.
    pub(crate) fn sent(&self) -> Sent {
        let all = self.environments.iter().map(|it| &it.sent);
        let sent = all.filter(|sent| **sent != Sent::Nothing);
        let changes: Vec<_> = sent.map(|sent| sent.as_change().cloned()).collect();
        match Change::of_all(&changes) {
            _ if changes.is_empty() => Sent::Nothing,
            None => Sent::Whole,
            Some(change) => Sent::Change(change),
        }
    }
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
}

/// The state of a source, a target, a toggle, one of its environments, or everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Ok,
    /// Not everything was discovered, registered and created yet.
    Starting,
    Connecting,
    Connected,
    /// A source's OPA has not loaded everything.
    NotReady,
    /// The target asked for a pause.
    Paused,
    /// A toggle's users are unknown.
    Waiting,
    Syncing,
    InSync,
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

/// A toggle in one of its environments.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentView {
    /// Empty at a target without environments.
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) trouble: Option<Trouble>,
}

#[derive(Clone, Debug)]
pub(crate) struct TargetView {
    pub(crate) state: State,
    pub(crate) paused_until: Option<Instant>,
    /// The reason of a pause that delays something.
    pub(crate) held_up: Option<Failure>,
    /// A resync takes longer than `resync_interval`.
    pub(crate) is_overdue: bool,
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
        let rule = &self.rules[rule_id];
        let desired = rule.desired.as_deref();
        let environment = |it: &Environment| EnvironmentView {
            name: it.name.clone(),
            state: match (&it.work.task.trouble, desired) {
                (Some(trouble), _) if trouble.failure.is_held() => State::Held,
                (Some(_), _) => State::Failing,
                (None, None) => State::Waiting,
                (None, Some(desired))
                    if toggle.existence == Existence::Present
                        && it.is_on_for(desired)
                        && !it.work.task.is_running() =>
                {
                    State::InSync
                }
                (None, Some(_)) => State::Syncing,
            },
            trouble: it.work.task.trouble.clone(),
        };
        let environments: Vec<EnvironmentView> =
            toggle.environments.iter().map(environment).collect();
        let mut troubles = troubles([&rule.query, &toggle.whole.task, &toggle.metadata.task]);
        let has = |state| environments.iter().any(|it| it.state == state);
        if toggle.is_late && troubles.is_empty() && !has(State::Failing) && !has(State::Held) {
            let failure = Failure::new(Kind::Late, "the change has not arrived in time");
            troubles.push(Trouble::first(Operation::Update, failure));
        }
        let state = if !troubles.is_empty() || has(State::Failing) {
            State::Failing
        } else if has(State::Held) {
            State::Held
        } else if desired.is_none() {
            State::Waiting
        } else if toggle.described
            && !toggle.is_running()
            && environments.iter().all(|it| it.state == State::InSync)
        {
            State::InSync
        } else {
            State::Syncing
        };
        let parts = toggle.works();
        let tasks = parts.map(|(part, work)| (&work.task, Key::Apply(id, part)));
        View {
            state,
            users: rule.answer.as_deref().map(Users::len),
            troubles,
            last_success: toggle.last_success,
            next_retry: self.next_retry(tasks.chain([(&rule.query, Key::Query(rule_id))])),
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
        let is_overdue = target
            .resync
            .as_ref()
            .is_some_and(|resync| resync.is_overdue);
        TargetView {
            state: match is_overdue {
                _ if paused_until.is_some() => State::Paused,
                true => State::Failing,
                false => State::Ok,
            },
            paused_until,
            held_up: failure.filter(|_| waits),
            is_overdue,
        }
    }

    /// What a single pass did, or would do, about a toggle, and how many users it has then. If it failed, all
    /// troubles of the toggle and its source: none if the run was stopped before.
    pub(crate) fn outcome(&self, id: ToggleId) -> (Outcome, Result<usize, Vec<Named>>) {
        let toggle = &self.toggles[id];
        let source = &self.sources[self.source_of(id)];
        let done = Outcome {
            created: toggle.created,
            described: toggle.described_now,
            environments: self.environment_outcomes(id, |it| it.sent.clone()),
        };
        let named = |(part, trouble): (Option<&str>, Trouble)| Named {
            environment: part.unwrap_or_default().to_owned(),
            trouble,
        };
        let at_source = troubles([self.query_of(id), &source.discover, &source.passes.ready]);
        let at_target = toggle.works().filter_map(|(part, work)| {
            let name = match part {
                Part::Environment(number) => Some(&*toggle.environments[number].name),
                Part::Whole | Part::Metadata => None,
            };
            Some((name, work.task.trouble.clone()?))
        });
        let at_target: Vec<Named> = at_target.map(named).collect();
        let at_source = at_source.into_iter().map(|trouble| named((None, trouble)));
        let has_failed = !at_target.is_empty();
        let mut all: Vec<Named> = at_source.chain(at_target).collect();
        let Some(desired) = self.desired(id) else {
            return (done, Err(all));
        };
        let dry_run = matches!(self.mode, Mode::Once { dry_run: true, .. });
        let is_readable = self.is_readable(id);
        let lacks = toggle.lacks_users(desired) || !toggle.described;
        let is_known = toggle.existence != Existence::Unknown || !is_readable;
        if has_failed {
            let is_seen = dry_run && toggle.existence != Existence::Unknown;
            let outcome = if is_seen {
                self.would(id, desired)
            } else {
                done
            };
            (outcome, Err(all))
        } else if !lacks {
            (done, Ok(desired.len()))
        } else if dry_run && is_known {
            (self.would(id, desired), Ok(desired.len()))
        } else {
            if let Some((_, failure)) = &self.targets[self.config.toggles[id].target].paused {
                let trouble = Trouble::first(Operation::Update, failure.clone());
                all = vec![named((None, trouble))];
            }
            (done, Err(all))
        }
    }

    /// What `max_removal` holds back, and the number of users afterwards.
    pub(crate) fn held_back_change(&self, id: ToggleId) -> Option<(Outcome, usize)> {
        let desired = self.desired(id)?;
        Some((self.would(id, desired), desired.len()))
    }

    /// What a real run would do.
    fn would(&self, id: ToggleId, desired: &Users) -> Outcome {
        let toggle = &self.toggles[id];
        let sent = |it: &Environment| match &it.observed {
            _ if it
                .work
                .task
                .trouble
                .as_ref()
                .is_some_and(|it| !it.failure.is_held()) =>
            {
                it.sent.clone()
            }
            Some(observed) if observed.is_on_for(desired) => it.sent.clone(),
            Some(observed) => match observed.change_to(desired) {
                Some(change) => Sent::Change(Arc::new(change)),
                None => Sent::Whole,
            },
            None if toggle.existence == Existence::Absent => {
                Sent::Change(Arc::new(desired.change_from(&Users::default())))
            }
            None => Sent::Whole,
        };
        Outcome {
            created: toggle.created || toggle.existence == Existence::Absent,
            described: toggle.described_now
                || (toggle.existence == Existence::Present && !toggle.described),
            environments: self.environment_outcomes(id, sent),
        }
    }

    fn environment_outcomes(
        &self,
        id: ToggleId,
        sent: impl Fn(&Environment) -> Sent,
    ) -> Vec<EnvironmentOutcome> {
        let environments = self.toggles[id].environments.iter();
        let desired = self.desired(id);
        let outcome = |it: &Environment| EnvironmentOutcome {
            name: it.name.clone(),
            sent: sent(it),
            is_done: desired.is_some_and(|desired| it.is_on_for(desired)),
            failure: it.work.task.trouble.as_ref().map(|it| it.failure.clone()),
        };
        environments.map(outcome).collect()
    }

    fn next_retry<'t>(&self, tasks: impl Iterator<Item = (&'t Task, Key)>) -> Option<Instant> {
        let waiting = tasks.filter(|(task, _)| task.is_waiting());
        let retries = waiting.filter_map(|(_, key)| self.timers.get(Timer::Task(key)));
        retries.min()
    }
}

/// A trouble, and its environment: empty if it concerns all of the toggle.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) environment: String,
    pub(crate) trouble: Trouble,
}

fn troubles<const N: usize>(tasks: [&Task; N]) -> Vec<Trouble> {
    tasks
        .iter()
        .filter_map(|task| task.trouble.clone())
        .collect()
}

/// Why a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Connected => "connected",
            Cause::Callback => "callback",
            Cause::Moved => "moved",
            Cause::Changed => "changed",
            Cause::Ready => "ready",
            Cause::Watch => "watch",
            Cause::Poll => "poll",
            Cause::Resync => "resync",
            Cause::Reload => "reload",
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) subject: Subject,
    pub(crate) news: News,
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
    Updated {
        users: Arc<Users>,
        change: Option<Arc<Change>>,
    },
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
