//! What a world is made of.

use super::*;

/// Two OPALs, the first of which serves two toggles, and an OPA alone.
pub(super) const SOURCES: usize = 3;
pub(super) const SOURCE_OF: [usize; TOGGLES] = [0, 0, 1, 2];
pub(super) const TOGGLES: usize = 4;

/// The OPA alone.
pub(super) const ALONE: usize = 2;

/// How often the OPA without an OPAL is asked.
pub(super) const POLL: Duration = Duration::from_secs(60);

/// When a request that nobody answers has failed.
pub(super) const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// What the world is like.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The target can be read.
    pub(super) readable: bool,
    /// Its updates hold what differs from what was known, and not the whole set.
    pub(super) differences: bool,
    /// Its toggles are read in one job.
    pub(super) batched: bool,
    /// Each such job leaves one toggle of three untold.
    pub(super) untold: bool,
    /// What is changed at the same time is changed in one job.
    pub(super) together: bool,
    pub(super) at_once: Option<usize>,
    pub(super) concurrency: usize,
    /// None: nobody changes anything at the target by hand, because nothing would put it right.
    pub(super) resync: Option<Duration>,
    /// For what is left to chance.
    pub(super) seed: u64,
}

impl Setup {
    /// A target with one request for each toggle, and no resyncs.
    pub(super) fn plain(readable: bool) -> Setup {
        Setup {
            readable,
            differences: false,
            batched: false,
            untold: false,
            together: false,
            at_once: None,
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

/// A program that has not started.
pub(super) fn engine(setup: &Setup) -> Engine {
    let terms = TargetTerms {
        at_once: setup.at_once,
        reads_first: setup.differences,
        applies_together: setup.together,
        ..target_terms(setup.readable, &[setup.batched.then_some(0); TOGGLES])
    };
    let config = Config {
        resync_interval: setup.resync,
        concurrency: setup.concurrency,
        ..config(sources(), &SOURCE_OF)
    };
    let terms = with_sources(&config, terms);
    Engine::new(Arc::new(config), Mode::Serve, terms)
}

/// The source that a request goes to; none where it goes to the target.
pub(super) fn source_of(job: &Job) -> Option<usize> {
    match job {
        Job::Discover(id) | Job::Register(id) | Job::Watch(id) | Job::Leave(id) => Some(*id),
        Job::Ready(id, ..) | Job::Count(id, _) | Job::Load(id) => Some(*id),
        Job::Query(toggle, _) => Some(SOURCE_OF[*toggle]),
        Job::Read(..) | Job::Apply(..) => None,
    }
}

/// The parts of toggles that a request is about; of a query, the toggle that follows the rule.
pub(super) fn parts_of(job: &Job) -> Vec<(ToggleId, Part)> {
    match job {
        Job::Query(id, _) => vec![(*id, Part::Whole)],
        Job::Apply(_, edits) => edits
            .iter()
            .map(|edit| (edit.toggle, edit.part()))
            .collect(),
        Job::Read(_, ids) => ids.iter().map(|id| (*id, Part::Whole)).collect(),
        _ => Vec::new(),
    }
}

/// The users that a request sends.
pub(super) fn updates_of(job: &Job) -> Vec<(ToggleId, &Users)> {
    let Job::Apply(_, edits) = job else {
        return Vec::new();
    };
    let users = edits.iter().filter_map(|edit| match &edit.what {
        What::Update(_, users) => Some((edit.toggle, &**users)),
        _ => None,
    });
    users.collect()
}

pub(super) fn is_query(job: &Job) -> bool {
    matches!(job, Job::Query(..))
}
