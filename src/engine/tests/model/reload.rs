//! Reloads at any moment: engines that take over from each other, over one world.

use super::ledger::Ledger;
use super::remote::{Known, Remote, refuse};
use super::setup::{
    Dice, ENVIRONMENTS, Place, RULE_OF, RULES, SOURCE_OF, Setup, TARGET_OF, TARGETS, TOGGLES,
    everything, names, parts_of, terms_of, updates_of,
};
use super::*;
use crate::engine::Subject;
use crate::job::{Marked, RuleId, TargetId};
use crate::plan::Environment;

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    /// The policy allows other users, and OPAL calls back, if it knows us.
    Allow(RuleId, u8),
    Answer(usize),
    /// A request fails; what it asked for may be done all the same.
    Fail(usize, Failure, bool),
    /// The configuration is read again; what is different in it.
    Reload(Vec<Difference>),
    /// Somebody changes the users of a toggle by hand that is not in the configuration.
    Meddle(Place, u8),
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum Difference {
    /// A target is asked with another token.
    Token(TargetId, u8),
    /// It has another id; the target that had it gets this one's.
    Name(TargetId, u8),
    /// It goes, or comes back, with its toggles; one stays.
    Target(TargetId, bool),
    /// A toggle goes, or comes back.
    Toggle(ToggleId, bool),
    /// A toggle is described otherwise.
    Spec(ToggleId, u8),
    /// It is in other environments, or in the same ones in another order.
    Environments(ToggleId, u8),
    /// OPAL is asked with another token.
    Source(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let difference = prop_oneof![
        1 => (0..TARGETS, 0_u8..3).prop_map(|(id, token)| Difference::Token(id, token)),
        1 => (0..TARGETS, 0_u8..3).prop_map(|(id, name)| Difference::Name(id, name)),
        2 => (0..TARGETS, any::<bool>()).prop_map(|(id, stays)| Difference::Target(id, stays)),
        3 => (0..TOGGLES, any::<bool>()).prop_map(|(id, stays)| Difference::Toggle(id, stays)),
        1 => (0..TOGGLES, 0_u8..3).prop_map(|(id, text)| Difference::Spec(id, text)),
        2 => (0..TOGGLES, 0_u8..4).prop_map(|(id, which)| Difference::Environments(id, which)),
        1 => (0_u8..3).prop_map(Difference::Source),
    ];
    let place = prop::sample::select(places().collect::<Vec<_>>());
    prop_oneof![
        3 => (0..RULES, 1_u8..4).prop_map(|(rule, mask)| Step::Allow(rule, mask)),
        1 => (place, 1_u8..16).prop_map(|(place, mask)| Step::Meddle(place, mask)),
        10 => any::<usize>().prop_map(Step::Answer),
        3 => (any::<usize>(), any_failure(), any::<bool>())
            .prop_map(|(job, failure, done)| Step::Fail(job, failure, done)),
        2 => prop::collection::vec(difference, 0..3).prop_map(Step::Reload),
        3 => (1_u64..3000).prop_map(Step::Wait),
    ]
}

/// What a configuration says that can differ.
#[derive(Clone)]
struct File {
    /// By target: its id, its token, and whether it is there.
    targets: [(u8, u8, bool); TARGETS],
    /// By toggle: how it is described, its environments, and whether it is there.
    toggles: [(u8, Vec<usize>, bool); TOGGLES],
    source: u8,
    /// Targets that can be read have an owner.
    owned: bool,
}

impl File {
    fn change(&mut self, difference: Difference) {
        match difference {
            Difference::Token(id, token) => self.targets[id].1 = token,
            Difference::Name(id, name) => {
                let before = self.targets[id].0;
                let mut others = self.targets.iter_mut();
                if let Some(other) = others.find(|other| other.0 == name) {
                    other.0 = before;
                }
                self.targets[id].0 = name;
            }
            Difference::Target(id, stays) => {
                self.targets[id].2 = stays;
                self.targets[1 - id].2 |= !stays;
            }
            Difference::Toggle(id, stays) => self.toggles[id].2 = stays,
            Difference::Spec(id, text) => self.toggles[id].0 = text,
            Difference::Environments(id, which) if ENVIRONMENTS[id] == 2 => {
                let all = [vec![0], vec![1], vec![0, 1], vec![1, 0]];
                self.toggles[id].1 = all[usize::from(which)].clone();
            }
            Difference::Environments(..) => {}
            Difference::Source(token) => self.source = token,
        }
    }

    /// The configuration, and which of everything its targets and toggles are.
    fn read(&self, setup: &Setup) -> (Config, Ids) {
        let mut config = everything(setup);
        let mut targets: Vec<TargetId> = (0..TARGETS).filter(|id| self.targets[*id].2).collect();
        targets.sort_by_key(|id| self.targets[*id].0);
        let place = |target: TargetId| targets.iter().position(|it| *it == target);
        let is_there = |id: &ToggleId| self.toggles[*id].2 && place(TARGET_OF[*id]).is_some();
        let toggles = (0..TOGGLES).filter(is_there);
        let toggles: Vec<ToggleId> = toggles.collect();
        for (id, (name, token, _)) in self.targets.iter().enumerate() {
            let target = &mut config.targets[id];
            let headers = vec![("Authorization".to_owned(), Secret::new(token.to_string()))];
            target.id = format!("target-{name}");
            target
                .settings
                .set("extra_headers", Setting::Headers(headers));
        }
        for (id, (text, environments, _)) in self.toggles.iter().enumerate() {
            let spec = format!("{text} {environments:?}");
            config.toggles[id].spec.insert("name".into(), spec.into());
        }
        let token = Setting::Secret(Secret::new(self.source.to_string()));
        config.sources[0].settings.set("token", token);
        config.targets = targets
            .iter()
            .map(|id| config.targets[*id].clone())
            .collect();
        config.toggles = toggles
            .iter()
            .map(|id| config.toggles[*id].clone())
            .collect();
        for toggle in &mut config.toggles {
            toggle.target = place(toggle.target).unwrap();
        }
        let environments = toggles
            .iter()
            .map(|id| self.toggles[*id].1.clone())
            .collect();
        let ids = Ids {
            targets,
            kept: toggles.len(),
            toggles,
            environments,
            owned: self.owned,
        };
        (config, ids)
    }
}

/// By a configuration's own ids, which of all targets, toggles and environments these are.
struct Ids {
    targets: Vec<TargetId>,
    /// Those that are retired come last, after so many.
    kept: usize,
    toggles: Vec<ToggleId>,
    environments: Vec<Vec<usize>>,
    owned: bool,
}

impl Ids {
    fn terms(&self, config: &Config, setup: &Setup) -> Terms {
        let targets = self.targets.iter().enumerate().map(|(target, global)| {
            let toggles = config.toggles_at(target).map(|(id, _)| {
                let all = names(TOGGLES);
                let environments = self.environments[id].iter();
                (id, environments.map(|it| all[*it].clone()).collect())
            });
            TargetTerms {
                finds_marked: self.finds_marked(*global, setup),
                ..terms_of(setup.targets[*global], toggles)
            }
        });
        with_targets(config, targets.collect())
    }

    /// Those of a configuration which has toggles to retire too.
    fn retiring(&self, config: &Config) -> Ids {
        let retired = &config.toggles[self.kept..];
        let retired = retired
            .iter()
            .map(|it| it.key.strip_prefix("toggle-").unwrap());
        let retired: Vec<ToggleId> = retired.map(|id| id.parse().unwrap()).collect();
        let environments = self.environments[..self.kept].iter().cloned();
        let all = |id: &ToggleId| (0..ENVIRONMENTS[*id]).collect();
        Ids {
            targets: self.targets.clone(),
            kept: self.kept,
            environments: environments.chain(retired.iter().map(all)).collect(),
            toggles: [&self.toggles[..self.kept], &retired].concat(),
            owned: self.owned,
        }
    }

    fn finds_marked(&self, target: TargetId, setup: &Setup) -> bool {
        self.owned && setup.targets[target].readable
    }

    fn keeps(&self, id: ToggleId) -> bool {
        self.toggles[..self.kept].contains(&id)
    }

    /// What a target answers of a toggle that is retired: one that is gone, or lacks the mark, is off.
    fn of_retired(&self, id: ToggleId, observed: Observed, remote: &Remote) -> Observed {
        match observed {
            Observed::Unknown => Observed::Unknown,
            Observed::Present(present) if remote.is_marked(id) => Observed::Present(Present {
                described: true,
                ..present
            }),
            _ => {
                let off = (0..ENVIRONMENTS[id]).map(|_| Ok(Environment::of(Arc::default())));
                Observed::Present(Present {
                    described: true,
                    environments: off.collect(),
                })
            }
        }
    }

    /// The answer of a target that knows the mark.
    fn marked(&self, done: Done, remote: &Remote) -> Done {
        match done {
            Done::Find(target, Ok(_)) => {
                let left = (0..TOGGLES).filter(|id| TARGET_OF[*id] == target);
                let left = left.filter(|id| remote.is_marked(*id) && !self.keeps(*id));
                let left = left.map(|id| Marked::plain(&format!("toggle-{id}")));
                Done::Find(target, Ok(left.collect()))
            }
            Done::Read(target, results) => {
                let results = results
                    .into_iter()
                    .map(|(id, result)| match self.keeps(id) {
                        true => (id, result),
                        false => (id, result.map(|it| self.of_retired(id, it, remote))),
                    });
                Done::Read(target, results.collect())
            }
            other => other,
        }
    }

    /// A request in terms of everything.
    fn global(&self, job: Job) -> Job {
        match job {
            Job::Find(target) => Job::Find(self.targets[target]),
            Job::Read(target, ids) => {
                let ids = ids.iter().map(|id| self.toggles[*id]);
                Job::Read(self.targets[target], ids.collect())
            }
            Job::Apply(target, edits) => {
                let edits = edits.into_iter().map(|edit| {
                    let what = match edit.what {
                        What::Update(number, users) => {
                            What::Update(self.environments[edit.toggle][number], users)
                        }
                        other => other,
                    };
                    let toggle = self.toggles[edit.toggle];
                    Edit {
                        toggle,
                        what,
                        ..edit
                    }
                });
                Job::Apply(self.targets[target], edits.collect())
            }
            other => other,
        }
    }

    fn local_toggle(&self, id: ToggleId) -> ToggleId {
        self.toggles.iter().position(|it| *it == id).unwrap()
    }

    fn local_target(&self, id: TargetId) -> TargetId {
        self.targets.iter().position(|it| *it == id).unwrap()
    }

    fn local_part(&self, id: ToggleId, part: Part) -> Part {
        let Part::Environment(number) = part else {
            return part;
        };
        let mut environments = self.environments[id].iter();
        Part::Environment(environments.position(|it| *it == number).unwrap())
    }

    /// What a toggle's configuration does not name is not told.
    fn local_present(&self, id: ToggleId, present: Present) -> Present {
        let environments = self.environments[id].iter();
        let environments = environments.map(|it| present.environments[*it].clone());
        Present {
            environments: environments.collect(),
            ..present
        }
    }

    fn local_observed(&self, id: ToggleId, observed: Observed) -> Observed {
        match observed {
            Observed::Present(present) => Observed::Present(self.local_present(id, present)),
            other => other,
        }
    }

    /// The end of a request, as the engine that made it knows it.
    fn local(&self, done: Done) -> Done {
        match done {
            Done::Find(target, result) => Done::Find(self.local_target(target), result),
            Done::Read(target, results) => {
                let results = results.into_iter().map(|(id, result)| {
                    let id = self.local_toggle(id);
                    (id, result.map(|it| self.local_observed(id, it)))
                });
                Done::Read(self.local_target(target), results.collect())
            }
            Done::Apply(target, results) => {
                let results = results.into_iter().map(|(id, part, result)| {
                    let id = self.local_toggle(id);
                    let result = result.map(|applied| match applied {
                        Applied::Created(it) => Applied::Created(self.local_present(id, it)),
                        Applied::Found(it) => Applied::Found(self.local_observed(id, it)),
                        Applied::Done => Applied::Done,
                    });
                    (id, self.local_part(id, part), result)
                });
                Done::Apply(self.local_target(target), results.collect())
            }
            other => other,
        }
    }

    fn has(&self, (id, number): Place) -> bool {
        let mut toggles = self.toggles[..self.kept].iter().zip(&self.environments);
        toggles.any(|(it, environments)| *it == id && environments.contains(&number))
    }
}

struct World {
    setup: Setup,
    file: File,
    /// The last one is the current one; those before it end what they have in flight.
    engines: Vec<(Engine, Ids)>,
    /// With the number of the engine that made each, and what was known then.
    in_flight: Vec<(usize, Job, Known)>,
    /// By rule, the last good answer that the current engine has had.
    told: [Option<Users>; RULES],
    remote: Remote,
    ledger: Ledger,
    /// Toggles that were in the configuration once.
    ever: [bool; TOGGLES],
    now: Instant,
    dice: Dice,
}

/// Whom those have that were made by hand.
const BY_HAND: u8 = 8;

impl World {
    /// With these toggles; the others have been made by hand.
    fn new(setup: &Setup, owned: bool, there: [bool; TOGGLES]) -> World {
        let now = Instant::now();
        let environments = |id: usize| (0..ENVIRONMENTS[id]).collect();
        let file = File {
            targets: std::array::from_fn(|id| (id as u8, 0, true)),
            toggles: std::array::from_fn(|id| (0, environments(id), there[id])),
            source: 0,
            owned,
        };
        let mut remote = Remote::new(setup, now);
        for id in (0..TOGGLES).filter(|id| !there[*id]) {
            remote.put(id, BY_HAND);
        }
        let (config, ids) = file.read(setup);
        let terms = ids.terms(&config, setup);
        let mut world = World {
            setup: setup.clone(),
            ledger: Ledger::new(&remote),
            file,
            engines: vec![(Engine::new(Arc::new(config), Mode::Serve, terms), ids)],
            in_flight: Vec::new(),
            told: [const { None }; RULES],
            remote,
            ever: there,
            now,
            dice: Dice::new(setup.seed),
        };
        let moment = world.moment();
        world.current().start(moment);
        world.take_jobs();
        world
    }

    fn moment(&mut self) -> Moment {
        let (at, chance) = (self.now, self.dice.roll());
        Moment { at, chance }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Allow(rule, mask) => {
                self.remote.allow(rule, mask, self.now);
                let source = SOURCE_OF[rule];
                if self.remote.is_registered(source) {
                    let moment = self.moment();
                    self.current().handle(Event::Callback(source), moment);
                }
            }
            Step::Answer(_) | Step::Fail(..) if self.in_flight.is_empty() => {}
            Step::Answer(job) => self.end(job, None),
            Step::Fail(job, failure, done) => self.end(job, Some((failure, done))),
            Step::Reload(differences) => {
                let file = &mut self.file;
                differences.into_iter().for_each(|it| file.change(it));
                self.reload();
            }
            // One without the mark may be anything.
            Step::Meddle((id, _), _) if !self.remote.is_marked(id) || self.keeps(id) => {}
            Step::Meddle(place, mask) => self.remote.meddle(place, mask),
            Step::Wait(millis) => self.wait(Duration::from_millis(millis)),
        }
        self.take_jobs();
    }

    fn keeps(&self, id: ToggleId) -> bool {
        self.engines.last().unwrap().1.keeps(id)
    }

    fn current(&mut self) -> &mut Engine {
        &mut self.engines.last_mut().unwrap().0
    }

    fn reload(&mut self) {
        let (config, ids) = self.file.read(&self.setup);
        for id in &ids.toggles {
            self.ever[*id] = true;
        }
        self.go_on(config, ids);
    }

    fn go_on(&mut self, config: Config, ids: Ids) {
        let terms = ids.terms(&config, &self.setup);
        let moment = self.moment();
        let old = self.current();
        let mut next = old.succeed(Arc::new(config), Mode::Serve, terms);
        old.hand_over(&mut next);
        for (older, _) in &self.engines {
            next.wait_for(older);
        }
        next.start(moment);
        self.engines.push((next, ids));
        self.told = [const { None }; RULES];
        self.remote.known = Known::default();
    }

    fn end(&mut self, job: usize, failure: Option<(Failure, bool)>) {
        let (number, job, known) = self.in_flight.remove(job % self.in_flight.len());
        let known_now = self.remote.known.clone();
        let done = match failure {
            None => self.remote.answer(&job, &known, self.now),
            Some((failure, done)) => {
                if done {
                    self.remote.apply(&job, &known);
                }
                self.remote.forget(&job);
                refuse(&job, failure)
            }
        };
        let is_current = number + 1 == self.engines.len();
        if !is_current {
            self.remote.known = known_now;
        }
        if let (true, Done::Query(rule, result)) = (is_current, &done) {
            self.told[*rule] = result.as_ref().ok().map(|it| Users::clone(&it.users));
        }
        let moment = self.moment();
        let (engine, ids) = &mut self.engines[number];
        let done = ids.marked(done, &self.remote);
        engine.handle(Event::Done(ids.local(done)), moment);
        if !is_current {
            let (current, older) = self.engines.split_last_mut().unwrap();
            current
                .0
                .go_on(older.iter_mut().map(|(older, _)| older), moment);
        }
    }

    /// Adds up the lines of all engines, wherever the current one keeps a toggle.
    fn keep_books(&mut self) {
        for (engine, ids) in &mut self.engines {
            for notice in engine.take_notices() {
                if let (Subject::Environment(id, number), News::Updated(update)) =
                    (notice.subject, notice.news)
                {
                    let place = (ids.toggles[id], ids.environments[id][number]);
                    self.ledger.add(place, &update);
                }
            }
        }
        let Some((current, ids)) = self.engines.last() else {
            return;
        };
        for (id, number) in places() {
            if !ids.has((id, number)) {
                self.ledger.start_over((id, number), &self.remote);
                continue;
            }
            let toggle = ids.local_toggle(id);
            let part = ids.local_part(toggle, Part::Environment(number));
            if let Part::Environment(local) = part {
                let local = (toggle, local);
                self.ledger
                    .check((id, number), current, local, &self.remote);
            }
        }
    }

    /// Goes on with the toggles to retire that are found meanwhile.
    fn take_jobs(&mut self) {
        self.hand_out();
        while let Some(config) = self.current().take_found() {
            let ids = self.engines.last().unwrap().1.retiring(&config);
            self.go_on(config, ids);
            self.hand_out();
        }
    }

    fn hand_out(&mut self) {
        self.keep_books();
        let last = self.engines.len() - 1;
        for number in 0..=last {
            loop {
                let moment = self.moment();
                let (engine, ids) = &mut self.engines[number];
                let Some(job) = engine.next_job(moment) else {
                    break;
                };
                assert!(number == last || matches!(job, Job::Leave(_)), "{job:?}");
                let job = ids.global(job);
                self.see_off(&job);
                self.in_flight
                    .push((number, job, self.remote.known.clone()));
            }
        }
    }

    /// Nothing of a toggle is out while another engine edits it, no two requests for a part, and none beside
    /// a read or creation of the same engine; and only the newest users go. One that has left is off for everyone,
    /// and is touched only if it carries the mark.
    fn see_off(&self, job: &Job) {
        for ((id, _), users) in updates_of(job) {
            let newest = match self.keeps(id) {
                true => self.told[RULE_OF[id]].clone(),
                false => Some(Users::default()),
            };
            assert_eq!(newest.as_ref(), Some(users), "not the newest");
        }
        if let Job::Apply(_, edits) = job {
            for edit in edits.iter().filter(|edit| !self.keeps(edit.toggle)) {
                let is_update = matches!(edit.what, What::Update(..));
                let is_marked = self.remote.is_marked(edit.toggle);
                assert!(is_update && is_marked, "{} is not ours", short(job));
            }
        }
        let last = self.engines.len() - 1;
        for (number, other, _) in &self.in_flight {
            if *number != last && !matches!(other, Job::Apply(..)) {
                continue;
            }
            let theirs = parts_of(other);
            for (id, part) in parts_of(job) {
                let is_apart = |(other, its): &(ToggleId, Part)| {
                    let is_other_part = part != *its && part != Part::Whole && *its != Part::Whole;
                    *other != id || (*number == last && is_other_part)
                };
                assert!(
                    theirs.iter().all(is_apart),
                    "{} beside {}",
                    short(job),
                    short(other)
                );
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let now = self.now;
            let next = self.current().next_time(now);
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = next.max(now);
            let moment = self.moment();
            self.current().handle(Event::Time, moment);
            self.take_jobs();
        }
        self.now = end;
    }

    /// The faults have ended: all is answered at once, until a resync has passed.
    fn settle(&mut self) {
        for _ in 0..4000 {
            while !self.in_flight.is_empty() {
                self.end(0, None);
                self.take_jobs();
            }
            self.wait(Duration::from_millis(100));
        }
    }

    fn assert_in_sync(&self) {
        let ((current, ids), old) = self.engines.split_last().unwrap();
        for (id, number) in places().filter(|place| ids.has(*place)) {
            let (has, allows) = (
                self.remote.has((id, number)),
                self.remote.allows(RULE_OF[id]),
            );
            assert_eq!(has, Some(allows), "toggle {id}/{number}");
            assert!(self.remote.is_described(id), "toggle {id} is not described");
        }
        let has_left = |(id, _): &Place| {
            let target = TARGET_OF[*id];
            let is_found = ids.targets.contains(&target) && ids.finds_marked(target, &self.setup);
            is_found && self.remote.is_marked(*id) && !ids.keeps(*id)
        };
        for place in places().filter(has_left) {
            let none = Users::default();
            assert_eq!(self.remote.has(place), Some(none), "{place:?} has left");
        }
        for (id, number) in places().filter(|(id, _)| !self.ever[*id]) {
            let by_hand = self.remote.is_by_hand((id, number), BY_HAND);
            assert!(by_hand, "{id}/{number} was never ours");
        }
        for id in 0..ids.toggles.len() {
            let troubles = troubles_of(current, id);
            assert!(troubles.is_empty(), "{troubles:?}");
        }
        assert!(current.is_started());
        assert!(
            old.iter().all(|(it, _)| it.is_idle()),
            "an old engine goes on"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn whatever_is_reloaded_when_the_targets_equal_the_policy_in_the_end(
        mut setup in any_setup(),
        owned in prop::bool::weighted(0.8),
        there in any::<[bool; TOGGLES]>(),
        steps in prop::collection::vec(any_step(), 0..80),
    ) {
        // What is reset by hand, or fails late, is the business of the other model.
        setup.resync = Some(Duration::from_secs(300));
        let mut world = World::new(&setup, owned, there);
        steps.into_iter().for_each(|step| world.act(step));
        world.settle();
        world.assert_in_sync();
    }
}
