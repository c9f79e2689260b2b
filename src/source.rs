//! Sources: where the users of toggles come from.

mod file;
mod opa;
mod opal;

use crate::check::SourceCheck;
use crate::config::{self, Config, PeerType, Rule};
use crate::error::Failure;
use crate::http::Client;
use crate::job::{Allowed, Evidence, Known, Origin, SourceTerms, Writes};
use crate::metrics::{Metrics, Requests};
use crate::secret::Secret;
pub(crate) use opal::report::scan as scan_report;

/// Makes the requests to a source. The defaults are for requests that its terms never call for.
pub(crate) trait Source: Send + Sync {
    fn terms(&self) -> SourceTerms;

    /// Where OPA is, or what the file holds.
    fn discover(&self) -> Result<Origin, Failure>;

    /// Whom a rule allows; the last answer is known, and need not be read again if it is the same.
    fn query(
        &self,
        origin: &Origin,
        rule: &Rule,
        known: Option<&Allowed>,
    ) -> Result<Allowed, Failure>;

    /// How far OPA has loaded. A process known to have loaded everything is asked for its id alone.
    fn ready(&self, _: &Origin, _: &Known) -> Result<Evidence, Failure> {
        Ok(Evidence::default())
    }

    /// How often OPA was written to; none where OPA does not say.
    fn count(&self, _: &Origin) -> Result<Option<Writes>, Failure> {
        Ok(None)
    }

    /// Has the source call back at every change. Replaces an older registration of ours.
    fn register(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether our registration is there, and is ours.
    fn watch(&self) -> Result<bool, Failure> {
        Ok(true)
    }

    /// Removes the registration if it is still ours.
    fn leave(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Has everything loaded into OPA. Returns whether that includes data.
    fn load(&self) -> Result<bool, Failure> {
        Ok(false)
    }

    /// Asks all but the rules, in the order in which `serve` would; with `has_rules`, rules are asked next.
    fn check(&self, has_rules: bool) -> SourceCheck;
}

type Open = fn(&config::Source, &Config, &Secret, Requests) -> Result<Box<dyn Source>, String>;

/// A type of source: what the configuration has to know of it, and how one is opened.
struct Type {
    config: PeerType,
    open: Open,
}

/// The first is the default.
static TYPES: &[&Type] = &[&opal::TYPE, &opa::TYPE, &file::TYPE];

pub(crate) fn types() -> Vec<&'static PeerType> {
    TYPES.iter().map(|it| &it.config).collect()
}

fn client(source: &config::Source, config: &Config, requests: Requests) -> Result<Client, String> {
    Client::new(config, config.concurrency, &source.settings.tls(), requests)
}

/// Opens a source of the configuration. Fails where a certificate or key cannot be used.
pub(crate) fn open(
    source: &config::Source,
    config: &Config,
    callback_token: &Secret,
    metrics: &Metrics,
) -> Result<Box<dyn Source>, String> {
    let kind = TYPES.iter().find(|kind| kind.config.name == source.kind);
    let kind = kind.ok_or_else(|| format!("unknown source type `{}`", source.kind))?;
    let requests = metrics.requests(format!("source {}", source.id));
    let opened = (kind.open)(source, config, callback_token, requests);
    opened.map_err(|error| format!("source {}: {error}", source.id))
}
