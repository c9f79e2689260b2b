//! What stands on the other side: two OPALs with an OPA each, an OPA alone, and a target.

use super::setup::{ALONE, SOURCE_OF, SOURCES, Setup, TOGGLES, source_of, updates_of};
use super::*;
use crate::users::Change;

/// An OPA that is restarted is gone for longer than its readiness is believed.
const DOWN: Duration = Duration::from_millis(1500);

/// And then it holds nothing at first.
const EMPTY: Duration = Duration::from_secs(5);

/// By toggle, the users that the object that makes the requests knows the target to have, where it sends
/// differences: from what it has read, created or sent, and nothing after a failure.
pub(super) type Known = [Option<Users>; TOGGLES];

pub(super) struct Remote {
    pub(super) known: Known,
    readable: bool,
    differences: bool,
    untold: bool,
    sources: [Source; SOURCES],
    toggles: [Toggle; TOGGLES],
    /// How often it was read.
    reads: usize,
    /// Which run of the program this is: an earlier one's registration is not ours.
    pub(super) generation: u32,
}

struct Source {
    registered: Option<u32>,
    down_until: Instant,
    empty_until: Instant,
}

struct Toggle {
    /// Whom the policy allowed from when on.
    policy: Vec<(Instant, u8)>,
    observed: Option<Flag>,
    /// It was changed by somebody else, or late, since the program last read it, or set it whole.
    meddled: bool,
    /// When another instance wrote what is there.
    rival: Option<Instant>,
}

