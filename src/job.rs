//! Jobs of the engine, and their results.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
pub(crate) use crate::config::{Marked, RuleId, SourceId, TargetId, ToggleId};
use crate::document::Document;
use crate::error::Failure;
use crate::plan::{Observed, Present};
use crate::secret::Secret;
use crate::users::Users;

/// What of a toggle a request is about. Each part has its own failures and retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it: it is read, or created.
    Whole,
    /// What its `spec` says, the same in all environments.
    Metadata,
    /// Its users in an environment, by the index of that.
    Environment(usize),
}

/// Where OPA is, and how to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub url: Address,
    /// The value of the `Authorization` header.
    pub authorization: Option<Secret>,
    /// The lifetime of the authorization, from when it was issued; none: unlimited.
    pub expires_in: Option<Duration>,
}

impl Access {
    /// With a bearer token if there is one, else with the user and password of the address.
    pub(crate) fn bearer(url: Address, token: Option<&Secret>) -> Access {
        let bearer = token.map(|token| Secret::new(format!("Bearer {}", token.expose())));
        Access {
            authorization: bearer.or_else(|| url.authorization().cloned()),
            url,
            expires_in: None,
        }
    }

    /// When to request another authorization: before this one expires, but whatever the lifetime, neither in
    /// a loop nor beyond what a clock can represent.
    pub(crate) fn renew_in(&self) -> Option<Duration> {
        const SOONEST: Duration = Duration::from_secs(1);
        const LATEST: Duration = Duration::from_secs(24 * 3600);
        let early = self.expires_in?.min(LATEST).mul_f64(0.9);
        Some(early.max(SOONEST))
    }
}

/// Where the users of rules come from.
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

/// What a source can do, and how it is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SourceTerms {
    /// Where OPA is; none: that has to be discovered.
    pub origin: Option<Origin>,
    /// It is a file: a discovery reads the users, again at each poll.
    pub is_read: bool,
    /// It is standard input.
    pub is_read_once: bool,
    /// Between passes, or between reads; none: the source calls back.
    pub poll_interval: Option<Duration>,
    /// None: it does not call back.
    pub registration: Option<Registration>,
    /// Whether rules are queried only once OPA has loaded everything.
    pub waits_until_ready: bool,
    /// It loads everything into OPA on request, and reports each load.
    pub loads: bool,
}

/// A registration with an OPAL client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Registration {
    /// OPAL's API, the source's id and its `instance`: a registration replaces one with the same key.
    pub key: (Address, String, String),
    /// The address that OPAL calls, without the route.
    pub advertised: Address,
}

/// What an OPA and its OPAL report about how far it has loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The id of the process that responds.
    pub process: Option<String>,
    /// Whether it reports that it has loaded everything.
    pub says: Option<bool>,
    /// Not requested from a known process.
    pub writes: Option<Writes>,
}

/// What is known of an OPA before it is queried for its readiness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Processes that only need to report their id.
    pub loaded: Arc<Vec<String>>,
    /// Whether OPA may report its id.
    pub tells_process: bool,
}

/// How often an OPA was written to since it was started, by its own count of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    pub data: u64,
    pub policies: u64,
    /// Listings of its policies, which OPAL requests when it loads all of them.
    pub lists: u64,
}

/// A load into OPA that OPAL reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// All entries of its data configuration but the periodic ones.
    Data,
    /// The same, if there are none.
    Nothing,
    /// An entry that is loaded periodically.
    Periodic,
    Policy,
}

/// Whom a rule allows.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    pub(crate) users: Arc<Users>,
    /// Of the policy and data by which OPA decided that; none where it is not known.
    pub(crate) revision: Option<Arc<str>>,
    /// The SHA-256 digest of the answer: the same answer allows the same users.
    pub(crate) digest: Option<[u8; 32]>,
}

impl From<Users> for Allowed {
    fn from(users: Users) -> Allowed {
        Allowed {
            users: Arc::new(users),
            revision: None,
            digest: None,
        }
    }
}

/// A change of a toggle at its target.
#[derive(Clone, Debug)]
pub struct Edit {
    /// By its index.
    pub toggle: ToggleId,
    /// The kind of change.
    pub what: What,
    /// That of the answer on which it rests.
    pub revision: Option<Arc<str>>,
}

