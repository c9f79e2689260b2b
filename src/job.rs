//! What the engine wants done, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::document::Document;
use crate::error::Failure;
use crate::plan::{Observed, Present};
use crate::secret::Secret;
use crate::users::Users;

/// A source, by its index in the configuration.
pub(crate) type SourceId = usize;

/// A toggle, by its index in the configuration.
pub(crate) type ToggleId = usize;

/// Where OPA is, and how to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub url: Address,
    /// The value of the `Authorization` header.
    pub authorization: Option<Secret>,
    /// How long the authorization holds, from when it was given; none: for good.
    pub expires_in: Option<Duration>,
}

impl Access {
    /// OPA at an address, asked with a bearer token where there is one, else with the user name
    /// and password of the address.
    pub(crate) fn bearer(url: Address, token: Option<&Secret>) -> Access {
        let bearer = token.map(|token| Secret::new(format!("Bearer {}", token.expose())));
        Access {
            authorization: bearer.or_else(|| url.authorization().cloned()),
            url,
            expires_in: None,
        }
    }

    /// When to ask for another authorization: before this one expires, and however soon or late that
    /// is said to be, neither again and again nor later than a clock can tell.
    pub(crate) fn renew_in(&self) -> Option<Duration> {
        const SOONEST: Duration = Duration::from_secs(1);
        const LATEST: Duration = Duration::from_secs(24 * 3600);
        let early = self.expires_in?.min(LATEST).mul_f64(0.9);
        Some(early.max(SOONEST))
    }
}

/// Who knows which users the rules allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Opa(Access),
    File(Arc<Document>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Opa(opa) => write!(f, "OPA is at {}", opa.url),
            Origin::File(document) => write!(f, "{} bytes", document.size),
        }
    }
}

/// What a source can do, and how it is to be dealt with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SourceTerms {
    /// Where the configuration says that OPA is; none: that is to be discovered.
    pub origin: Option<Origin>,
    /// What is discovered holds the users, and is read again at each poll.
    pub is_read: bool,
    /// It is standard input, which can be read once, and does not change.
    pub is_read_once: bool,
    /// Time between passes, or between reads; none: the source calls back.
    pub poll_interval: Option<Duration>,
    /// How it is told to call back; none: it does not.
    pub registration: Option<Registration>,
    /// Whether OPA is asked, before its rules are, if it has loaded everything.
    pub waits_until_ready: bool,
    /// It can be asked to load everything into OPA, and reports each load.
    pub loads: bool,
}

/// A registration with an OPAL client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Registration {
    /// OPAL's API, the source's id and its `instance`: another registration with these replaces it.
    pub key: (Address, String, String),
    /// Where OPAL is told to call, without the route.
    pub advertised: Address,
}

/// What an OPA, and the OPAL that feeds it, tell of how far it has loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Which process answers; none where OPA does not tell.
    pub process: Option<String>,
    /// Whether it says that it has loaded everything; none where it does not say.
    pub says: Option<bool>,
    /// What was written to it; none where it does not tell, or where that was not asked, because the
    /// process is known.
    pub writes: Option<Writes>,
}

/// What is known of an OPA before it is asked how far it has loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The processes of which nothing else need be asked.
    pub loaded: Arc<Vec<String>>,
    /// Whether it may tell which process it is.
    pub tells_process: bool,
}

/// How often an OPA was written to since it was started, by its own count of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    pub data: u64,
    pub policies: u64,
    /// How often its policies were listed, which OPAL does when it loads all of them.
    pub lists: u64,
}

impl Writes {
    /// Whether any count is less than it was: they belong to another process.
    pub(crate) fn fell_from(&self, before: &Writes) -> bool {
        self.data < before.data || self.policies < before.policies || self.lists < before.lists
    }
}

/// A load into OPA that OPAL reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// All entries of its data configuration that are not loaded periodically.
    Data,
    /// The same, where there are none.
    Nothing,
    /// An entry that it loads periodically.
    Periodic,
    /// Policy.
    Policy,
}

/// What is to become of a toggle at the target.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Which toggle.
    pub toggle: ToggleId,
    /// What becomes of it.
    pub what: What,
}

/// The kinds of edits. Each may be repeated, because its outcome can get lost.
#[derive(Clone, Debug)]
pub enum What {
    /// Create it as its `spec` says; one that is there is left as it is.
    Create,
    /// Bring its metadata in line with its `spec`.
    Describe,
    /// Turn it on for exactly these users.
    Update(Arc<Users>),
}

