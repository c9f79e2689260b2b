//! What a world is made of.

use super::*;
use crate::job::{RuleId, SourceId, TargetId};

/// Two OPALs, the first of which has two rules, and an OPA alone.
pub(super) const SOURCES: usize = 3;
pub(super) const RULES: usize = 4;
pub(super) const SOURCE_OF: [usize; RULES] = [0, 0, 1, 2];

/// Each toggle follows a rule of its own, but for the last one, which shares the first one's.
pub(super) const TOGGLES: usize = 5;
pub(super) const RULE_OF: [RuleId; TOGGLES] = [0, 1, 2, 3, 0];

pub(super) const TARGETS: usize = 2;
pub(super) const TARGET_OF: [TargetId; TOGGLES] = [0, 1, 0, 1, 1];

/// How many environments each toggle is in.
pub(super) const ENVIRONMENTS: [usize; TOGGLES] = [2, 1, 1, 2, 1];

/// A toggle in one of its environments.
pub(super) type Place = (ToggleId, usize);

/// The OPA alone.
pub(super) const ALONE: usize = 2;

/// How often the OPA without an OPAL is asked.
pub(super) const POLL: Duration = Duration::from_secs(60);

/// When a request that nobody answers has failed.
pub(super) const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// What the world is like.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) targets: [Ways; TARGETS],
    pub(super) concurrency: usize,
    /// None: there are no changes by hand at the targets, because nothing would revert them.
    pub(super) resync: Option<Duration>,
    /// For what is left to chance.
    pub(super) seed: u64,
}

/// The ways of a target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    /// It can be read.
    pub(super) readable: bool,
    /// Its updates hold what differs from what was known, and not the whole set.
    pub(super) differences: bool,
    /// Its toggles are read in one job.
    pub(super) batched: bool,
    /// Each such job leaves one toggle of three untold, and it does not tell what it has at a creation.
    pub(super) untold: bool,
    /// What is changed at the same time is changed in one job.
    pub(super) together: bool,
    pub(super) at_once: Option<usize>,
}

impl Setup {
    /// Targets with one request for each toggle, and no resyncs.
    pub(super) fn plain(readable: bool) -> Setup {
        let ways = Ways {
            readable,
            differences: false,
            batched: false,
            untold: false,
            together: false,
            at_once: None,
        };
        Setup {
            targets: [ways; TARGETS],
            concurrency: 8,
            resync: None,
            seed: 7,
        }
    }
}

/// What becomes of a request if nobody intervenes.
pub(super) enum Fate {
    /// It is answered after this time.
    Answered(Duration),
    /// It fails after this time.
    Failed(Duration, Failure),
    /// It hangs for ever.
    Stuck,
}

/// Randomness that is the same each time.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number from 0 to 1 (splitmix64).
    pub(super) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn sources() -> Vec<String> {
    let opal = waiting(&opal());
    let opa = polled(&format!("{}ms", POLL.as_millis()));
    vec![opal.clone(), opal, opa]
}

/// The configuration of all sources, rules, targets and toggles.
pub(super) fn everything(setup: &Setup) -> Config {
    let toggles = RULE_OF.map(|rule| SOURCE_OF[rule]);
    let mut config = Config {
        resync_interval: setup.resync,
        concurrency: setup.concurrency,
        ..config(sources(), &toggles)
    };
    config.targets = (0..TARGETS)
        .map(|id| crate::config::Target {
            id: format!("target-{id}"),
            ..config.targets[0].clone()
        })
        .collect();
    for (id, target) in config.targets.iter_mut().enumerate() {
        let url = format!("http://flags-{id}");
        target.place = format!("restapi {url}");
        target
            .settings
            .set("endpoint_url", Setting::Address(address(&url)));
    }
    config.rules.truncate(RULES);
    for (id, toggle) in config.toggles.iter_mut().enumerate() {
        toggle.rule = Some(RULE_OF[id]);
        toggle.target = TARGET_OF[id];
    }
    config
}

