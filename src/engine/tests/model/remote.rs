//! What stands on the other side: two OPALs with an OPA each, an OPA alone, and two targets.

use std::collections::BTreeMap;

use super::setup::{
    ALONE, ENVIRONMENTS, Peer, Place, RULE_OF, RULES, SOURCE_OF, SOURCES, Setup, TARGET_OF,
    TARGETS, TOGGLES, Ways, peer_of, places, told_of, updates_of,
};
use super::*;
use crate::job::RuleId;
use crate::plan::Environment;
use crate::users::Change;

/// An OPA that is restarted is gone for longer than its readiness is believed.
const DOWN: Duration = Duration::from_millis(1500);

/// And then it holds nothing at first.
const EMPTY: Duration = Duration::from_secs(5);

/// The users that the object that makes the requests knows the target to have, where it sends
/// differences: from what it has read, created or sent, and nothing after a failure.
pub(super) type Known = BTreeMap<Place, Users>;

pub(super) struct Remote {
    pub(super) known: Known,
    ways: [Ways; TARGETS],
    sources: [Source; SOURCES],
    /// By rule, whom the policy allowed from when on.
    policy: [Vec<(Instant, u8)>; RULES],
    toggles: [Toggle; TOGGLES],
    /// How often a target was read.
    reads: usize,
    /// Which run of the program this is: an earlier one's registration is not ours.
    pub(super) generation: u32,
}

struct Source {
    registered: Option<u32>,
    down_until: Instant,
    empty_until: Instant,
}

/// A toggle, which may not exist.
struct Toggle {
    exists: bool,
    described: bool,
    /// It carries the mark of the owner.
    marked: bool,
    environments: Vec<Flag>,
}

/// A toggle in an environment.
#[derive(Default)]
struct Flag {
    users: Users,
    /// The target has no such environment.
    is_gone: bool,
    /// How often it was changed by somebody else, or late; and how often by the time that the program
    /// last read it, or set it whole.
    meddled: usize,
    known: usize,
    /// When another instance wrote what is there.
    rival: Option<Instant>,
}

/// Each bit is a user. The policy never allows nobody, so that nobody is a sure sign of an answer
/// that should not have been believed.
fn set(mask: u8) -> Users {
    let keys = ["alice", "bob", "eve", "zoe"];
    let chosen = (0..keys.len()).filter(|bit| mask & (1 << bit) != 0);
    chosen.map(|bit| keys[bit]).collect()
}

impl Remote {
    pub(super) fn new(setup: &Setup, now: Instant) -> Remote {
        Remote {
            known: Known::default(),
            ways: setup.targets,
            sources: std::array::from_fn(|_| Source {
                registered: None,
                down_until: now,
                empty_until: now,
            }),
            policy: std::array::from_fn(|_| vec![(now, 1)]),
            toggles: ENVIRONMENTS.map(|environments| Toggle {
                exists: false,
                described: false,
                marked: false,
                environments: (0..environments).map(|_| Flag::default()).collect(),
            }),
            reads: 0,
            generation: 0,
        }
    }

    pub(super) fn allow(&mut self, rule: RuleId, mask: u8, now: Instant) {
        self.policy[rule].push((now, mask));
    }

    /// Whom a rule allows now.
    pub(super) fn allows(&self, rule: RuleId) -> Users {
        set(self.policy[rule].last().unwrap().1)
    }

    /// Whom it allowed then.
    pub(super) fn allowed(&self, rule: RuleId, then: Instant) -> Users {
        let mut newest_first = self.policy[rule].iter().rev();
        set(newest_first.find(|(since, _)| *since <= then).unwrap().1)
    }

    /// Who has a toggle in an environment; none where it is not there.
    pub(super) fn has(&self, (id, number): Place) -> Option<Users> {
        let toggle = &self.toggles[id];
        let flag = &toggle.environments[number];
        (toggle.exists && !flag.is_gone).then(|| flag.users.clone())
    }

    /// Whether it is there, and described as it should be.
    pub(super) fn is_described(&self, toggle: ToggleId) -> bool {
        let toggle = &self.toggles[toggle];
        toggle.exists && toggle.described
    }

