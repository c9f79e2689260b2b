//! How far a source's OPA has loaded, and what proves after a restart that it has loaded everything.
//!
//! Seen with OPAL 0.9.9 and OPA 1.9.0: OPA has another id after each start. OPAL may then send single
//! changes before, or instead of, all the rest, and neither OPA's counters nor OPAL's readiness show the
//! difference. OPAL's reports do: only entries of its base configuration have `periodic_update_interval`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::job::{Evidence, Known, Load, Writes};

/// How long to wait for the proof of a load.
pub(super) const PROOF: Duration = Duration::from_secs(60);

/// How many loads prove that one began after the restart: the first half of one in progress is lost.
const LOADS: u8 = 2;

/// How many processes are remembered, which respond in turn behind a load balancer.
const PROCESSES: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Loading {
    /// Processes that have loaded everything.
    loaded: Arc<Vec<String>>,
    /// Whether OPA reports its id; none before the first response.
    tells_process: Option<bool>,
    /// It has reported whether it has loaded everything: if it no longer does, it was restarted.
    says: bool,
    /// As last reported.
    writes: Option<Writes>,
    /// Data was written to it once, so there is data to load.
    has_data: bool,
    /// OPAL loads some entries periodically and separately, so no report is about everything.
    has_periodic_entries: bool,
    /// The first process, which was trusted without proof: it may have restarted before.
    unproven: Option<String>,
    restart: Option<Restart>,
    /// When each new process was first noticed: those that respond in turn must not postpone the end of the
    /// wait for ever.
    noticed: Vec<(String, Instant)>,
}

/// A process that has not yet loaded everything.
#[derive(Clone, Debug)]
struct Restart {
    process: Option<String>,
    since: Instant,
    /// Loads of all data, and of all policy, that OPAL has reported since.
    data: u8,
    policy: u8,
    /// How many of each are needed.
    loads: u8,
    /// OPA's count of listings of its policies by then.
    lists: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has loaded everything, or does not report how far.
    Ready,
    NotReady,
    Restarted,
    /// It was restarted, and has not proven that it has loaded everything.
    Unproven,
    /// It no longer reports how far it has loaded.
    Silent,
}

impl Loading {
    pub(super) fn known(&self) -> Known {
        Known {
            loaded: Arc::clone(&self.loaded),
            tells_process: self.tells_process != Some(false),
        }
    }

    pub(super) fn trusts(&self, evidence: &Evidence) -> bool {
        let process = evidence.process.as_ref();
        process.is_some_and(|process| self.loaded.contains(process))
    }

    /// Whether only changes within `max_removal` may be applied.
    pub(super) fn is_unproven(&self, now: Instant) -> bool {
        let restart = self.restart.as_ref();
        restart.is_some_and(|restart| now >= restart.since + PROOF)
    }

    /// Whether OPAL needs to load everything again.
    pub(super) fn wants_load(&self) -> bool {
        let restart = self.restart.as_ref();
        restart.is_some_and(|restart| !restart.is_complete())
    }

    /// Whether OPAL needs to load all data again.
    pub(super) fn wants_data(&self) -> bool {
        let restart = self.restart.as_ref();
        restart.is_some_and(|restart| restart.data < restart.loads)
    }

    /// Whether a report seems to be lost: if two are due at the same time, OPAL 0.9.9 can send one of them twice
    /// and the other one never (`callbacks/reporter.py`).
    pub(super) fn lacks_report(&self) -> bool {
        let lacks = |restart: &Restart| {
            let (few, many) = (
                restart.data.min(restart.policy),
                restart.data.max(restart.policy),
            );
            few < restart.loads && many >= restart.loads && many - few >= 2
        };
        self.restart.as_ref().is_some_and(lacks)
    }

    /// Demands the proof that was not needed at first; false if there is nothing to prove.
    pub(super) fn demand_proof(&mut self, now: Instant) -> bool {
        let Some(process) = self.unproven.take() else {
            return false;
        };
        Arc::make_mut(&mut self.loaded).retain(|loaded| *loaded != process);
        self.restart = Some(Restart::of(Some(process), now, LOADS, self.writes));
        true
    }

    pub(super) fn lacks_proof(&self) -> bool {
        self.unproven.is_some()
    }

    /// OPA has another address: its reports are not compared with earlier ones.
    pub(super) fn moved(&mut self) {
        self.tells_process = None;
        self.says = false;
        self.writes = None;
    }

