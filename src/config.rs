//! The configuration, as the rest of the program sees it: checked, interpolated, with defaults.
//!
//! The words are those of `optoggles.toml`; the file itself is read in the modules below.

mod check;
mod elsewhere;
mod interpolate;
pub mod leaving;
mod lines;
mod mask;
pub mod load;
mod nearest;
mod problem;
mod reader;
mod removal;
pub mod report;
mod table;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::address::Address;
use crate::secret::Secret;
pub use removal::MaxRemoval;

/// Everything that `optoggles.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where `serve` listens.
    pub bind: Bind,
    /// Time between resyncs; none: no resyncs.
    pub resync_interval: Option<Duration>,
    /// How long a request may take, whole.
    pub http_timeout: Duration,
    /// Requests in flight at once, to each source and to the target; at least 1.
    pub concurrency: usize,
    /// Where users come from, in the order of the file.
    pub sources: Vec<Source>,
    /// Where the toggles are.
    pub target: Target,
    /// The toggles, in the order of the file.
    pub toggles: Vec<Toggle>,
}

impl Config {
    /// The same for these toggles alone, all where none is named, and for the sources they use.
    ///
    /// # Errors
    ///
    /// Names each key that no toggle has, on a line of its own.
    pub fn only(mut self, keys: &[String]) -> Result<Config, String> {
        let known: Vec<&str> = self.toggles.iter().map(|toggle| &*toggle.key).collect();
        let unknown = keys.iter().filter(|key| !known.contains(&key.as_str()));
        let unknown: Vec<String> = unknown.map(|key| no_toggle(key, &known)).collect();
        if !unknown.is_empty() {
            return Err(unknown.join("\n"));
        }
        self.toggles
            .retain(|toggle| keys.is_empty() || keys.contains(&toggle.key));
        let used = |id| {
            self.toggles
                .iter()
                .any(|toggle| toggle.users_policy.source == id)
        };
        let used: Vec<usize> = (0..self.sources.len()).filter(|id| used(*id)).collect();
        for toggle in &mut self.toggles {
            let rule = &mut toggle.users_policy;
            rule.source = used
                .iter()
                .position(|id| *id == rule.source)
                .unwrap_or_default();
        }
        let mut id = 0..;
        self.sources
            .retain(|_| id.next().is_some_and(|id| used.contains(&id)));
        Ok(self)
    }

    /// The rules that toggles have of a source.
    pub fn rules_of(&self, source: &Source) -> Vec<Rule> {
        let rules = self.toggles.iter().map(|toggle| &toggle.users_policy);
        let ours = rules.filter(|rule| self.sources[rule.source].id == source.id);
        ours.cloned().collect()
    }
}

/// Says that there is no such toggle, and which one may be meant.
fn no_toggle(key: &str, known: &[&str]) -> String {
    const MOST: usize = 10;
    let there_are = match nearest::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.len() > MOST => format!("it is none of the {} that are there", known.len()),
        None => format!("there are: {}", known.join(", ")),
    };
    let key = key.escape_debug();
    format!("there is no toggle `{key}` in the configuration: {there_are}")
}

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// A host name or IP address (an IPv6 one without brackets); empty: every interface.
    pub host: String,
    /// 0: one that is free.
    pub port: u16,
}

/// Where the users of toggles come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// `[A-Za-z0-9][A-Za-z0-9._-]*`, unique.
    pub id: String,
    /// What it is.
    pub kind: SourceKind,
}

/// The kinds of sources.
#[expect(
    clippy::large_enum_variant,
    reason = "there are few sources, and they are read once"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// An OPAL client and the OPA that it manages.
    Opal(Opal),
    /// An OPA without OPAL.
    Opa(Opa),
    /// A document that holds what OPA holds.
    File(File),
}

impl SourceKind {
    /// Its `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            SourceKind::Opal(_) => "opal",
            SourceKind::Opa(_) => "opa",
            SourceKind::File(_) => "file",
        }
    }
}

/// `type = "opal"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Opal {
    /// The OPAL client's API.
    pub url: Address,
    /// Sent to OPAL as `Authorization: Bearer`.
    pub token: Option<Secret>,
    /// Where OPAL reaches us, without the route.
    pub advertised_address: Address,
    /// What tells replicas behind one address apart; part of the registration's key.
    pub instance: String,
    /// Where OPA is, if OPAL is not to be asked.
    pub opa_url: Option<Address>,
    /// OPA's token, where OPAL does not give it out.
    pub opa_token: Option<Secret>,
    /// Whether OPA is asked, before its rules are, if it has loaded everything.
    pub wait_until_ready: bool,
    /// For requests to OPAL and to its OPA.
    pub tls: Tls,
}

/// `type = "opa"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Opa {
    /// OPA's API.
    pub url: Address,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<Secret>,
    /// Time between passes.
    pub poll_interval: Duration,
    /// Whether OPA is asked, before its rules are, if it has activated its bundles.
    pub wait_until_ready: bool,
    /// For requests to OPA.
    pub tls: Tls,
}

/// `type = "file"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is; none: standard input.
    pub path: Option<PathBuf>,
}

/// `ca_file`, `cert_file` and `key_file`: the files' contents, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates to trust instead of the public ones.
    pub ca: Option<String>,
    /// Our own certificate chain and its key.
    pub identity: Option<Identity>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain, ours first.
    pub cert: String,
    /// Its private key.
    pub key: Secret,
}

/// The feature management platform that holds the toggles.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// `type = "flagd"`.
    Flagd(Flagd),
    /// `type = "launchdarkly"`.
    LaunchDarkly(LaunchDarkly),
    /// `type = "restapi"`.
    RestApi(RestApi),
}

/// A file of flag definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flagd {
    /// Where it is.
    pub path: PathBuf,
}

/// LaunchDarkly.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchDarkly {
    /// Sent as it is, as `Authorization`.
    pub token: Secret,
    /// Where its API is.
    pub base_url: Address,
}

impl Target {
    /// Its `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Target::Flagd(_) => "flagd",
            Target::LaunchDarkly(_) => "launchdarkly",
            Target::RestApi(_) => "restapi",
        }
    }
}

/// A system of the user's own, behind a small REST API.
#[derive(Clone, Debug, PartialEq)]
pub struct RestApi {
    /// The collection: toggles are created here, and changed below it.
    pub endpoint_url: Address,
    /// Sent with every request; a name may come once.
    pub extra_headers: Vec<(String, Secret)>,
    /// Whether the server also answers `GET {endpoint_url}/{key}`.
    pub read: bool,
}

/// One feature flag.
#[derive(Clone, PartialEq)]
pub struct Toggle {
    /// Its key at the target, unique.
    pub key: String,
    /// Which rule names its users.
    pub users_policy: Rule,
    /// What the target needs to create it.
    pub spec: Map<String, Value>,
    /// The most of its users that may be removed at once: its own limit, else that of the file.
    pub max_removal: MaxRemoval,
}

impl fmt::Debug for Toggle {
    /// Leaves the values of `spec` out: interpolation can bring secrets there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toggle")
            .field("key", &self.key)
            .field("users_policy", &self.users_policy)
            .field("spec", &self.spec.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// A rule of a source's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The index of its source in [`Config::sources`].
    pub source: usize,
    /// Such as `app.rbac`.
    pub package: String,
    /// Such as `us_users`.
    pub rule: String,
}

impl fmt::Display for Rule {
    /// As Rego names it: `data.app.rbac.us_users`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data.{}.{}", self.package, self.rule)
    }
}