    /// Somebody has made it by hand, without a mark, for these users.
    pub(super) fn put(&mut self, id: ToggleId, mask: u8) {
        let toggle = &mut self.toggles[id];
        toggle.exists = true;
        for flag in &mut toggle.environments {
            flag.users = set(mask);
        }
    }

    /// Whether it is for those for whom it was made by hand.
    pub(super) fn is_by_hand(&self, place: Place, mask: u8) -> bool {
        self.has(place) == Some(set(mask))
    }

    pub(super) fn is_marked(&self, id: ToggleId) -> bool {
        self.toggles[id].exists && self.toggles[id].marked
    }

    pub(super) fn is_meddled_with(&self, (id, number): Place) -> bool {
        let flag = &self.toggles[id].environments[number];
        flag.meddled != flag.known
    }

    /// How often what was meddled with so far.
    pub(super) fn meddled(&self) -> BTreeMap<Place, usize> {
        places()
            .map(|place| (place, self.meddled_at(place)))
            .collect()
    }

    pub(super) fn meddled_at(&self, (id, number): Place) -> usize {
        self.toggles[id].environments[number].meddled
    }

    /// The program hears what became of a request when so much had been meddled with.
    pub(super) fn tell(&mut self, job: &Job, done: &Done, meddled: &BTreeMap<Place, usize>) {
        for (id, present) in told_of(done) {
            self.known.retain(|(toggle, _), _| *toggle != id);
            for number in 0..ENVIRONMENTS[id] {
                let place = (id, number);
                self.flag(place).known = meddled[&place];
                let environment = present.and_then(|it| it.environments[number].as_ref().ok());
                let users = environment.and_then(|it| it.users.as_ref());
                let users = users.map(|users| Users::clone(users));
                self.known.extend(users.map(|users| (place, users)));
            }
        }
        if let (Job::Apply(_, edits), Done::Apply(_, results)) = (job, done) {
            for (edit, (id, _, result)) in edits.iter().zip(results) {
                match (&edit.what, result) {
                    (What::Update(number, users), Ok(_)) => {
                        self.known.insert((*id, *number), Users::clone(users));
                    }
                    (_, Ok(_)) => {}
                    (_, Err(_)) => self.know_nothing(edit),
                }
            }
        }
    }

    pub(super) fn is_registered(&self, source: usize) -> bool {
        self.sources[source].registered == Some(self.generation)
    }

    pub(super) fn is_down(&self, job: &Job, now: Instant) -> bool {
        match peer_of(job) {
            Peer::Source(id) => now < self.sources[id].down_until,
            Peer::Target(_) => false,
        }
    }

    fn flag(&mut self, (id, number): Place) -> &mut Flag {
        &mut self.toggles[id].environments[number]
    }

    /// Somebody changes the users by hand, and with a large number the metadata.
    pub(super) fn meddle(&mut self, place: Place, mask: u8) {
        self.toggles[place.0].described &= mask < 16;
        let flag = self.flag(place);
        flag.users = set(mask);
        flag.meddled += 1;
        flag.rival = None;
    }

    /// Another instance writes whom the policy allows now.
    pub(super) fn rival(&mut self, place: Place, now: Instant) {
        let users = self.allows(RULE_OF[place.0]);
        let flag = self.flag(place);
        flag.users = users;
        flag.meddled += 1;
        flag.rival = Some(now);
    }

    /// Of which moment of the policy what is there is, where another instance wrote it.
    pub(super) fn as_of(&self) -> BTreeMap<Place, Instant> {
        let toggles = self.toggles.iter().enumerate();
        let flags = toggles.flat_map(|(id, toggle)| {
            let flags = toggle.environments.iter().enumerate();
            flags.map(move |(number, flag)| ((id, number), flag.rival))
        });
        flags.filter_map(|(place, at)| Some((place, at?))).collect()
    }

    pub(super) fn delete(&mut self, toggle: ToggleId) {
        let toggle = &mut self.toggles[toggle];
        toggle.exists = false;
        for flag in &mut toggle.environments {
            flag.users = Users::default();
            flag.meddled += 1;
            flag.rival = None;
        }
    }

    /// An environment goes, or comes back, and is new then.
    pub(super) fn set_gone(&mut self, place: Place, is_gone: bool) {
        let flag = self.flag(place);
        if flag.is_gone != is_gone {
            flag.is_gone = is_gone;
            flag.users = Users::default();
            flag.meddled += 1;
            flag.rival = None;
        }
    }