struct Flag {
    users: Users,
    described: bool,
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
            readable: setup.readable,
            differences: setup.differences,
            untold: setup.untold,
            sources: std::array::from_fn(|_| Source {
                registered: None,
                down_until: now,
                empty_until: now,
            }),
            toggles: std::array::from_fn(|_| Toggle {
                policy: vec![(now, 1)],
                observed: None,
                meddled: false,
                rival: None,
            }),
            reads: 0,
            generation: 0,
        }
    }

    pub(super) fn allow(&mut self, toggle: ToggleId, mask: u8, now: Instant) {
        self.toggles[toggle].policy.push((now, mask));
    }

    /// Whom the policy allows now.
    pub(super) fn allows(&self, toggle: ToggleId) -> Users {
        set(self.toggles[toggle].policy.last().unwrap().1)
    }

    /// Whom it allowed then.
    pub(super) fn allowed(&self, toggle: ToggleId, then: Instant) -> Users {
        let mut newest_first = self.toggles[toggle].policy.iter().rev();
        set(newest_first.find(|(since, _)| *since <= then).unwrap().1)
    }

    /// Who has a toggle; none where it is not there, or not described as it should be.
    pub(super) fn has(&self, toggle: ToggleId) -> Option<Users> {
        let observed = self.toggles[toggle].observed.as_ref()?;
        observed.described.then(|| observed.users.clone())
    }

    pub(super) fn is_meddled_with(&self, toggle: ToggleId) -> bool {
        self.toggles[toggle].meddled
    }

    pub(super) fn is_registered(&self, source: usize) -> bool {
        self.sources[source].registered == Some(self.generation)
    }

    pub(super) fn is_down(&self, job: &Job, now: Instant) -> bool {
        source_of(job).is_some_and(|id| now < self.sources[id].down_until)
    }

    /// Somebody changes the users by hand, and with a large number the metadata.
    pub(super) fn meddle(&mut self, toggle: ToggleId, mask: u8) {
        let toggle = &mut self.toggles[toggle];
        if let Some(observed) = &mut toggle.observed {
            observed.users = set(mask);
            observed.described &= mask < 16;
            toggle.meddled = true;
            toggle.rival = None;
        }
    }

    /// Another instance writes whom the policy allows now.
    pub(super) fn rival(&mut self, id: ToggleId, now: Instant) {
        let users = self.allows(id);
        let toggle = &mut self.toggles[id];
        if let Some(observed) = &mut toggle.observed {
            observed.users = users;
            toggle.meddled = true;
            toggle.rival = Some(now);
        }
    }

    /// Of which moment of the policy what is there of each toggle is, where another instance wrote it.
    pub(super) fn as_of(&self) -> [Option<Instant>; TOGGLES] {
        self.toggles.each_ref().map(|toggle| toggle.rival)
    }

    pub(super) fn delete(&mut self, toggle: ToggleId) {
        self.toggles[toggle].observed = None;
        self.toggles[toggle].meddled = true;
        self.toggles[toggle].rival = None;
    }

    pub(super) fn restart(&mut self, source: usize, with_opal: bool, now: Instant) {
        let source = &mut self.sources[source];
        source.registered = source.registered.filter(|_| !with_opal);
        source.down_until = now + DOWN;
        source.empty_until = now + EMPTY;
    }

    /// Does what a request asks that was made when this was known, and answers it.
    pub(super) fn answer(&mut self, job: &Job, known: &Known, now: Instant) -> Done {
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
            Job::Query(id, _) if SOURCE_OF[*id] != ALONE && is_empty(SOURCE_OF[*id]) => {
                Done::Query(*id, Ok(Users::default()))
            }
            Job::Query(id, _) => Done::Query(*id, Ok(self.allows(*id))),
            Job::Read(target, ids) => Done::Read(*target, self.read_all(ids)),
            Job::Apply(target, edits) => {
                let results = edits.iter().map(|edit| {
                    let result = self.answer_edit(edit);
                    self.know(edit, &result);
                    (edit.toggle, edit.part(), result)
                });
                Done::Apply(*target, results.collect())
            }
        }
    }

    fn answer_edit(&mut self, edit: &Edit) -> Result<Applied, Failure> {
        let id = edit.toggle;
        match edit.what {
            What::Create => Ok(self.create(id)),
            _ if self.toggles[id].observed.is_some() => Ok(Applied::Done),
            _ => Err(failure(Kind::Status(404))),
        }
    }

    fn know(&mut self, edit: &Edit, result: &Result<Applied, Failure>) {
        let known = match (&edit.what, result) {
            (What::Update(_, users), Ok(Applied::Done)) => Some(Users::clone(users)),
            (What::Create, Ok(Applied::Created(_))) => Some(Users::default()),
            // It was noted when it was read, or stays as it was.
            (_, Ok(_)) => return,
            (_, Err(_)) => None,
        };
        self.known[edit.toggle] = known;
    }

    /// A request has failed.
    pub(super) fn forget(&mut self, job: &Job) {
        if let Job::Apply(_, edits) = job {
            edits.iter().for_each(|edit| self.known[edit.toggle] = None);
        }
    }

    fn read_all(&mut self, ids: &[ToggleId]) -> Vec<(ToggleId, Result<Observed, Failure>)> {
        self.reads += 1;
        let reads = ids.iter().map(|id| {
            let untold = self.untold && ids.len() > 1 && (self.reads + id).is_multiple_of(3);
            let observed = (!untold).then(|| self.read(*id));
            (*id, Ok(observed.unwrap_or(Observed::Unknown)))
        });
        reads.collect()
    }

    fn read(&mut self, id: ToggleId) -> Observed {
        let toggle = &mut self.toggles[id];
        toggle.meddled = false;
        self.known[id] = toggle
            .observed
            .as_ref()
            .map(|observed| observed.users.clone());
        match &toggle.observed {
            None => Observed::Absent,
            Some(observed) => {
                let users = Arc::new(observed.users.clone());
                Observed::Present(Present::plain(observed.described, Some(users)))
            }
        }
    }

    fn create(&mut self, id: ToggleId) -> Applied {
        let observed = &mut self.toggles[id].observed;
        if observed.is_some() {
            return Applied::Found(match self.readable {
                true => Observed::Unknown,
                false => Observed::Present(Present::plain(false, None)),
            });
        }
        *observed = Some(Flag {
            users: Users::default(),
            described: true,
        });
        self.toggles[id].meddled = false;
        new_toggle(self.readable)
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
        let id = edit.toggle;
        let toggle = &mut self.toggles[id];
        let Some(observed) = &mut toggle.observed else {
            return;
        };
        let users = match &edit.what {
            What::Create => return,
            What::Describe => {
                observed.described = true;
                return;
            }
            What::Update(_, users) => users,
        };
        toggle.rival = None;
        match &known[id] {
            None if self.differences => panic!("{edit:?} is sent before the toggle is read"),
            Some(known) if self.differences => {
                let Change { added, removed } = users.change_from(known);
                let left = removed.change_from(&observed.users).removed;
                observed.users = left.and(&added);
            }
            _ => {
                observed.users = Users::clone(users);
                toggle.meddled &= !observed.described;
            }
        }
    }

    /// Does it when the program has long given it up.
    pub(super) fn apply_late(&mut self, job: &Job, known: &Known) {
        self.apply(job, known);
        for (id, _) in updates_of(job) {
            self.toggles[id].meddled = true;
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
        Job::Query(id, _) => Done::Query(*id, Err(failure)),
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
