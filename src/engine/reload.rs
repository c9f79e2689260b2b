//! A reload: the engine of a new configuration takes over the state that is still valid.
//!
//! The old engine ends its requests, and leaves the sources that are gone. The new one waits for the old
//! one's requests at the targets, so that no part of a toggle ever has two in flight.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{Config, Rule};
use crate::job::{Part, RuleId, SourceId, TargetId, TargetTerms, Terms, ToggleId};

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
        for (id, old_id) in next.targets_in_common_with(self) {
            next.inherit_target(id, self, old_id);
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
        for id in 0..next.rules.len() {
            let mut known_before =
                (0..self.rules.len()).filter(|old| next.is_same_rule(id, self, *old));
            if let Some(old) = known_before.next() {
                next.inherit_rule(id, self, old);
            }
        }
        for (id, old_id) in next.toggles_in_common_with(self) {
            next.inherit_toggle(id, self, old_id);
        }
        next.wait_for(self, now);
        next
    }

    /// Waits for the requests that any older engine has in flight at a target.
    pub(crate) fn wait_for(&mut self, old: &Engine, now: Instant) {
        for (id, old_id) in self.toggles_in_common_with(old) {
            let known = &old.toggles[old_id];
            for (old_part, work) in known.works() {
                let Some(part) = self.part_like(id, old, old_id, old_part) else {
                    continue;
                };
                // What it waits for itself is in flight in an engine before it, which is asked too.
                let is_out = work.task.is_running() && !work.waits_for_old;
                if !is_out || self.toggles[id].work(part).waits_for_old {
                    continue;
                }
                let target = self.config.toggles[id].target;
                let readable = self.targets[target].terms.readable;
                self.toggles[id].wait_for_old(part, known, readable, now);
                let old_target = old.config.toggles[old_id].target;
                let is_out = old.targets[old_target].slots.holds(&(old_id, old_part));
                if is_out && self.is_same_target(target, old, old_target) {
                    let slots = &mut self.targets[target].slots;
                    slots.take((id, part), now, work.task.hung());
                }
            }
        }
    }

    /// This engine's name for a part of a toggle that an old engine names so.
    pub(crate) fn counterpart(
        &self,
        old: &Engine,
        toggle: ToggleId,
        part: Part,
    ) -> Option<(ToggleId, Part)> {
        let common = self.toggles_in_common_with(old);
        let (id, _) = common.into_iter().find(|(_, old)| *old == toggle)?;
        Some((id, self.part_like(id, old, toggle, part)?))
    }

    /// The same part of the same toggle: environments go by their names.
    fn part_like(&self, id: ToggleId, old: &Engine, old_id: ToggleId, part: Part) -> Option<Part> {
        let Part::Environment(number) = part else {
            return Some(part);
        };
        let name = &old.toggles[old_id].environments[number].name;
        let mut environments = self.toggles[id].environments.iter();
        let number = environments.position(|it| it.name == *name)?;
        Some(Part::Environment(number))
    }

    /// The targets that both engines have, by their ids here and there. One that only got another id is the
    /// same, even if its old id is another one's now.
    fn targets_in_common_with(&self, other: &Engine) -> BTreeMap<TargetId, TargetId> {
        type Alike<'a> = &'a dyn Fn(TargetId, TargetId) -> bool;
        let (ours, theirs) = (&self.config.targets, &other.config.targets);
        let has_same_id = |id: TargetId, known: TargetId| ours[id].id == theirs[known].id;
        let is_same = |id, known| self.is_same_target(id, other, known);
        let is_same_place =
            |id: TargetId, known: TargetId| ours[id].place() == theirs[known].place();
        let rounds: [Alike; 5] = [
            &|id, known| has_same_id(id, known) && is_same(id, known),
            &is_same,
            &|id, known| has_same_id(id, known) && is_same_place(id, known),
            &is_same_place,
            &has_same_id,
        ];
        let mut common: BTreeMap<TargetId, TargetId> = BTreeMap::new();
        for is_alike in rounds {
            for id in 0..ours.len() {
                let mut free = (0..theirs.len()).filter(|it| !common.values().any(|k| k == it));
                if !common.contains_key(&id)
                    && let Some(known) = free.find(|known| is_alike(id, *known))
                {
                    common.insert(id, known);
                }
            }
        }
        common
    }

    /// The toggles that both engines have, by their ids here and there.
    fn toggles_in_common_with(&self, other: &Engine) -> Vec<(ToggleId, ToggleId)> {
        let targets = self.targets_in_common_with(other);
        let others = other.config.toggles.iter().enumerate();
        let others: BTreeMap<(TargetId, &str), ToggleId> = others
            .map(|(id, toggle)| ((toggle.target, toggle.key.as_str()), id))
            .collect();
        let toggles = self.config.toggles.iter().enumerate();
        let common = toggles.map(|(id, toggle)| {
            let target = *targets.get(&toggle.target)?;
            Some((id, *others.get(&(target, toggle.key.as_str()))?))
        });
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

    pub(super) fn ended(&mut self, id: ToggleId, part: Part, now: Moment) {
        let work = self.toggles[id].work(part);
        if std::mem::take(&mut work.waits_for_old) {
            work.task.state = State::Idle;
            let target = self.config.toggles[id].target;
            self.targets[target].slots.release(&(id, part));
            self.decide_again(id, now);
        }
    }

    fn is_same_rule(&self, id: RuleId, other: &Engine, other_id: RuleId) -> bool {
        let source = |engine: &Engine, rule: &Rule| engine.config.sources[rule.source].clone();
        let (rule, known) = (&self.config.rules[id], &other.config.rules[other_id]);
        rule.is_same_at_its_source(known) && source(self, rule) == source(other, known)
    }

    /// Whether nothing but its id has changed.
    fn is_same_target(&self, id: TargetId, other: &Engine, other_id: TargetId) -> bool {
        let (target, known) = (&self.config.targets[id], &other.config.targets[other_id]);
        target.kind == known.kind && target.settings == known.settings
    }

    fn inherit_target(&mut self, id: TargetId, old: &Engine, old_id: TargetId) {
        self.inherit_timer(old, Timer::Resync(id), Timer::Resync(old_id));
        if self.is_same_target(id, old, old_id) {
            let known = &old.targets[old_id];
            self.targets[id].paused = known.paused.clone();
            self.targets[id].slots.inherit(&known.slots);
            self.inherit_timer(old, Timer::Pause(id), Timer::Pause(old_id));
        }
    }

    fn inherit_rule(&mut self, id: RuleId, old: &Engine, old_id: RuleId) {
        let known = &old.rules[old_id];
        self.rules[id].query = known.query.inherit_hurried();
        self.rules[id].answer = known.answer.clone();
        self.inherit_wait(old, Key::Query(id), Key::Query(old_id));
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
        let known = &old.toggles[old_id];
        let (config, old_config) = (&self.config.toggles[id], &old.config.toggles[old_id]);
        let same_target = self.is_same_target(config.target, old, old_config.target);
        let target = &self.config.targets[config.target];
        let same_place = target.place() == old.config.targets[old_config.target].place();
        let same_spec = config.spec == old_config.spec;
        let TargetTerms {
            readable,
            reads_first,
            ..
        } = self.targets[config.target].terms;
        // Until the rule is queried.
        let rule = &mut self.rules[config.rule];
        rule.news = rule.news.max(u64::from(known.behind.is_some()));
        let parts: Vec<(Part, Part)> = known
            .works()
            .filter_map(|(part, _)| Some((self.part_like(id, old, old_id, part)?, part)))
            .collect();
        let toggle = &mut self.toggles[id];
        toggle.behind = known.behind;
        toggle.is_late = known.is_late;
        if same_target {
            toggle.inherit(known);
        }
        for (part, old_part) in &parts {
            if let (Part::Environment(number), Part::Environment(old)) = (part, old_part) {
                let environment = &mut toggle.environments[*number];
                if same_target {
                    environment.observed = known.environments[*old].observed.clone();
                }
                if same_place {
                    environment.history = known.environments[*old].history.clone();
                    environment.unsure = known.environments[*old].unsure;
                }
            }
            if same_target {
                let work = toggle.work(*part);
                work.task = known.task(*old_part).inherit_hurried();
                work.unread = reads_first;
            }
        }
        if same_target && !same_spec {
            toggle.forget_spec(readable);
        }
        if same_place {
            self.inherit_timer(old, Timer::Confirm(id), Timer::Confirm(old_id));
        }
        self.inherit_timer(old, Timer::Late(id), Timer::Late(old_id));
        for (part, old_part) in parts {
            self.inherit_wait(old, Key::Apply(id, part), Key::Apply(old_id, old_part));
        }
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
