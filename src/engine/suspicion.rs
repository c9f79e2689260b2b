//! OPA is not where it was thought to be: OPAL is asked again.

use crate::error::Failure;
use crate::job::SourceId;

use super::task::State;
use super::{Engine, Key, Moment, Timer};

impl Engine {
    /// OPA does not answer, or not to us, or somebody else does: its address or token may have
    /// changed.
    pub(super) fn suspect(&mut self, id: SourceId, failure: &Failure, now: Moment) {
        if !failure.is_unreachable() && !failure.is_of_a_stranger() {
            return;
        }
        let source = &mut self.sources[id];
        source.passes.ready_until = None;
        let early = source.suspect_after.is_some_and(|after| now.at < after);
        if source.discovers && source.discover.is_idle() && !early {
            source.suspect_after = Some(now.at + source.suspicion.fail(None, now.chance));
            self.begin(Key::Discover(id));
        }
    }

    /// Its users are to be had elsewhere now, or not at all: whatever is asked of the OPA, or looked up
    /// in the document, of before says nothing any more.
    pub(super) fn outdate_answers(&mut self, id: SourceId) {
        for toggle in self.toggles_of(id) {
            let query = &mut self.toggles[toggle].query;
            query.outdate();
            // A wait that was asked for there holds up nothing here.
            if query.is_waiting() {
                query.state = State::Idle;
                self.timers.cancel(Timer::Task(Key::Query(toggle)));
            }
        }
        let passes = &mut self.sources[id].passes;
        passes.ready.outdate();
        passes.ready_until = None;
    }

    /// A query was answered: OPA is where it was thought to be.
    pub(super) fn trust(&mut self, id: SourceId) {
        self.sources[id].suspicion.reset();
        self.sources[id].suspect_after = None;
    }
}
