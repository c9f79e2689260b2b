//! A reload: the engine of a new configuration takes over the state that is still valid.
//!
//! The old engine ends its requests, and leaves the sources that are gone. The new one waits for the old
//! one's requests at the target, so that a toggle never has two in flight.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::job::{SourceId, Terms, ToggleId};

use super::source::Source;
use super::task::State;
use super::{Engine, Key, Mode, Moment, Timer};

impl Engine {
    /// An engine for another configuration, which has not started. It takes over the state of objects whose
    /// configuration is the same.
    pub(crate) fn succeed(
        &self,
        config: Arc<Config>,
        mode: Mode,
        terms: Terms,
        now: Instant,
    ) -> Engine {
        let mut next = Engine::new(config, mode, terms);
        next.started = self.started;
        next.inherit_timer(self, Timer::Resync, Timer::Resync);
        if self.has_same_target(&next) {
            next.paused = self.paused.clone();
            next.inherit_timer(self, Timer::Target, Timer::Target);
            next.slots.inherit(&self.slots);
        }
        for id in 0..next.sources.len() {
            let source = &next.config.sources[id];
            let mut known = self.config.sources.iter();
            let Some(old) = known.position(|known| known.id == source.id) else {
                continue;
            };
            if self.config.sources[old] == *source {
                next.inherit_source(id, self, old);
            } else {
                // Another configuration does not load anything into an OPA that was restarted.
                let passes = &mut next.sources[id].passes;
                passes.inherit_loading(&self.sources[old].passes);
                passes.loading.moved();
            }
        }
        for (id, old_id) in next.in_common_with(self) {
            next.inherit_toggle(id, self, old_id);
        }
        next.wait_for(self, now);
        next
    }

    /// Waits for the requests that any older engine has in flight at the target.
    pub(crate) fn wait_for(&mut self, old: &Engine, now: Instant) {
        for (id, old_id) in self.in_common_with(old) {
            let known = &old.toggles[old_id];
            if known.apply.is_running() && !self.toggles[id].waits_for_old {
                self.toggles[id].wait_for_old(known);
                if self.has_same_target(old) && old.slots.holds(old_id) {
                    self.slots.take(id, now, known.apply.hung());
                }
            }
        }
    }

    /// The toggles that both engines have, by their ids here and there.
    fn in_common_with(&self, other: &Engine) -> Vec<(ToggleId, ToggleId)> {
        let others = other.config.toggles.iter().enumerate();
        let others: BTreeMap<&str, ToggleId> = others
            .map(|(id, toggle)| (toggle.key.as_str(), id))
            .collect();
        let toggles = self.config.toggles.iter().enumerate();
        let common = toggles.map(|(id, toggle)| Some((id, *others.get(toggle.key.as_str())?)));
        common.flatten().collect()
    }

    /// Leaves the sources for which the next configuration has no registration with the same key, which
    /// replaces ours.
    pub(crate) fn retire(&mut self, next: &Engine) {
        let key = |source: &Source| Some(source.terms.registration.as_ref()?.key.clone());
        for source in &mut self.sources {
            let stays = next.sources.iter().any(|it| key(it) == key(source));
            source.registers &= !stays;
        }
        self.stop();
    }

    pub(super) fn ended(&mut self, id: ToggleId, now: Moment) {
        let toggle = &mut self.toggles[id];
        if std::mem::take(&mut toggle.waits_for_old) {
            toggle.apply.state = State::Idle;
            self.slots.release(id);
            self.decide_again(id, now);
        }
    }

    fn has_same_target(&self, other: &Engine) -> bool {
        self.config.target == other.config.target
    }

    fn inherit_source(&mut self, id: SourceId, old: &Engine, old_id: SourceId) {
        let known = &old.sources[old_id];
        // Without toggles, a failure would never end.
        let is_queried = !self.toggles_of(id).is_empty();
        let source = &mut self.sources[id];
        source.inherit(known);
        match is_queried {
            true => source.passes.inherit(&known.passes),
            false => source.passes.inherit_loading(&known.passes),
        }
        for (task, key, old_key) in [
            (&known.discover, Key::Discover(id), Key::Discover(old_id)),
            (&known.register, Key::Register(id), Key::Register(old_id)),
            (&known.watch, Key::Watch(id), Key::Watch(old_id)),
            (&known.count, Key::Count(id), Key::Count(old_id)),
            (&known.load, Key::Load(id), Key::Load(old_id)),
        ] {
            if task.is_running() {
                // The old engine gets the response.
                self.begin(key);
            } else {
                self.inherit_timer(old, Timer::Task(key), Timer::Task(old_key));
            }
        }
        if is_queried {
            self.inherit_wait(old, Key::Ready(id), Key::Ready(old_id));
        }
    }

    fn inherit_toggle(&mut self, id: ToggleId, old: &Engine, old_id: ToggleId) {
        let (known, readable) = (&old.toggles[old_id], self.terms.readable);
        let same_target = self.has_same_target(old);
        // Whatever the requests contain.
        let same_place = self.config.target.place() == old.config.target.place();
        let same_spec = self.config.toggles[id].spec == old.config.toggles[old_id].spec;
        let rule = &self.config.toggles[id].users_policy;
        let old_rule = &old.config.toggles[old_id].users_policy;
        let same_policy = (&rule.package, &rule.rule) == (&old_rule.package, &old_rule.rule)
            && self.config.sources[rule.source] == old.config.sources[old_rule.source];
        let toggle = &mut self.toggles[id];
        // Until the rule is queried.
        toggle.news = u64::from(known.behind.is_some());
        toggle.behind = known.behind;
        toggle.is_late = known.is_late;
        if same_policy {
            toggle.query = known.query.inherit_hurried();
            toggle.answer = known.answer.clone();
        }
        if same_target {
            toggle.apply = known.apply.inherit_hurried();
            toggle.exists = known.exists;
            toggle.observed = known.observed.clone();
            toggle.due = known.due;
            toggle.last_success = known.last_success;
            toggle.fresh = known.fresh;
            if !same_spec {
                toggle.observed.forget(readable);
            }
        }
        if same_place {
            toggle.history = known.history.clone();
            toggle.unsure = known.unsure;
            self.inherit_timer(old, Timer::Confirm(id), Timer::Confirm(old_id));
        }
        self.inherit_timer(old, Timer::Late(id), Timer::Late(old_id));
        self.inherit_wait(old, Key::Query(id), Key::Query(old_id));
        self.inherit_wait(old, Key::Apply(id), Key::Apply(old_id));
    }

    /// The wait of a task, unless it starts over.
    fn inherit_wait(&mut self, old: &Engine, key: Key, old_key: Key) {
        if !self.task(key).is_idle() {
            self.inherit_timer(old, Timer::Task(key), Timer::Task(old_key));
        }
    }

    fn inherit_timer(&mut self, old: &Engine, timer: Timer, old_timer: Timer) {
        if let Some(at) = old.timers.get(old_timer) {
            self.timers.set(timer, at);
        }
    }
}