/// The kinds of edits. Each may be repeated, because its response can be lost.
#[derive(Clone, Debug)]
pub enum What {
    /// Create it as its `spec` says; one that exists is left as it is.
    Create,
    /// Set its metadata to its `spec`.
    Describe,
    /// Turn it on for exactly these users in an environment, by the index of that.
    Update(usize, Arc<Users>),
}

impl Edit {
    /// The part that it is about.
    pub(crate) fn part(&self) -> Part {
        match self.what {
            What::Create => Part::Whole,
            What::Describe => Part::Metadata,
            What::Update(environment, _) => Part::Environment(environment),
        }
    }
}

/// The result of an edit.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The metadata or users are those of the edit.
    Done,
    /// It was created.
    Created(Present),
    /// It exists already. Unknown if the target did not return it.
    Found(Observed),
}

pub(crate) type Applies = Vec<(ToggleId, Part, Result<Applied, Failure>)>;

pub(crate) type Reads = Vec<(ToggleId, Result<Observed, Failure>)>;

#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub sources: Vec<SourceTerms>,
    pub targets: Vec<TargetTerms>,
}

/// How a target is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTerms {
    pub readable: bool,
    /// The most requests in flight, including those that hang, and after a 429 one; none: `concurrency`.
    pub at_once: Option<usize>,
    /// After a reload, its toggles have to be read before they are changed, even if their state is known.
    pub reads_first: bool,
    /// Several edits form one job, because they cost no more than one.
    pub applies_together: bool,
    /// Toggles are marked, and those with the mark that are not in the configuration can be found.
    pub finds_marked: bool,
    /// Its toggles.
    pub toggles: BTreeMap<ToggleId, ToggleTerms>,
}

/// How a toggle is used at its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToggleTerms {
    /// Toggles with the same number are read in one job, those without separately.
    pub batch: Option<usize>,
    /// The names of its environments; a target without environments has one without a name.
    pub environments: Vec<String>,
    /// What each environment shares with other toggles, if they do: toggles with the same number change it one
    /// after the other.
    pub shares: Vec<usize>,
}

impl ToggleTerms {
    /// Of a target without environments.
    pub(crate) fn plain(batch: Option<usize>) -> ToggleTerms {
        ToggleTerms {
            batch,
            environments: vec![String::new()],
            shares: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Discover,
    ReadFile,
    Register,
    Watch,
    Count,
    Ready,
    Load,
    Leave,
    Query,
    Find,
    Read,
    Create,
    Describe,
    Update,
}

impl Operation {
    /// The name in the log, `/status` and the metrics.
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
            Operation::Find => "search for toggles to retire",
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
    /// Ask OPAL where OPA is, or read a file.
    Discover(SourceId),
    Register(SourceId),
    /// Check that OPAL still has our registration.
    Watch(SourceId),
    /// Unregister.
    Leave(SourceId),
    /// Ask OPA how far it has loaded.
    Ready(SourceId, Arc<Origin>, Known),
    /// Ask OPA for its count of writes.
    Count(SourceId, Arc<Origin>),
    /// Have OPAL load everything into OPA.
    Load(SourceId),
    /// Ask for a rule's users; the last answer was this one.
    Query(RuleId, Arc<Origin>, Option<Allowed>),
    /// Find the toggles with our mark that are not in the configuration.
    Find(TargetId),
    Read(TargetId, Vec<ToggleId>),
    Apply(TargetId, Vec<Edit>),
}

#[derive(Debug)]
pub(crate) enum Done {
    Discover(SourceId, Result<Origin, Failure>),
    Register(SourceId, Result<(), Failure>),
    /// Whether OPAL has our registration.
    Watch(SourceId, Result<bool, Failure>),
    Leave(SourceId, Result<(), Failure>),
    Ready(SourceId, Result<Evidence, Failure>),
    Count(SourceId, Result<Option<Writes>, Failure>),
    /// Whether OPAL loads data too.
    Load(SourceId, Result<bool, Failure>),
    Query(RuleId, Result<Allowed, Failure>),
    Find(TargetId, Result<Vec<Marked>, Failure>),
    Read(TargetId, Reads),
    Apply(TargetId, Applies),
}