    pub(super) fn restart(&mut self, source: usize, with_opal: bool, now: Instant) {
        let source = &mut self.sources[source];
        source.registered = source.registered.filter(|_| !with_opal);
        source.down_until = now + DOWN;
        source.empty_until = now + EMPTY;
    }

    /// Does what a request asks that was made when this was known, and has its answer heard.
    pub(super) fn answer(&mut self, job: &Job, known: &Known, now: Instant) -> Done {
        let done = self.process(job, known, now);
        self.tell(job, &done, &self.meddled());
        done
    }

    /// Does what a request asks that was made when this was known; its answer is still on its way.
    pub(super) fn process(&mut self, job: &Job, known: &Known, now: Instant) -> Done {
        self.apply(job, known);
        let is_empty = |id: usize| now < self.sources[id].empty_until;
        match job {
            Job::Discover(id) => Done::Discover(*id, Ok(access())),
            Job::Register(id) => Done::Register(*id, Ok(())),
            Job::Watch(id) => Done::Watch(*id, Ok(self.is_registered(*id))),
            Job::Leave(id) => Done::Leave(*id, Ok(())),
            // It does not tell.
            Job::Count(id, _) => Done::Count(*id, Ok(None)),
            Job::Load(id) => Done::Load(*id, Ok(true)),
            Job::Ready(id, ..) if is_empty(*id) => Done::Ready(*id, Ok(ready(Some(false)))),
            Job::Ready(id, ..) => Done::Ready(*id, Ok(ready(Some(true)))),
            // An OPA whose readiness nobody asks for has its data at once.
            Job::Query(rule, ..) if SOURCE_OF[*rule] != ALONE && is_empty(SOURCE_OF[*rule]) => {
                Done::Query(*rule, Ok(Users::default().into()))
            }
            Job::Query(rule, ..) => Done::Query(*rule, Ok(self.allows(*rule).into())),
            Job::Find(target) => Done::Find(*target, Ok(Vec::new())),
            Job::Read(target, ids) => Done::Read(*target, self.read_all(ids)),
            Job::Apply(target, edits) => {
                let results = edits
                    .iter()
                    .map(|edit| (edit.toggle, edit.part(), self.answer_edit(edit)));
                Done::Apply(*target, results.collect())
            }
        }
    }

    fn answer_edit(&mut self, edit: &Edit) -> Result<Applied, Failure> {
        let id = edit.toggle;
        let toggle = &self.toggles[id];
        match edit.what {
            What::Create => Ok(self.create(id)),
            _ if !toggle.exists => Err(failure(Kind::Status(404))),
            What::Update(number, _) if toggle.environments[number].is_gone => Err(self.gone(id)),
            _ => Ok(Applied::Done),
        }
    }

    /// One that cannot be read cannot tell what of it is not there.
    fn gone(&self, id: ToggleId) -> Failure {
        failure(match self.ways[TARGET_OF[id]].readable {
            true => Kind::Misfit,
            false => Kind::Status(404),
        })
    }

    fn know_nothing(&mut self, edit: &Edit) {
        let part = edit.part();
        self.known.retain(|(id, number), _| {
            *id != edit.toggle || (part != Part::Whole && part != Part::Environment(*number))
        });
    }

    /// A request has failed.
    pub(super) fn forget(&mut self, job: &Job) {
        if let Job::Apply(_, edits) = job {
            edits.iter().for_each(|edit| self.know_nothing(edit));
        }
    }

    fn read_all(&mut self, ids: &[ToggleId]) -> Vec<(ToggleId, Result<Observed, Failure>)> {
        self.reads += 1;
        let reads = ids.iter().map(|id| {
            let untold = self.ways[TARGET_OF[*id]].untold && ids.len() > 1;
            let untold = untold && (self.reads + id).is_multiple_of(3);
            let observed = (!untold).then(|| self.read(*id));
            (*id, Ok(observed.unwrap_or(Observed::Unknown)))
        });
        reads.collect()
    }

