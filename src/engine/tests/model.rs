//! Random changes, faults and restarts against a small world with simulated time.

use proptest::prelude::*;

use super::super::PROMPT;
use super::*;

const TOGGLES: usize = 3;

/// What can happen.
#[derive(Clone, Debug)]
enum Action {
    /// The policy allows other users, and OPAL calls back, if it knows us.
    Allow(usize, u8),
    /// Somebody changes the users at the target by hand.
    Meddle(usize, u8),
    /// Somebody deletes the toggle at the target.
    Delete(usize),
    /// One of the jobs in flight ends, as the world wants it.
    Answer(usize),
    /// One of the jobs in flight fails; an update may have been applied all the same.
    Fail(usize, Kind, bool),
    /// OPAL and its OPA are restarted.
    Restart,
    /// Time passes, in milliseconds.
    Wait(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let kinds = [
        Kind::Timeout,
        Kind::Lost,
        Kind::Refused,
        Kind::Status(500),
        Kind::Answer,
    ];
    let kind = prop::sample::select(kinds.to_vec());
    prop_oneof![
        3 => (0..TOGGLES, 1u8..16).prop_map(|(toggle, mask)| Action::Allow(toggle, mask)),
        1 => (0..TOGGLES, 0u8..16).prop_map(|(toggle, mask)| Action::Meddle(toggle, mask)),
        1 => (0..TOGGLES).prop_map(Action::Delete),
        9 => any::<usize>().prop_map(Action::Answer),
        4 => (any::<usize>(), kind, any::<bool>())
            .prop_map(|(job, kind, applied)| Action::Fail(job, kind, applied)),
        1 => Just(Action::Restart),
        4 => (1u64..3000).prop_map(Action::Wait),
    ]
}

fn of_source(job: &Job) -> bool {
    let of_target = matches!(
        job,
        Job::Read(_) | Job::Create(_) | Job::Describe(..) | Job::Update(..)
    );
    !of_target
}

/// OPAL, OPA and the target, and what the engine has been told.
struct World {
    bench: Bench,
    readable: bool,
    in_flight: Vec<Job>,
    policy: [u8; TOGGLES],
    target: [Option<Users>; TOGGLES],
    registered: bool,
    down_until: Instant,
    empty_until: Instant,
    /// The last answer about each toggle: none after a failure.
    told: [Option<Users>; TOGGLES],
}

/// Each bit is a user. The policy never allows nobody, so that nobody is a sure sign of an answer
/// that should not have been believed.
fn set(mask: u8) -> Users {
    let keys = ["alice", "bob", "eve", "zoe"];
    keys.into_iter()
        .enumerate()
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, key)| key)
        .collect()
}

impl World {
    fn new(readable: bool) -> World {
        let opal = SourceKind::Opal(match opal() {
            SourceKind::Opal(opal) => config::Opal {
                wait_until_ready: true,
                ..opal
            },
            _ => unreachable!(),
        });
        let terms = Terms {
            readable,
            at_once: None,
            batches: vec![Some(0); TOGGLES],
        };
        let config = config(vec![opal], &[0; TOGGLES]);
        let bench = Bench::with_terms(Instant::now(), config, Mode::Serve, terms);
        World {
            readable,
            in_flight: Vec::new(),
            policy: [1; TOGGLES],
            target: [const { None }; TOGGLES],
            registered: false,
            down_until: bench.now,
            empty_until: bench.now,
            told: [const { None }; TOGGLES],
            bench,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Allow(toggle, mask) => {
                self.policy[toggle] = mask;
                if self.registered {
                    self.bench.callback(0);
                }
            }
            Action::Meddle(toggle, mask) if self.target[toggle].is_some() => {
                self.target[toggle] = Some(set(mask));
            }
            Action::Meddle(..) => {}
            Action::Delete(toggle) => self.target[toggle] = None,
            Action::Answer(job) => self.end(job, Self::answer),
            Action::Fail(job, kind, applied) => self.end(job, |world, job| {
                if applied {
                    world.apply(&job);
                }
                world.fail(job, kind)
            }),
            Action::Restart => self.restart(),
            Action::Wait(millis) => self.bench.millis(millis),
        }
        self.take_jobs();
    }

    fn end(&mut self, job: usize, end: impl FnOnce(&mut World, Job) -> Done) {
        if self.in_flight.is_empty() {
            return;
        }
        let job = self.in_flight.swap_remove(job % self.in_flight.len());
        let done = end(self, job);
        self.bench.done(done);
    }

    /// OPA is gone for longer than its readiness is believed, and then it holds nothing at first.
    fn restart(&mut self) {
        self.registered = false;
        self.down_until = self.bench.now + Duration::from_millis(1500);
        self.empty_until = self.bench.now + Duration::from_secs(5);
        let (lost, kept) = std::mem::take(&mut self.in_flight)
            .into_iter()
            .partition(of_source);
        self.in_flight = kept;
        for job in lost {
            let done = self.fail(job, Kind::Lost);
            self.bench.done(done);
        }
    }

