//! What the engine knows, for the status and the report.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::job::{Operation, SourceId, ToggleId};
use crate::plan::{Observed, Step};
use crate::users::{Change, Users};

use super::task::{Task, Trouble};
use super::{Engine, Key, Mode, Subject, Timer};

/// What was done, or would be done, about a toggle at the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// It was created.
    pub created: bool,
    /// Its metadata were sent.
    pub described: bool,
    /// Its users were sent.
    pub sent: Sent,
}

/// Which users were sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sent {
    /// None: the target had them.
    #[default]
    Nothing,
    /// All, because it is not known what the target had.
    Whole,
    /// Those that differ from what the target had.
    Change(Arc<Change>),
}

impl Sent {
    /// The change, where it is known.
    pub fn as_change(&self) -> Option<&Change> {
        match self {
            Sent::Change(change) => Some(change),
            Sent::Nothing | Sent::Whole => None,
        }
    }
}

/// The state of a source, of the target, of a toggle, or of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is wrong.
    Ok,
    /// Not everything was discovered, registered and created yet.
    Starting,
    /// A source is being discovered, or registered with.
    Connecting,
    /// A source answers, and calls back.
    Connected,
    /// A source's OPA has not loaded everything, so that nothing is applied.
    NotReady,
    /// The target wants to be left alone.
    Paused,
    /// A toggle's users are not known yet.
    Waiting,
    /// The target is being asked, or told, about a toggle.
    Syncing,
    /// The target has the users that the policy allows.
    InSync,
    /// `max_removal` forbids the change.
    Held,
    /// Something fails.
    Failing,
}

/// A source, as it is now.
#[derive(Clone, Debug)]
pub struct SourceView {
    /// Its state.
    pub state: State,
    /// What goes wrong.
    pub troubles: Vec<Trouble>,
    /// When a pass last ended with all of its answers.
    pub last_success: Option<Instant>,
    /// When something that failed is tried again.
    pub next_retry: Option<Instant>,
}

/// A toggle, as it is now.
#[derive(Clone, Debug)]
pub struct ToggleView {
    /// Its state.
    pub state: State,
    /// How many users the last good answer had.
    pub users: Option<usize>,
    /// What goes wrong.
    pub troubles: Vec<Trouble>,
    /// When it was last known to be in sync.
    pub last_success: Option<Instant>,
    /// When what failed is tried again.
    pub next_retry: Option<Instant>,
}

/// The target, as it is now.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// Its state.
    pub state: State,
    /// Until when it wants to be left alone.
    pub paused_until: Option<Instant>,
    /// Something waits for the end of the pause, because of this.
    pub held_up: Option<Failure>,
    /// A resync takes longer than the time from one to the next.
    pub is_overdue: bool,
}

impl Engine {
    /// Whether every source was discovered and registered with, and every toggle created, once.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// A source, as it is now.
    pub fn source(&self, id: SourceId) -> SourceView {
        let source = &self.sources[id];
        let tasks = [
            (&source.discover, Key::Discover(id)),
            (&source.register, Key::Register(id)),
            (&source.watch, Key::Watch(id)),
            (&source.count, Key::Count(id)),
            (&source.load, Key::Load(id)),
            (&source.passes.ready, Key::Ready(id)),
        ];
        let troubles = troubles(tasks.iter().map(|(task, _)| *task));
        let state = if !troubles.is_empty() || source.passes.unanswered {
            State::Failing
        } else if source.passes.held_since.is_some() {
            State::NotReady
        } else if source.is_connected() {
            State::Connected
        } else {
            State::Connecting
        };
        SourceView {
            state,
            troubles,
            last_success: source.passes.last,
            next_retry: self.next_retry(tasks),
        }
    }