    fn read(&self, id: ToggleId) -> Observed {
        let toggle = &self.toggles[id];
        let environments = toggle.environments.iter().map(|flag| match flag.is_gone {
            true => Err(self.gone(id)),
            false => Ok(Environment::of(Arc::new(flag.users.clone()))),
        });
        match toggle.exists {
            false => Observed::absent(),
            true => Observed::Present(Present {
                described: toggle.described,
                environments: environments.collect(),
            }),
        }
    }

    fn create(&mut self, id: ToggleId) -> Applied {
        let Ways {
            readable, untold, ..
        } = self.ways[TARGET_OF[id]];
        let toggle = &mut self.toggles[id];
        let existed = std::mem::replace(&mut toggle.exists, true);
        toggle.described |= !existed;
        toggle.marked |= !existed;
        for flag in toggle.environments.iter_mut().filter(|_| !existed) {
            flag.users = Users::default();
            flag.rival = None;
        }
        let unknown = || Environment {
            in_order: true,
            ..Environment::default()
        };
        match (existed, readable) {
            (true, true) if untold => Applied::Found(Observed::Unknown),
            (true, true) => Applied::Found(self.read(id)),
            (false, true) => match self.read(id) {
                Observed::Present(present) => Applied::Created(present),
                _ => unreachable!(),
            },
            (_, false) => {
                let present = Present {
                    described: !existed,
                    environments: toggle.environments.iter().map(|_| Ok(unknown())).collect(),
                };
                match existed {
                    true => Applied::Found(Observed::Present(present)),
                    false => Applied::Created(present),
                }
            }
        }
    }

    /// Does what a request asks, whatever becomes of its answer.
    pub(super) fn apply(&mut self, job: &Job, known: &Known) {
        match job {
            Job::Register(id) => self.sources[*id].registered = Some(self.generation),
            Job::Apply(_, edits) => edits.iter().for_each(|edit| self.apply_edit(edit, known)),
            _ => {}
        }
    }

    fn apply_edit(&mut self, edit: &Edit, known: &Known) {
        let ways = self.ways[TARGET_OF[edit.toggle]];
        let toggle = &mut self.toggles[edit.toggle];
        if !toggle.exists {
            return;
        }
        let (number, users) = match &edit.what {
            What::Create => return,
            What::Describe => {
                toggle.described = true;
                toggle.marked = true;
                return;
            }
            What::Update(number, users) => (*number, users),
        };
        let flag = &mut toggle.environments[number];
        if flag.is_gone {
            return;
        }
        flag.rival = None;
        match known.get(&(edit.toggle, number)) {
            None if ways.differences => panic!("{edit:?} is sent before the toggle is read"),
            Some(known) if ways.differences => {
                let Change { added, removed } = users.change_from(known);
                let left = removed.change_from(&flag.users).removed;
                flag.users = left.and(&added);
            }
            _ => {
                flag.users = Users::clone(users);
                flag.known = flag.meddled;
            }
        }
    }

    /// Does it when the program has long given it up.
    pub(super) fn apply_late(&mut self, job: &Job, known: &Known) {
        self.apply(job, known);
        for (place, _) in updates_of(job) {
            self.flag(place).meddled += 1;
        }
    }
}

/// The end of a request that failed.
pub(super) fn refuse(job: &Job, failure: Failure) -> Done {
    match job {
        Job::Discover(id) => Done::Discover(*id, Err(failure)),
        Job::Register(id) => Done::Register(*id, Err(failure)),
        Job::Watch(id) => Done::Watch(*id, Err(failure)),
        Job::Leave(id) => Done::Leave(*id, Err(failure)),
        Job::Ready(id, ..) => Done::Ready(*id, Err(failure)),
        Job::Count(id, _) => Done::Count(*id, Err(failure)),
        Job::Load(id) => Done::Load(*id, Err(failure)),
        Job::Query(id, ..) => Done::Query(*id, Err(failure)),
        Job::Find(id) => Done::Find(*id, Err(failure)),
        Job::Read(target, ids) => {
            let failed = |id: &ToggleId| (*id, Err(failure.clone()));
            Done::Read(*target, ids.iter().map(failed).collect())
        }
        Job::Apply(target, edits) => {
            let failed = |edit: &Edit| (edit.toggle, edit.part(), Err(failure.clone()));
            Done::Apply(*target, edits.iter().map(failed).collect())
        }
    }
}