    pub(super) fn judge(&mut self, evidence: &Evidence, now: Instant) -> Verdict {
        let Evidence {
            process,
            says,
            writes,
        } = evidence;
        if self.trusts(evidence) {
            return Verdict::Ready;
        }
        let told_process = self.tells_process == Some(true);
        if (told_process && process.is_none()) || (self.writes.is_some() && writes.is_none()) {
            return Verdict::Silent;
        }
        self.tells_process = Some(process.is_some());
        let before = std::mem::replace(&mut self.writes, *writes);
        let says_not = says.map_or(self.says, |ready| !ready);
        self.says |= says.is_some();
        self.has_data |= writes.is_some_and(|writes| writes.data > 0);
        let is_new = match (process, writes, before) {
            (Some(_), ..) => !self.loaded.is_empty(),
            // A count that drops is of another process.
            (None, Some(writes), Some(before)) => {
                writes.data < before.data
                    || writes.policies < before.policies
                    || writes.lists < before.lists
            }
            _ => false,
        };
        let is_known = |restart: &Restart| process.is_none() || restart.process == *process;
        let restarted = match &self.restart {
            Some(restart) if is_known(restart) && !(process.is_none() && is_new) => false,
            Some(_) => true,
            None => is_new,
        };
        if restarted {
            let since = self.first_noticed(process.as_ref(), now);
            let again = u8::from(self.restart.is_some());
            self.restart = Some(Restart {
                since,
                ..Restart::of(process.clone(), now, LOADS + again, *writes)
            });
            self.unproven = None;
            if !self.is_unproven(now) {
                return Verdict::Restarted;
            }
        }
        let Some(restart) = &self.restart else {
            // It is seen for the first time.
            let lacks_data = before.is_none() && writes.is_some_and(|writes| writes.data == 0);
            if says_not || lacks_data {
                self.writes = before;
                return Verdict::NotReady;
            }
            // Without a report, it may still be loading.
            if *says == Some(true) || writes.is_some() {
                self.unproven = process.clone();
                self.trust(process);
            }
            return Verdict::Ready;
        };
        // A report can be late, and of a load into the previous process. The counts are of this one.
        let is_counted = writes.is_none_or(|writes| writes.lists >= restart.lists);
        let has_policy = writes.is_none_or(|writes| writes.lists > 0);
        if !says_not && is_counted && restart.is_complete() && !self.has_periodic_entries {
            self.restart = None;
            self.trust(process);
            return Verdict::Ready;
        }
        // Then it certainly lacks something, however long it takes.
        let lacks_data = self.has_data && writes.is_some_and(|writes| writes.data == 0);
        match self.is_unproven(now) && !says_not && has_policy && !lacks_data {
            true => Verdict::Unproven,
            false => Verdict::NotReady,
        }
    }

    pub(super) fn reported(&mut self, load: Load) {
        self.has_periodic_entries |= load == Load::Periodic;
        let Some(restart) = &mut self.restart else {
            return;
        };
        match load {
            Load::Nothing if self.has_data => {}
            Load::Data | Load::Nothing => restart.data = restart.data.saturating_add(1),
            Load::Policy => restart.policy = restart.policy.saturating_add(1),
            Load::Periodic => {}
        }
    }

    pub(super) fn loads_no_data(&mut self) {
        if let Some(restart) = &mut self.restart {
            restart.data = restart.loads;
        }
    }

    /// When a process was first noticed; one without an id is always new.
    fn first_noticed(&mut self, process: Option<&String>, now: Instant) -> Instant {
        let Some(process) = process else {
            return now;
        };
        let mut noticed = self.noticed.iter();
        if let Some((_, at)) = noticed.find(|(known, _)| known == process) {
            return *at;
        }
        if self.noticed.len() == PROCESSES {
            self.noticed.remove(0);
        }
        self.noticed.push((process.clone(), now));
        now
    }

    fn trust(&mut self, process: &Option<String>) {
        if let Some(process) = process {
            let loaded = Arc::make_mut(&mut self.loaded);
            if loaded.len() == PROCESSES {
                loaded.remove(0);
            }
            loaded.push(process.clone());
        }
    }
}

impl Restart {
    /// A restart that is noticed now, with the process's count of writes.
    fn of(process: Option<String>, now: Instant, loads: u8, writes: Option<Writes>) -> Restart {
        // One of the loads can have begun before.
        let before = writes.map_or(0, |writes| writes.lists);
        let listed = u64::from(loads);
        Restart {
            process,
            since: now,
            data: 0,
            policy: 0,
            loads,
            lists: listed.max(before + listed - 1),
        }
    }

    fn is_complete(&self) -> bool {
        self.data >= self.loads && self.policy >= self.loads
    }
}