/// The terms of a target for its toggles, with the names of their environments.
pub(super) fn terms_of(
    ways: Ways,
    toggles: impl Iterator<Item = (ToggleId, Vec<String>)>,
) -> TargetTerms {
    let terms = |environments| ToggleTerms {
        batch: ways.batched.then_some(0),
        environments,
        shares: Vec::new(),
    };
    TargetTerms {
        at_once: ways.at_once,
        reads_first: ways.differences,
        applies_together: ways.together,
        toggles: toggles.map(|(id, names)| (id, terms(names))).collect(),
        ..target_terms(ways.readable, &[])
    }
}

pub(super) fn names(environments: usize) -> Vec<String> {
    (0..environments).map(|number| number.to_string()).collect()
}

/// A program that has not started.
pub(super) fn engine(setup: &Setup) -> Engine {
    let config = everything(setup);
    let targets = setup.targets.iter().enumerate().map(|(target, ways)| {
        let toggles = (0..TOGGLES).filter(|id| TARGET_OF[*id] == target);
        terms_of(*ways, toggles.map(|id| (id, names(ENVIRONMENTS[id]))))
    });
    let terms = with_targets(&config, targets.collect());
    Engine::new(Arc::new(config), Mode::Serve, terms)
}

pub(super) fn places() -> impl Iterator<Item = Place> {
    (0..TOGGLES).flat_map(|id| (0..ENVIRONMENTS[id]).map(move |number| (id, number)))
}

/// Where a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Source(SourceId),
    Target(TargetId),
}

pub(super) fn peer_of(job: &Job) -> Peer {
    match job {
        Job::Discover(id) | Job::Register(id) | Job::Watch(id) | Job::Leave(id) => {
            Peer::Source(*id)
        }
        Job::Ready(id, ..) | Job::Count(id, _) | Job::Load(id) => Peer::Source(*id),
        Job::Query(rule, ..) => Peer::Source(SOURCE_OF[*rule]),
        Job::Find(id) | Job::Read(id, _) | Job::Apply(id, _) => Peer::Target(*id),
    }
}

/// The parts of toggles that a request to a target is about.
pub(super) fn parts_of(job: &Job) -> Vec<(ToggleId, Part)> {
    match job {
        Job::Apply(_, edits) => edits
            .iter()
            .map(|edit| (edit.toggle, edit.part()))
            .collect(),
        Job::Read(_, ids) => ids.iter().map(|id| (*id, Part::Whole)).collect(),
        _ => Vec::new(),
    }
}

/// The toggles that a target has told of, with what it told; none: it does not have them.
pub(super) fn told_of(done: &Done) -> Vec<(ToggleId, Option<&Present>)> {
    let seen = |id: ToggleId, observed| match observed {
        &Observed::Unknown => None,
        Observed::Absent(_) => Some((id, None)),
        Observed::Present(present) => Some((id, Some(present))),
    };
    match done {
        Done::Read(_, results) => {
            let results = results.iter();
            let told = results.filter_map(|(id, it)| seen(*id, it.as_ref().ok()?));
            told.collect()
        }
        Done::Apply(_, results) => {
            let told = results.iter().filter_map(|(id, _, result)| match result {
                Ok(Applied::Created(present)) => Some((*id, Some(present))),
                Ok(Applied::Found(observed)) => seen(*id, observed),
                _ => None,
            });
            told.collect()
        }
        _ => Vec::new(),
    }
}

/// The users that a request sends.
pub(super) fn updates_of(job: &Job) -> Vec<(Place, &Users)> {
    let Job::Apply(_, edits) = job else {
        return Vec::new();
    };
    let users = edits.iter().filter_map(|edit| match &edit.what {
        What::Update(number, users) => Some(((edit.toggle, *number), &**users)),
        _ => None,
    });
    users.collect()
}
