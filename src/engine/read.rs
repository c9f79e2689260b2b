//! Reads at the target: together, where it can tell of several toggles at once, else each by itself.

use crate::error::{Failure, Kind};
use crate::job::ToggleId;
use crate::plan::{Step, There};

use super::task::State;
use super::{Engine, Key, Moment, Timer};

impl Engine {
    /// The toggles to read along with this one: all that are to be read, or read again, and can be
    /// had in the same job.
    pub(super) fn batch(&mut self, first: ToggleId) -> Vec<ToggleId> {
        let batches = &self.terms.batches;
        if batches[first].is_none() || self.toggles[first].read_alone {
            return vec![first];
        }
        let others = (0..self.toggles.len()).filter(|id| {
            let toggle = &self.toggles[*id];
            *id != first
                && batches[*id] == batches[first]
                && !toggle.read_alone
                && (toggle.apply.state == State::Queued || toggle.apply.may_be_hurried())
                && self.permitted_step(*id) == Some(Step::Read)
        });
        let others: Vec<ToggleId> = others.collect();
        for id in &others {
            self.timers.cancel(Timer::Task(Key::Apply(*id)));
            self.set_running(*id);
        }
        if !others.is_empty() {
            self.steps.retain(|id| others.binary_search(id).is_err());
        }
        std::iter::once(first).chain(others).collect()
    }

    /// Reads of one job have ended; the place is one of theirs.
    pub(super) fn were_read(
        &mut self,
        results: Vec<(ToggleId, Result<There, Failure>)>,
        now: Moment,
    ) {
        for (id, _) in &results {
            self.places.release(*id);
        }
        for (id, result) in results {
            match result {
                Ok(There::Unknown) => self.was_not_told(id, now),
                Ok(there) => {
                    let toggle = &mut self.toggles[id];
                    toggle.read_alone = false;
                    toggle.exists |= matches!(there, There::Present(_));
                    toggle.there = there;
                    self.step_taken(id, "read", now);
                }
                Err(failure) => self.step_failed(id, "read", failure, now),
            }
        }
    }

    /// A read of several toggles told nothing of this one: it gets a job of its own, so that a request
    /// that hangs delays no other toggle, and that a 429 is heard before the next one goes out.
    fn was_not_told(&mut self, id: ToggleId, now: Moment) {
        let toggle = &mut self.toggles[id];
        if std::mem::replace(&mut toggle.read_alone, true) {
            let failure = Failure::new(Kind::Answer, "the target does not tell of it");
            return self.step_failed(id, "read", failure, now);
        }
        toggle.apply.state = State::Idle;
        self.advance(id, now);
    }
}
