//! Reloads at any moment: engines that take over from each other, over one world.

use super::remote::{Known, Remote, refuse};
use super::setup::{Dice, SOURCE_OF, Setup, TOGGLES, engine, is_query, parts_of, updates_of};
use super::*;

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    /// The policy allows other users, and OPAL calls back, if it knows us.
    Allow(ToggleId, u8),
    Answer(usize),
    /// A request fails; what it asked for may be done all the same.
    Fail(usize, Failure, bool),
    /// The configuration is read again; what is different in it.
    Reload(Difference),
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum Difference {
    Nothing,
    /// The target is asked with another token.
    Token(u8),
    /// A toggle is described otherwise.
    Spec(ToggleId, u8),
    /// OPAL is asked with another token.
    Source(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let difference = prop_oneof![
        2 => Just(Difference::Nothing),
        1 => (0_u8..3).prop_map(Difference::Token),
        1 => (0..TOGGLES, 0_u8..3).prop_map(|(id, text)| Difference::Spec(id, text)),
        1 => (0_u8..3).prop_map(Difference::Source),
    ];
    prop_oneof![
        3 => (0..TOGGLES, 1_u8..4).prop_map(|(toggle, mask)| Step::Allow(toggle, mask)),
        10 => any::<usize>().prop_map(Step::Answer),
        3 => (any::<usize>(), any_failure(), any::<bool>())
            .prop_map(|(job, failure, done)| Step::Fail(job, failure, done)),
        2 => difference.prop_map(Step::Reload),
        3 => (1_u64..3000).prop_map(Step::Wait),
    ]
}

struct World {
    /// The last one is the current one; those before it end what they have in flight.
    engines: Vec<Engine>,
    config: Config,
    /// With the number of the engine that made each, and what was known then.
    in_flight: Vec<(usize, Job, Known)>,
    /// By toggle, the last good answer that the current engine has had.
    told: [Option<Users>; TOGGLES],
    remote: Remote,
    now: Instant,
    dice: Dice,
}

impl World {
    fn new(setup: &Setup) -> World {
        let now = Instant::now();
        let first = engine(setup);
        let mut world = World {
            config: Config::clone(&first.config),
            engines: vec![first],
            in_flight: Vec::new(),
            told: [const { None }; TOGGLES],
            remote: Remote::new(setup, now),
            now,
            dice: Dice::new(setup.seed),
        };
        let moment = world.moment();
        world.engines[0].start(moment);
        world.take_jobs();
        world
    }

    fn moment(&mut self) -> Moment {
        let (at, chance) = (self.now, self.dice.roll());
        Moment { at, chance }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Allow(toggle, mask) => {
                self.remote.allow(toggle, mask, self.now);
                let source = SOURCE_OF[toggle];
                if self.remote.is_registered(source) {
                    let moment = self.moment();
                    self.current().handle(Event::Callback(source), moment);
                }
            }
            Step::Answer(_) | Step::Fail(..) if self.in_flight.is_empty() => {}
            Step::Answer(job) => self.end(job, None),
            Step::Fail(job, failure, done) => self.end(job, Some((failure, done))),
            Step::Reload(difference) => self.reload(difference),
            Step::Wait(millis) => self.wait(Duration::from_millis(millis)),
        }
        self.take_jobs();
    }

    fn current(&mut self) -> &mut Engine {
        let last = self.engines.len() - 1;
        &mut self.engines[last]
    }

    fn reload(&mut self, difference: Difference) {
        match difference {
            Difference::Nothing => {}
            Difference::Token(token) => {
                with_header(&mut self.config, "Authorization", &token.to_string());
            }
            Difference::Spec(id, text) => {
                let spec = &mut self.config.toggles[id].spec;
                spec.insert("name".into(), text.into());
            }
            Difference::Source(token) => {
                let token = Setting::Secret(Secret::new(token.to_string()));
                self.config.sources[0].settings.set("token", token);
            }
        }
        let (config, now) = (Arc::new(self.config.clone()), self.now);
        let old = self.current();
        let terms = with_sources(&config, old.targets[0].terms.clone());
        let mut next = old.succeed(config, Mode::Serve, terms, now);
        old.retire(&next);
        next.start(self.moment());
        self.engines.push(next);
        self.told = [const { None }; TOGGLES];
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
        if let (true, Done::Query(id, result)) = (is_current, &done) {
            self.told[*id] = result.as_ref().ok().cloned();
        }
        let ended = done.parts();
        let moment = self.moment();
        self.engines[number].handle(Event::Done(done), moment);
        for later in &mut self.engines[number + 1..] {
            for (id, part) in &ended {
                later.handle(Event::Ended(*id, *part), moment);
            }
        }
    }

    fn take_jobs(&mut self) {
        let last = self.engines.len() - 1;
        for number in 0..=last {
            loop {
                let moment = self.moment();
                let Some(job) = self.engines[number].next_job(moment) else {
                    break;
                };
                assert!(number == last || matches!(job, Job::Leave(_)), "{job:?}");
                self.see_off(&job);
                self.in_flight
                    .push((number, job, self.remote.known.clone()));
            }
        }
    }

    /// At the target one request for a toggle is out, whoever made it; and only the newest users go.
    fn see_off(&self, job: &Job) {
        for (id, users) in updates_of(job) {
            assert_eq!(self.told[id].as_ref(), Some(users), "not the newest");
        }
        if is_query(job) {
            return;
        }
        let ours = parts_of(job);
        for (_, other, _) in self.in_flight.iter().filter(|(_, it, _)| !is_query(it)) {
            let theirs = parts_of(other);
            let same = ours.iter().find(|id| theirs.contains(id));
            assert_eq!(same, None, "{} beside {}", short(job), short(other));
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

    fn assert_in_sync(&mut self) {
        for toggle in 0..TOGGLES {
            let (has, allows) = (self.remote.has(toggle), self.remote.allows(toggle));
            assert_eq!(has, Some(allows), "toggle {toggle}");
            let troubles = self.current().toggle(toggle).troubles;
            assert!(troubles.is_empty(), "{troubles:?}");
        }
        assert!(self.current().is_started());
        let (_, old) = self.engines.split_last().unwrap();
        assert!(old.iter().all(Engine::is_idle), "an old engine goes on");
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn whatever_is_reloaded_when_the_target_equals_the_policy_in_the_end(
        mut setup in any_setup(),
        steps in prop::collection::vec(any_step(), 0..80),
    ) {
        // What is reset by hand, or fails late, is the business of the other model.
        setup.resync = Some(Duration::from_secs(300));
        let mut world = World::new(&setup);
        steps.into_iter().for_each(|step| world.act(step));
        world.settle();
        world.assert_in_sync();
    }
}