    fn take_jobs(&mut self) {
        let now = self.bench.moment();
        while let Some(job) = self.bench.engine.next_job(now) {
            if let Job::Update(toggle, users, _) = &job {
                assert_eq!(
                    self.told[*toggle].as_ref(),
                    Some(&**users),
                    "not the newest users"
                );
                assert!(!users.is_empty(), "an OPA that was not ready was believed");
            }
            // Whoever is not there refuses at once.
            if of_source(&job) && now.at < self.down_until {
                let done = self.fail(job, Kind::Refused);
                self.bench.done(done);
            } else {
                self.in_flight.push(job);
            }
        }
        for toggle in 0..TOGGLES {
            let queries = |job: &&Job| matches!(job, Job::Query(id, _) if *id == toggle);
            assert!(self.in_flight.iter().filter(queries).count() <= 1);
            let steps = |job: &&Job| match job {
                Job::Read(ids) => ids.contains(&toggle),
                Job::Create(id) | Job::Describe(id, _) | Job::Update(id, ..) => *id == toggle,
                _ => false,
            };
            assert!(self.in_flight.iter().filter(steps).count() <= 1);
        }
    }

    /// What a world without faults says, but for an OPA that was restarted.
    fn answer(&mut self, job: Job) -> Done {
        let now = self.bench.now;
        let empty = now < self.empty_until;
        let missing = |toggle: usize, world: &World| match &world.target[toggle] {
            Some(_) => Ok(()),
            None => Err(failure(Kind::Status(404))),
        };
        match job {
            Job::Discover(id) => Done::Discover(id, Ok(access())),
            Job::Register(id) => {
                self.registered = true;
                Done::Register(id, Ok(()))
            }
            Job::Watch(id) => Done::Watch(id, Ok(self.registered)),
            Job::Leave(id) => Done::Leave(id, Ok(())),
            Job::Ready(id, _) if empty => Done::Ready(id, Ok(Readiness::NotReady)),
            Job::Ready(id, _) => Done::Ready(id, Ok(Readiness::Ready)),
            Job::Query(id, _) => {
                let users = if empty {
                    Users::default()
                } else {
                    set(self.policy[id])
                };
                self.told[id] = Some(users.clone());
                Done::Query(id, Ok(users))
            }
            Job::Read(ids) => {
                let read = |id: ToggleId| match &self.target[id] {
                    None => There::Absent,
                    Some(users) => {
                        There::Present(Present::plain(true, Some(Arc::new(users.clone()))))
                    }
                };
                Done::Read(ids.into_iter().map(|id| (id, Ok(read(id)))).collect())
            }
            Job::Create(id) if self.target[id].is_some() => {
                let unread = (!self.readable).then(|| Present::plain(true, None));
                Done::Create(id, Ok(Created::Existed(unread)))
            }
            Job::Create(id) => {
                self.target[id] = Some(Users::default());
                Done::Create(id, Ok(new_toggle(self.readable)))
            }
            Job::Describe(id, _) => Done::Describe(id, missing(id, self)),
            Job::Update(id, ..) => {
                let found = missing(id, self);
                self.apply(&job);
                Done::Update(id, found)
            }
        }
    }

    fn apply(&mut self, job: &Job) {
        if let Job::Update(id, users, _) = job
            && let Some(there) = &mut self.target[*id]
        {
            *there = Users::clone(users);
        }
    }

    fn fail(&mut self, job: Job, kind: Kind) -> Done {
        let failure = failure(kind);
        match job {
            Job::Discover(id) => Done::Discover(id, Err(failure)),
            Job::Register(id) => Done::Register(id, Err(failure)),
            Job::Watch(id) => Done::Watch(id, Err(failure)),
            Job::Leave(id) => Done::Leave(id, Err(failure)),
            Job::Ready(id, _) => Done::Ready(id, Err(failure)),
            Job::Query(id, _) => {
                self.told[id] = None;
                Done::Query(id, Err(failure))
            }
            Job::Read(ids) => {
                let failed = |id| (id, Err(failure.clone()));
                Done::Read(ids.into_iter().map(failed).collect())
            }
            Job::Create(id) => Done::Create(id, Err(failure)),
            Job::Describe(id, _) => Done::Describe(id, Err(failure)),
            Job::Update(id, ..) => Done::Update(id, Err(failure)),
        }
    }

    /// The faults have ended: every job is answered within a moment, until a resync has passed.
    fn settle(&mut self) {
        let end = self.bench.now + Duration::from_secs(400);
        while self.bench.now < end {
            while !self.in_flight.is_empty() {
                self.end(0, Self::answer);
                self.take_jobs();
            }
            let step = self
                .bench
                .next_in()
                .unwrap_or(PROMPT)
                .max(Duration::from_millis(1));
            self.bench.wait(step);
            self.take_jobs();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn once_faults_end_the_target_equals_the_policy(
        readable: bool,
        actions in prop::collection::vec(action(), 0..80),
    ) {
        let mut world = World::new(readable);
        world.take_jobs();
        actions.into_iter().for_each(|action| world.act(action));
        world.settle();
        for toggle in 0..TOGGLES {
            let users = set(world.policy[toggle]);
            prop_assert_eq!(world.target[toggle].as_ref(), Some(&users));
        }
        prop_assert!(!world.bench.is_failing());
        prop_assert!(world.bench.engine.is_started());
    }
}