/// What came of an edit.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The toggle's metadata, or users, are those of the edit.
    Done,
    /// It was created, and so described.
    Created(Present),
    /// Nothing was changed: the target had to be asked first, and had this. What is unknown could not be
    /// shown.
    Found(Observed),
}

/// What came of each of some edits.
pub(crate) type Applies = Vec<(ToggleId, Result<Applied, Failure>)>;

/// What came of reading each of some toggles.
pub(crate) type Reads = Vec<(ToggleId, Result<Observed, Failure>)>;

/// How the sources and the target are to be dealt with.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub sources: Vec<SourceTerms>,
    pub target: TargetTerms,
}

/// How a target is to be dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTerms {
    /// Whether toggles can be read.
    pub readable: bool,
    /// How many requests it takes at once, also while some hang, and one at a time after a 429; none: as
    /// many as `concurrency` says.
    pub at_once: Option<usize>,
    /// For each toggle a number: toggles of the same number are read in one job; none: alone.
    pub batches: Vec<Option<usize>>,
    /// Edits of several toggles are one job, because they cost no more than one.
    pub applies_together: bool,
}

/// What is asked of a source or of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Discover,
    ReadFile,
    Register,
    /// Looking whether OPAL still has the registration.
    Watch,
    /// Counting the writes to OPA.
    Count,
    /// Asking OPA whether it has loaded everything.
    Ready,
    /// Having OPAL load everything into OPA.
    Load,
    /// Taking the registration back.
    Leave,
    Query,
    Read,
    Create,
    Describe,
    Update,
}

impl Operation {
    /// As the log, `/status` and the metrics have it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Operation::Discover => "discovery",
            Operation::ReadFile => "reading",
            Operation::Register => "registration",
            Operation::Watch | Operation::Count => "watch",
            Operation::Ready => "readiness query",
            Operation::Load => "request to load everything",
            Operation::Leave => "leaving",
            Operation::Query => "query",
            Operation::Read => "read",
            Operation::Create => "creation",
            Operation::Describe => "metadata update",
            Operation::Update => "update",
        }
    }
}

/// One request, or a few that belong together, for a request thread.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Ask OPAL where OPA is; of a file: read it.
    Discover(SourceId),
    /// Have OPAL call us back.
    Register(SourceId),
    /// Look if our registration is still there.
    Watch(SourceId),
    /// Take it back, if it is still ours.
    Leave(SourceId),
    /// Ask OPA if it has loaded everything, unless that is known.
    Ready(SourceId, Arc<Origin>, Known),
    /// Ask OPA how often it was written to.
    Count(SourceId, Arc<Origin>),
    /// Have OPAL load everything into OPA.
    Load(SourceId),
    /// Ask OPA, or look up in a document, who the users of a toggle are.
    Query(ToggleId, Arc<Origin>),
    /// Read toggles at the target.
    Read(Vec<ToggleId>),
    /// Change toggles there.
    Apply(Vec<Edit>),
}

impl Job {
    /// Whether it changes something at OPAL or at the target.
    pub(crate) fn changes_something(&self) -> bool {
        // OPAL loads whether or not the answer is waited for.
        matches!(self, Job::Register(_) | Job::Leave(_) | Job::Apply(_))
    }
}

/// What came of a job.
#[derive(Debug)]
pub(crate) enum Done {
    Discover(SourceId, Result<Origin, Failure>),
    Register(SourceId, Result<(), Failure>),
    /// Whether the registration is there, and ours.
    Watch(SourceId, Result<bool, Failure>),
    Leave(SourceId, Result<(), Failure>),
    Ready(SourceId, Result<Evidence, Failure>),
    /// None where OPA does not tell.
    Count(SourceId, Result<Option<Writes>, Failure>),
    /// Whether OPAL loads data too.
    Load(SourceId, Result<bool, Failure>),
    Query(ToggleId, Result<Users, Failure>),
    Read(Reads),
    Apply(Applies),
}

impl Done {
    /// Whether it is what came of a job that changes something.
    pub(crate) fn has_changed_something(&self) -> bool {
        matches!(self, Done::Register(..) | Done::Leave(..) | Done::Apply(_))
    }

    /// The toggles about which the target was asked, or told.
    pub(crate) fn toggles_at_target(&self) -> Vec<ToggleId> {
        match self {
            Done::Read(results) => results.iter().map(|(id, _)| *id).collect(),
            Done::Apply(results) => results.iter().map(|(id, _)| *id).collect(),
            _ => Vec::new(),
        }
    }
}