    /// A toggle, as it is now.
    pub fn toggle(&self, id: ToggleId) -> ToggleView {
        let toggle = &self.toggles[id];
        let tasks = [
            (&toggle.query, Key::Query(id)),
            (&toggle.apply, Key::Apply(id)),
        ];
        let mut troubles = troubles(tasks.iter().map(|(task, _)| *task));
        if toggle.is_late && troubles.is_empty() {
            troubles.push(self.lateness());
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
        ToggleView {
            state,
            users: toggle.answer.as_deref().map(Users::len),
            troubles,
            last_success: toggle.last_success,
            next_retry: self.next_retry(tasks),
        }
    }

    /// The target, as it is now.
    pub fn target(&self) -> TargetView {
        let waits = self.toggles.iter().any(|toggle| toggle.apply.is_queued());
        let (end, failure) = self.paused.clone().unzip();
        let is_overdue = self.resync.as_ref().is_some_and(|resync| resync.is_overdue);
        TargetView {
            state: match is_overdue {
                _ if end.is_some() => State::Paused,
                true => State::Failing,
                false => State::Ok,
            },
            paused_until: end,
            held_up: failure.filter(|_| waits),
            is_overdue,
        }
    }

    /// What a single pass did about a toggle, or would have done, and how many users it has then; where
    /// it did not come to the end, all that went wrong, for the toggle and its source: nothing where
    /// the run was ended before.
    pub fn outcome(&self, id: ToggleId) -> (Outcome, Result<usize, Vec<Trouble>>) {
        let toggle = &self.toggles[id];
        let source = &self.sources[self.config.toggles[id].users_policy.source];
        let own = [&toggle.query, &toggle.apply].into_iter();
        let troubles = || troubles(own.chain([&source.discover, &source.passes.ready]));
        let done = toggle.outcome.clone();
        let Some(desired) = &toggle.desired else {
            return (done, Err(troubles()));
        };
        let dry_run = matches!(self.mode, Mode::Once { dry_run: true, .. });
        let steps = toggle.observed.steps(Some(desired), self.terms.readable);
        match steps.first() {
            _ if toggle.apply.trouble.is_some() => (done, Err(troubles())),
            None => (done, Ok(desired.len())),
            Some(step) if dry_run && *step != Step::Read => {
                (would(&toggle.observed, desired), Ok(desired.len()))
            }
            Some(_) => {
                let paused = self.pause_trouble().map(|pause| vec![pause]);
                (done, Err(paused.unwrap_or_else(troubles)))
            }
        }
    }

    /// What `max_removal` holds back, and how many users there would be.
    pub fn held_back_change(&self, id: ToggleId) -> Option<(Outcome, usize)> {
        let toggle = &self.toggles[id];
        let desired = toggle.desired.as_deref()?;
        Some((would(&toggle.observed, desired), desired.len()))
    }

    /// That a change has not arrived.
    fn lateness(&self) -> Trouble {
        Trouble {
            operation: Operation::Update,
            failure: Failure::late(),
            count: 1,
        }
    }

    fn pause_trouble(&self) -> Option<Trouble> {
        let (_, failure) = self.paused.as_ref()?;
        Some(Trouble {
            operation: Operation::Update,
            failure: failure.clone(),
            count: 1,
        })
    }

    fn next_retry<const N: usize>(&self, tasks: [(&Task, Key); N]) -> Option<Instant> {
        let waiting = tasks.iter().filter(|(task, _)| task.is_waiting());
        waiting
            .filter_map(|(_, key)| self.timers.get(Timer::Task(*key)))
            .min()
    }
}

/// What a run that is not dry would do next.
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

fn troubles<'a>(tasks: impl Iterator<Item = &'a Task>) -> Vec<Trouble> {
    tasks.filter_map(|task| task.trouble.clone()).collect()
}

/// Why a pass is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The program has just connected to the source, for the first time or anew.
    Connected,
    /// OPAL called back.
    Callback,
    /// OPA is somewhere else than before.
    Moved,
    /// The file holds something else than before.
    Changed,
    /// OPA has loaded everything.
    Ready,
    /// OPA was written to, whether or not OPAL called back.
    Watch,
    /// `poll_interval`, or `sync --interval`.
    Poll,
    /// `resync_interval`.
    Resync,
    /// The configuration was read again.
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

/// An event for the log, and what it is about.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The source, toggle or target.
    pub subject: Subject,
    /// What happened to it.
    pub news: News,
}

/// What can happen to a source, a toggle or the target.
#[derive(Clone, Debug)]
pub enum News {
    /// A source's OPA is known.
    Discovered {
        /// OPA's address.
        opa: String,
    },
    /// OPAL will call us back.
    Registered,
    /// The registration is gone: OPAL was restarted, or somebody took it.
    Lost,
    /// OPAL has our registration and has never called, although there were changes to call for.
    Unheard {
        /// Where OPAL was told to call.
        address: String,
    },
    /// OPA has not loaded everything: nothing is applied.
    NotReady,
    /// OPA tells nothing of how far it has loaded.
    Untold,
    /// OPA was restarted, and OPAL does not report that it has loaded everything: from now on, what stays
    /// within the removal limit is applied.
    Unproven,
    /// OPA says that users are to lose a toggle, and it is not known whether it has loaded everything.
    Doubtful,
    /// OPA was restarted: nothing is applied until it has loaded everything.
    Restarted,
    /// A pass's queries are all answered.
    Pass {
        /// Why it ran.
        cause: Cause,
        /// How many toggles were asked for.
        toggles: usize,
        /// How many of them were created, or given other users, at the target.
        changed: usize,
        /// How many queries failed.
        failed: usize,
        /// How many had not been answered when the next pass began.
        late: usize,
        /// How long it took.
        took: Duration,
    },
    /// `max_removal` forbids an update, which would have done this.
    HeldBack(Failure),
    /// It does so no longer.
    Released,
    /// A toggle was created.
    Created,
    /// A toggle's users were set.
    Updated {
        /// Its users now.
        users: Arc<Users>,
        /// Who came and who went, where that is known.
        change: Option<Arc<Change>>,
    },
    /// A change has not arrived at the target for too long.
    Late {
        /// How long.
        after: Duration,
    },
    /// A resync takes longer than the time from one to the next.
    Overdue {
        /// How long it has taken.
        took: Duration,
        /// How many toggles it has not come to.
        left: usize,
    },
    /// Something failed.
    Failing {
        /// What fails.
        operation: Operation,
        /// How.
        failure: Failure,
        /// How often in a row.
        count: u32,
        /// When it is tried again.
        retry_in: Option<Duration>,
    },
    /// Something that failed will be tried again.
    Retry {
        /// What failed.
        operation: Operation,
        /// In how long.
        wait: Duration,
    },
    /// Something that failed works again.
    Mended {
        /// What failed.
        operation: Operation,
        /// How often it had failed.
        count: u32,
    },
    /// The target asked for a pause (429).
    Paused {
        /// How long.
        wait: Duration,
    },
}
