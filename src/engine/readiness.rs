//! Whether an OPA has loaded everything: until it has, nothing is asked of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::job::{Job, Readiness, SourceId};

use super::task::State;
use super::{Cause, Engine, Key, Moment, Notice, Thing, Timer};

/// How long one answer about its readiness is taken for OPA's state. Short, because an OPA that is
/// restarted in the middle of a pass answers empty sets.
const READY: Duration = Duration::from_millis(250);

/// How long to wait at least, and at most, before asking an OPA again that is not ready.
const HOLD: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

/// How long OPA may take to become ready before that counts as a failure.
const LONG_HOLD: Duration = Duration::from_secs(60);

impl Engine {
    /// Asks each OPA that has queries waiting, and whose state is not known, if it is ready.
    pub(super) fn ask_if_ready(&mut self, now: Instant) {
        for (id, source) in self.sources.iter_mut().enumerate() {
            let (Some(origin), passes) = (&source.origin, &mut source.passes) else {
                continue;
            };
            if !passes.queries.is_empty() && !passes.is_ready(now) && passes.ready.is_idle() {
                passes.ready.state = State::Running;
                self.urgent.push_back(Job::Ready(id, Arc::clone(origin)));
            }
        }
    }

    pub(super) fn heard_if_ready(
        &mut self,
        id: SourceId,
        result: Result<Readiness, Failure>,
        now: Moment,
    ) {
        if self.sources[id].passes.ready.is_void() {
            return;
        }
        let readiness = match result {
            Ok(readiness) => readiness,
            Err(failure) => {
                self.suspect(id, &failure, now);
                return self.failed(Key::Ready(id), "readiness query", failure, now);
            }
        };
        let tells = &mut self.sources[id].passes.tells;
        let ready = match readiness {
            Readiness::Ready => true,
            Readiness::NotReady => false,
            Readiness::Untold => !*tells,
        };
        *tells |= readiness != Readiness::Untold;
        if !ready {
            return self.hold(id, now);
        }
        let was_sure = self.sources[id].passes.is_sure();
        self.succeeded(Key::Ready(id));
        self.sources[id].passes.held_since = None;
        if !was_sure {
            // What was asked before OPA was restarted is out of date.
            self.ask_for_pass(id, Cause::Ready, now);
        }
        self.sources[id].passes.ready_until = Some(now.at + READY);
    }

    /// OPA is not ready: asks again soon. In a single pass, and after a long time, it is a failure.
    fn hold(&mut self, id: SourceId, now: Moment) {
        self.touched.insert(Thing::Source(id));
        let name = self.source_name(id);
        let passes = &mut self.sources[id].passes;
        if passes.held_since.is_none() {
            self.notices.push(Notice::Held { name });
        }
        let held = now.at - *passes.held_since.get_or_insert(now.at);
        if held >= LONG_HOLD || self.until().is_some() {
            self.failed(Key::Ready(id), "readiness query", Failure::not_ready(), now);
        }
        let ready = &mut self.sources[id].passes.ready;
        if !ready.has_given_up() {
            ready.state = State::Waiting { asked: false };
            let wait = held.clamp(HOLD.0, HOLD.1);
            self.timers.set(Timer::Task(Key::Ready(id)), now.at + wait);
        }
    }
}
