//! A source: discover (or read), register, watch, query.

mod file;
mod opa;
pub mod opal;

use crate::config::{self, Config, Rule, SourceKind, Tls};
use crate::error::{self, Failure};
use crate::http::Client;
use crate::job::{Evidence, Known, Origin, Writes};
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::users::Users;
use file::File;
use opal::Opal;

/// Makes the requests to a source.
pub struct Source {
    client: Client,
    kind: Kind,
}

enum Kind {
    Opal(Box<Opal>),
    Opa,
    File(File),
}

impl Source {
    /// A source of the configuration, which is to call us back with `callback_token`; what it is asked
    /// is counted in `metrics`.
    ///
    /// # Errors
    ///
    /// Says which certificate or key cannot be used.
    pub fn new(
        source: &config::Source,
        config: &Config,
        callback_token: &Secret,
        metrics: &Metrics,
    ) -> Result<Source, String> {
        // Nobody is asked over the network for a file.
        let unused = Tls::default();
        let (tls, kind) = match &source.kind {
            SourceKind::Opal(opal) => {
                let ours = Opal::new(&source.id, opal, callback_token);
                (&opal.tls, Kind::Opal(Box::new(ours)))
            }
            SourceKind::Opa(opa) => (&opa.tls, Kind::Opa),
            SourceKind::File(file) => {
                let rules = config.rules_of(source);
                (&unused, Kind::File(File::new(file.path.clone(), rules)))
            }
        };
        let requests = metrics.requests(format!("source {}", source.id));
        let client = Client::new(config.http_timeout, config.concurrency, tls, requests)
            .map_err(|error| format!("source {}: {error}", source.id))?;
        Ok(Source { client, kind })
    }

    /// Asks OPAL where OPA is; a file is read, where it may have changed.
    ///
    /// # Errors
    ///
    /// Where OPAL does not answer, or names an OPA that we cannot ask; where the file cannot be
    /// read, or is no document.
    pub fn discover(&self) -> Result<Origin, Failure> {
        match &self.kind {
            Kind::File(file) => file.read().map(Origin::File),
            _ => self.opal()?.discover(&self.client).map(Origin::Opa),
        }
    }

    /// Has OPAL call us back at every change; an older registration of ours is replaced.
    ///
    /// # Errors
    ///
    /// Where OPAL does not take it.
    pub fn register(&self) -> Result<(), Failure> {
        self.opal()?.register(&self.client)
    }

    /// Whether our registration is there, and is ours.
    ///
    /// # Errors
    ///
    /// Where OPAL does not tell.
    pub fn watch(&self) -> Result<bool, Failure> {
        self.opal()?.is_registered(&self.client)
    }

    /// Whether OPAL calls our address, because this program or an earlier one asked for it.
    ///
    /// # Errors
    ///
    /// Where OPAL does not tell.
    pub fn is_called_back(&self) -> Result<bool, Failure> {
        self.opal()?.leads_here(&self.client)
    }

    /// Takes our registration back, if it is still ours.
    ///
    /// # Errors
    ///
    /// Where OPAL does not answer.
    pub fn leave(&self) -> Result<(), Failure> {
        self.opal()?.leave(&self.client)
    }

    /// How far OPA has loaded, as far as OPAL, and OPA itself, tell; of a process that is known, nothing
    /// but that.
    ///
    /// OPAL's health policy in OPA can be wrong both ways: it can stay false although all is loaded,
    /// and then OPAL itself knows; and it can be true of the OPA that was there before.
    ///
    /// # Errors
    ///
    /// Where OPA does not answer.
    pub fn ready(&self, origin: &Origin, known: &Known) -> Result<Evidence, Failure> {
        let (Origin::Opa(opa), client) = (origin, &self.client) else {
            return Ok(Evidence::default());
        };
        let Kind::Opal(opal) = &self.kind else {
            let says = opa::has_activated_bundles(client, opa)?;
            return Ok(Evidence {
                says,
                ..Evidence::default()
            });
        };
        let process = match known.tells_process {
            true => opa::process(client, opa)?,
            false => None,
        };
        if process.as_ref().is_some_and(|it| known.loaded.contains(it)) {
            return Ok(Evidence {
                process,
                ..Evidence::default()
            });
        }
        let says = match opa::ready(client, opa)? {
            Some(false) => Some(opal.is_ready(client)),
            says => says,
        };
        let writes = opa::writes(client, opa)?;
        Ok(Evidence {
            process,
            says,
            writes,
        })
    }

    /// How often OPA was written to; none where it does not tell.
    ///
    /// # Errors
    ///
    /// Where OPA does not answer.
    pub fn count(&self, origin: &Origin) -> Result<Option<Writes>, Failure> {
        match origin {
            Origin::Opa(opa) => opa::writes(&self.client, opa),
            Origin::File(_) => Ok(None),
        }
    }

    /// Has OPAL load everything into OPA; whether that includes data.
    ///
    /// # Errors
    ///
    /// Where OPAL refuses.
    pub fn load(&self) -> Result<bool, Failure> {
        self.opal()?.load(&self.client)
    }

    /// Whether OPA answers at all: asks it for what costs nothing.
    ///
    /// # Errors
    ///
    /// Where OPA does not answer, or refuses.
    pub fn reach(&self, origin: &Origin) -> Result<(), Failure> {
        match origin {
            Origin::Opa(opa) => opa::ready(&self.client, opa).map(drop),
            Origin::File(_) => Ok(()),
        }
    }

    /// The users that a rule allows.
    ///
    /// # Errors
    ///
    /// Where OPA does not answer, or the rule is undefined or no list of users.
    pub fn query(&self, origin: &Origin, rule: &Rule) -> Result<Users, Failure> {
        match origin {
            Origin::Opa(opa) => opa::query(&self.client, opa, rule),
            Origin::File(document) => document.users(rule),
        }
    }

    fn opal(&self) -> Result<&Opal, Failure> {
        match &self.kind {
            Kind::Opal(opal) => Ok(opal),
            _ => {
                let words = "this source has no OPAL";
                Err(Failure::new(error::Kind::Setup, words))
            }
        }
    }
}
