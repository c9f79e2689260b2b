//! A reload: the engine of a new configuration takes over the state that is still valid.
//!
//! The old engine ends its requests, and leaves the sources that are gone. The new one waits for the old
//! one's edits at the targets, so that a toggle is never edited by two.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::config::{Config, Rule, Toggle, successors};
use crate::job::{Allowed, Marked, Part, RuleId, SourceId, TargetId, Terms, ToggleId};

use super::source::Source;
use super::{Engine, Key, Mode, Moment, Timer, Why};

impl Engine {
    /// An engine for another configuration, which has not started. It takes over the state of objects whose
    /// configuration is the same.
    pub(crate) fn succeed(&self, config: Arc<Config>, mode: Mode, terms: Terms) -> Engine {
        let mut next = Engine::new(config, mode, terms);
        next.started = self.started;
        for environment in next.toggles.iter_mut().flat_map(|it| &mut it.environments) {
            environment.why = Why::Reload;
        }
        let successors = successors(&self.config.targets, &next.config.targets);
        for (old, id) in successors.iter().enumerate() {
            if let Some(id) = id {
                next.inherit_target(*id, self, old);
            }
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
        let now = Arc::clone(&next.config);
        let rules = now.rules.iter().enumerate();
        let rules: HashMap<&Rule, RuleId> = rules.map(|(id, rule)| (rule, id)).collect();
        for (old, rule) in self.config.rules.iter().enumerate() {
            let source = &self.config.sources[rule.source];
            let source = now.sources.iter().position(|it| it == source);
            let rule = source.map(|source| Rule {
                source,
                ..rule.clone()
            });
            if let Some(id) = rule.and_then(|rule| rules.get(&rule)) {
                next.inherit_rule(*id, self, old);
            }
        }
        for (id, old) in next.same_toggles(self) {
            next.inherit_toggle(id, self, old);
        }
        next.inherit_timer(self, Timer::Late, Timer::Late);
        next.wait_for(self);
        next
    }

    /// Waits for the edits that an older engine has in flight.
    pub(crate) fn wait_for(&mut self, old: &Engine) {
        let edited = old.edited();
        for id in 0..self.toggles.len() {
            for known in edited.get(&self.config.place_of(id)).into_iter().flatten() {
                self.toggles[id].wait_for(&old.toggles[*known]);
            }
        }
    }

    /// Goes on with the toggles that no older engine edits any longer.
    pub(crate) fn go_on<'e>(&mut self, older: impl Iterator<Item = &'e mut Engine>, now: Moment) {
        let mut edited = BTreeSet::new();
        for old in older {
            self.take_lost(old);
            edited.extend(old.edited().into_keys());
        }
        for id in 0..self.toggles.len() {
            let is_busy = self.toggles[id].is_busy;
            if is_busy && !edited.contains(&self.config.place_of(id)) {
                self.toggles[id].is_busy = false;
                self.decide_again(id, now);
            }
        }
    }

    /// Takes over the updates that an older engine has lost: only the current one tells what became of them.
    fn take_lost(&mut self, old: &mut Engine) {
        for (id, old_id) in self.same_toggles(old) {
            if !self.is_same_place(id, old, old_id) {
                continue;
            }
            for known in &mut old.toggles[old_id].environments {
                let toggle = &mut self.toggles[id];
                if let Some(number) = toggle.named(&known.name) {
                    let lost = known.lost.take();
                    let environment = &mut toggle.environments[number];
                    environment.lost = lost.or(environment.lost.take());
                }
            }
        }
    }

    /// The toggles that are being edited, by their places: several accounts can have the same one.
    fn edited(&self) -> BTreeMap<(String, &str), Vec<ToggleId>> {
        let mut edited: BTreeMap<_, Vec<ToggleId>> = BTreeMap::new();
        let toggles = self.toggles.iter().enumerate();
        for (id, _) in toggles.filter(|(_, toggle)| toggle.is_being_edited()) {
            edited.entry(self.config.place_of(id)).or_default().push(id);
        }
        edited
    }

    /// Leaves the sources for which the next configuration has no registration with the same key, which
    /// replaces ours.
    pub(crate) fn hand_over(&mut self, next: &mut Engine) {
        next.take_lost(self);
        let key = |source: &Source| Some(source.terms.registration.as_ref()?.key.clone());
        for source in &mut self.sources {
            let stays = next.sources.iter().any(|it| key(it) == key(source));
            source.registers &= !stays;
        }
        self.stop();
    }

    /// Whether nothing but its id has changed.
    fn is_same_target(&self, id: TargetId, other: &Engine, other_id: TargetId) -> bool {
        let (target, known) = (&self.config.targets[id], &other.config.targets[other_id]);
        target.kind == known.kind && target.settings == known.settings
    }

