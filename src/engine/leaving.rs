//! The end of an engine: nothing new is asked for, and registrations are taken back.

use crate::error::Failure;
use crate::job::{Job, SourceId};

use super::{Engine, Notice, task};

impl Engine {
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        for job in std::mem::take(&mut self.urgent) {
            if let Job::Register(source) = job {
                self.sources[source].register.state = task::State::Idle;
            }
        }
        for source in 0..self.sources.len() {
            self.leave(source);
        }
    }

    /// On shutdown: takes the registration back, as soon as none is in flight.
    pub(super) fn leave(&mut self, id: SourceId) {
        let source = &mut self.sources[id];
        if source.registers && !source.register.is_running() {
            source.registers = false;
            self.urgent.push_back(Job::Leave(id));
        }
    }

    pub(super) fn left(&mut self, id: SourceId, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.notices.push(Notice::Failing {
                name: self.source_name(id),
                what: "leaving",
                failure,
                count: 1,
                retry_in: None,
            });
        }
    }
}
