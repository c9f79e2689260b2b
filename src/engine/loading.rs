//! How far a source's OPA has loaded: what it told before, and what proves that it has loaded everything
//! after it was restarted.
//!
//! What OPA and OPAL do was seen with OPAL 0.9.9 and OPA 1.9.0. OPA gives itself another id at each
//! start. After that, OPAL may send single changes before, or instead of, all the rest; neither OPA's
//! counters nor OPAL's own word that it is ready tell these apart. OPAL's reports do: the entries of
//! its base configuration, and no others, have the member `periodic_update_interval`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::job::{Evidence, Known, Load, Writes};

/// Where a load cannot be proven, how long to wait for the proof.
pub(super) const PROOF: Duration = Duration::from_secs(60);

/// How many loads of everything prove that one of them began after the restart: one may have been under
/// way, and its first half is lost.
const LOADS: u8 = 2;

/// How many processes are remembered: behind a load balancer they answer in turn.
const PROCESSES: usize = 16;

/// What is known of an OPA.
#[derive(Clone, Debug, Default)]
pub(super) struct Loading {
    /// The processes that have loaded everything.
    loaded: Arc<Vec<String>>,
    /// Whether OPA tells which process it is; none while it has not been asked.
    tells_process: Option<bool>,
    /// It said once whether it has loaded everything: where it no longer does, it was restarted.
    says: bool,
    /// What was written to it when it told last.
    writes: Option<Writes>,
    /// Data was written to it once, so that it has data to load.
    has_data: bool,
    /// OPAL loads entries periodically, apart from all others: no report is about everything.
    has_periodic_entries: bool,
    /// The first process, which was taken at its word: it may have been restarted before.
    taken_at_its_word: Option<String>,
    restart: Option<Restart>,
    /// The processes that were noticed as new, and when: those that answer in turn behind a load balancer
    /// come again, and must not put the end of the wait off for ever.
    noticed: Vec<(String, Instant)>,
}

/// A process that has not been seen to load everything.
#[derive(Clone, Debug)]
struct Restart {
    process: Option<String>,
    since: Instant,
    /// How often OPAL has loaded all data, and all policy, since then.
    data: u8,
    policy: u8,
    /// How often it has to.
    loads: u8,
    /// How often OPA has counted by then that its policies were listed.
    lists: u64,
}

/// What follows from what an OPA tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has loaded everything, or does not tell.
    Ready,
    /// It has not loaded everything since it was first seen.
    NotReady,
    /// It was restarted.
    Restarted,
    /// It was restarted, and is not known to have loaded everything.
    Unproven,
    /// It told before, and does not any more.
    Silent,
}

impl Loading {
    /// What is known already, and need not be asked.
    pub(super) fn known(&self) -> Known {
        Known {
            loaded: Arc::clone(&self.loaded),
            tells_process: self.tells_process != Some(false),
        }
    }

    /// Whether it is of a process that is known to have loaded everything.
    pub(super) fn trusts(&self, evidence: &Evidence) -> bool {
        let process = evidence.process.as_ref();
        process.is_some_and(|process| self.loaded.contains(process))
    }

    /// Whether it was restarted, and only changes within `max_removal` may be applied.
    pub(super) fn is_unproven(&self, now: Instant) -> bool {
        let restart = self.restart.as_ref();
        restart.is_some_and(|restart| now >= restart.since + PROOF)
    }

    /// Whether OPAL is to be asked to load everything.
    pub(super) fn wants_load(&self) -> bool {
        self.restart
            .as_ref()
            .is_some_and(|restart| !restart.is_complete())
    }

    /// Whether OPAL is to load all data once more at least.
    pub(super) fn wants_data(&self) -> bool {
        let restart = self.restart.as_ref();
        restart.is_some_and(|restart| restart.data < restart.loads)
    }

    /// Has the process that was taken at its word prove that it has loaded everything, where that has not
    /// been done; whether it has to.
    pub(super) fn demand_proof(&mut self, now: Instant) -> bool {
        let Some(process) = self.taken_at_its_word.take() else {
            return false;
        };
        Arc::make_mut(&mut self.loaded).retain(|loaded| *loaded != process);
        self.restart = Some(Restart::of(Some(process), now, LOADS, self.writes));
        true
    }

    /// Whether there is a process that was taken at its word.
    pub(super) fn lacks_proof(&self) -> bool {
        self.taken_at_its_word.is_some()
    }

    /// It is to be found elsewhere: what it tells is compared with nothing.
    pub(super) fn moved(&mut self) {
        self.tells_process = None;
        self.says = false;
        self.writes = None;
    }

    /// Takes note of what OPA tells.
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
            (None, Some(writes), Some(before)) => writes.fell_from(&before),
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
            self.taken_at_its_word = None;
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
            // What tells nothing may still be loading.
            if *says == Some(true) || writes.is_some() {
                self.taken_at_its_word = process.clone();
                self.trust(process);
            }
            return Verdict::Ready;
        };
        // Reports can be late, and of loads into the process before: this one counts its own.
        let is_counted = writes.is_none_or(|writes| writes.lists >= restart.lists);
        let has_policy = writes.is_none_or(|writes| writes.lists > 0);
        if !says_not && is_counted && restart.is_complete() && !self.has_periodic_entries {
            self.restart = None;
            self.trust(process);
            return Verdict::Ready;
        }
        // However long it takes: it certainly lacks something.
        let lacks_data = self.has_data && writes.is_some_and(|writes| writes.data == 0);
        match self.is_unproven(now) && !says_not && has_policy && !lacks_data {
            true => Verdict::Unproven,
            false => Verdict::NotReady,
        }
    }

    /// OPAL reports a load.
    pub(super) fn reported(&mut self, load: Load) {
        self.has_periodic_entries |= load == Load::Periodic;
        let Some(restart) = &mut self.restart else {
            return;
        };
        match load {
            Load::Data => restart.data = restart.data.saturating_add(1),
            Load::Nothing if !self.has_data => restart.data = restart.data.saturating_add(1),
            Load::Policy => restart.policy = restart.policy.saturating_add(1),
            Load::Nothing | Load::Periodic => {}
        }
    }

    /// OPAL says that it never loads data.
    pub(super) fn loads_no_data(&mut self) {
        if let Some(restart) = &mut self.restart {
            restart.data = restart.loads;
        }
    }

    /// When a process was noticed first; one that does not tell its id is always another.
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
    /// A restart that is noticed now, of a process that has counted these writes.
    fn of(process: Option<String>, now: Instant, loads: u8, writes: Option<Writes>) -> Restart {
        // One load can have begun before.
        let before = writes.map_or(0, |writes| writes.lists);
        let loads_listed = u64::from(loads);
        Restart {
            process,
            since: now,
            data: 0,
            policy: 0,
            loads,
            lists: loads_listed.max(before + loads_listed - 1),
        }
    }

    fn is_complete(&self) -> bool {
        self.data >= self.loads && self.policy >= self.loads
    }
}