    /// The toggles that an older engine has too, with the ids that they have there.
    fn same_toggles(&self, old: &Engine) -> Vec<(ToggleId, ToggleId)> {
        let successors = successors(&old.config.targets, &self.config.targets);
        let toggles = self.config.toggles.iter().enumerate();
        let toggles: HashMap<_, ToggleId> = toggles
            .map(|(id, toggle)| ((toggle.target, sameness(&self.config, toggle)), id))
            .collect();
        let known = old.config.toggles.iter().enumerate();
        let same = known.filter_map(|(old_id, toggle)| {
            let target = successors[toggle.target]?;
            let id = toggles.get(&(target, sameness(&old.config, toggle)))?;
            Some((*id, old_id))
        });
        same.collect()
    }

    /// Whether a toggle is still where an older engine has it, such as in the same project.
    fn is_same_place(&self, id: ToggleId, old: &Engine, old_id: ToggleId) -> bool {
        let (toggle, known) = (&self.config.toggles[id], &old.config.toggles[old_id]);
        let kind = self.config.targets[toggle.target].kind;
        kind.is_same_toggle(&toggle.spec, &known.spec)
    }

    fn inherit_target(&mut self, id: TargetId, old: &Engine, old_id: TargetId) {
        self.inherit_timer(old, Timer::Resync(id), Timer::Resync(old_id));
        if self.is_same_target(id, old, old_id) {
            let known = &old.targets[old_id];
            self.targets[id].paused = known.paused.clone();
            self.targets[id].slots.inherit(&known.slots);
            self.inherit_timer(old, Timer::Pause(id), Timer::Pause(old_id));
            let kept = |config: &Config, id| -> Vec<Marked> {
                let toggles = config.toggles_at(id);
                let kept = toggles.filter(|(_, toggle)| toggle.rule.is_some());
                kept.map(|(_, toggle)| toggle.place()).collect()
            };
            // The file of a reload says nothing of those to retire.
            let retired = self.config.retired_at(id);
            let mut left = old.config.retired_at(old_id).into_iter();
            let knows_all = left.all(|it| retired.contains(&it));
            if knows_all && kept(&self.config, id) == kept(&old.config, old_id) {
                let is_over = known.find.is_idle() || known.find.is_waiting();
                self.targets[id].has_looked = known.has_looked && is_over;
                self.targets[id].find = known.find.inherit();
                self.inherit_wait(old, Key::Find(id), Key::Find(old_id));
            }
        }
    }

    fn inherit_rule(&mut self, id: RuleId, old: &Engine, old_id: RuleId) {
        let known = &old.rules[old_id];
        self.rules[id].query = known.query.inherit_hurried();
        self.rules[id].answer = known.answer.clone().map(|answer| Allowed {
            // The next one is read by the new configuration.
            digest: None,
            ..answer
        });
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
        let terms = &self.targets[config.target].terms;
        let is_known = config.spec == old_config.spec;
        let same_place = self.is_same_place(id, old, old_id);
        let answer_of = |engine: &Engine, rule: Option<RuleId>| {
            rule.and_then(|rule| engine.rules[rule].users().cloned())
        };
        let answers = (
            answer_of(self, config.rule),
            answer_of(old, old_config.rule),
        );
        let same_users = matches!(answers, (Some(one), Some(other)) if Arc::ptr_eq(&one, &other));
        // Until the rule is queried.
        if let Some(rule) = config.rule {
            let rule = &mut self.rules[rule];
            rule.news = rule.news.max(u64::from(known.behind.is_some()));
        }
        let toggle = &mut self.toggles[id];
        toggle.behind = known.behind;
        toggle.is_late = known.is_late;
        if same_target {
            toggle.inherit(known, is_known, terms.readable);
            toggle.unread = terms.reads_first;
        }
        self.inherit_timer(old, Timer::Confirm(id), Timer::Confirm(old_id));
        for part in [Part::Whole, Part::Metadata] {
            self.inherit_wait(old, Key::Apply(id, part), Key::Apply(old_id, part));
        }
        for number in 0..self.toggles[id].environments.len() {
            let environment = &mut self.toggles[id].environments[number];
            let Some(old_number) = known.named(&environment.name) else {
                continue;
            };
            if same_place {
                environment.history = known.environments[old_number].history.clone();
                environment.unsure = known.environments[old_number].unsure;
            }
            if same_place && same_target && same_users {
                environment.why = known.environments[old_number].why;
            }
            let parts = [number, old_number].map(Part::Environment);
            self.inherit_wait(old, Key::Apply(id, parts[0]), Key::Apply(old_id, parts[1]));
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

/// What says that toggles of two configurations are the same at a target: the key, and of one that is retired, the
/// project, because another one can have the same key.
fn sameness<'c>(config: &'c Config, toggle: &'c Toggle) -> (&'c str, Option<&'c str>) {
    let kind = config.targets[toggle.target].kind;
    let project = toggle.rule.is_none().then(|| kind.project_of(&toggle.spec));
    (&toggle.key, project.map(Option::unwrap_or_default))
}
