//! The state of the engine for the status, the log and the report.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::job::{Operation, SourceId, ToggleId};
use crate::plan::{Observed, Step};
use crate::users::{Change, Users};

use super::task::{self, Task, Trouble};
use super::{Engine, Key, Mode, Subject, Timer};

/// What was done, or would be done, at the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) created: bool,
    pub(crate) described: bool,
    pub(crate) sent: Sent,
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
    pub(crate) fn as_change(&self) -> Option<&Change> {
        match self {
            Sent::Change(change) => Some(change),
            Sent::Nothing | Sent::Whole => None,
        }
    }
}

/// The state of a source, the target, a toggle, or everything.
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
            next_retry: self.next_retry(tasks),
        }
    }

    pub(crate) fn toggle(&self, id: ToggleId) -> View {
        let toggle = &self.toggles[id];
        let tasks = [
            (&toggle.query, Key::Query(id)),
            (&toggle.apply, Key::Apply(id)),
        ];
        let mut troubles = troubles(tasks.map(|(task, _)| task));
        if toggle.is_late && troubles.is_empty() {
            let failure = Failure::new(Kind::Late, "the change has not arrived in time");
            troubles.push(Trouble::first(Operation::Update, failure));
        }
        let desired = toggle.desired.as_deref();
        let steps = toggle.observed.steps(desired, self.terms.readable);
        let state = if troubles.iter().any(|trouble| trouble.failure.is_held()) {
            State::Held
        } else if !troubles.is_empty() {
            State::Failing
        } else if desired.is_none() {
            State::Waiting
        } else if toggle.apply.is_running() || !steps.is_empty() {
            State::Syncing
        } else {
            State::InSync
        };
        View {
            state,
            users: toggle.answer.as_deref().map(Users::len),
            troubles,
            last_success: toggle.last_success,
            next_retry: self.next_retry(tasks),
        }
    }

    pub(crate) fn target(&self) -> TargetView {
        let waits = self
            .toggles
            .iter()
            .any(|toggle| toggle.apply.state == task::State::Queued);
        let (paused_until, failure) = self.paused.clone().unzip();
        let is_overdue = self.resync.as_ref().is_some_and(|resync| resync.is_overdue);
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
    pub(crate) fn outcome(&self, id: ToggleId) -> (Outcome, Result<usize, Vec<Trouble>>) {
        let toggle = &self.toggles[id];
        let source = &self.sources[self.config.toggles[id].users_policy.source];
        let tasks = [
            &toggle.query,
            &toggle.apply,
            &source.discover,
            &source.passes.ready,
        ];
        let done = toggle.outcome.clone();
        let Some(desired) = &toggle.desired else {
            return (done, Err(troubles(tasks)));
        };
        let dry_run = matches!(self.mode, Mode::Once { dry_run: true, .. });
        let steps = toggle.observed.steps(Some(desired), self.terms.readable);
        match steps.first() {
            _ if toggle.apply.trouble.is_some() => (done, Err(troubles(tasks))),
            None => (done, Ok(desired.len())),
            Some(step) if dry_run && *step != Step::Read => {
                (would(&toggle.observed, desired), Ok(desired.len()))
            }
            Some(_) => {
                let pause = self.paused.as_ref().map(|(_, failure)| failure.clone());
                let pause = pause.map(|failure| vec![Trouble::first(Operation::Update, failure)]);
                (done, Err(pause.unwrap_or_else(|| troubles(tasks))))
            }
        }
    }

    /// What `max_removal` holds back, and the number of users afterwards.
    pub(crate) fn held_back_change(&self, id: ToggleId) -> Option<(Outcome, usize)> {
        let toggle = &self.toggles[id];
        let desired = toggle.desired.as_deref()?;
        Some((would(&toggle.observed, desired), desired.len()))
    }

    fn next_retry<const N: usize>(&self, tasks: [(&Task, Key); N]) -> Option<Instant> {
        let waiting = tasks.iter().filter(|(task, _)| task.is_waiting());
        let retries = waiting.filter_map(|(_, key)| self.timers.get(Timer::Task(*key)));
        retries.min()
    }
}

/// What a real run would do.
fn would(observed: &Observed, desired: &Users) -> Outcome {
    let sent = match Change::of_all(&observed.changes_to(desired)) {
        None => Sent::Whole,
        Some(change) if change.is_empty() && observed.is_in_order() => Sent::Nothing,
        Some(change) => Sent::Change(change),
    };
    Outcome {
        created: *observed == Observed::Absent,
        described: matches!(observed, Observed::Present(present) if !present.described),
        sent,
    }
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
