//! A source: discover, register, watch, query.

mod opa;
mod opal;

use crate::config::{self, Config, Rule, SourceKind};
use crate::error::{Failure, Kind};
use crate::http::Client;
use crate::job::{Access, Readiness};
use crate::secret::Secret;
use crate::users::Users;
use opal::Opal;

/// Makes the requests to a source.
pub struct Source {
    client: Client,
    opal: Option<Opal>,
}

impl Source {
    /// A source of the configuration, which is to call us back with `callback_token`.
    ///
    /// # Errors
    ///
    /// Says which certificate or key cannot be used.
    pub fn new(
        source: &config::Source,
        config: &Config,
        callback_token: &Secret,
    ) -> Result<Source, String> {
        let (tls, opal) = match &source.kind {
            SourceKind::Opal(opal) => {
                (&opal.tls, Some(Opal::new(&source.id, opal, callback_token)))
            }
            SourceKind::Opa(opa) => (&opa.tls, None),
        };
        let client = Client::new(config.http_timeout, config.concurrency, tls)
            .map_err(|error| format!("source {}: {error}", source.id))?;
        Ok(Source { client, opal })
    }

    /// Asks OPAL where OPA is.
    ///
    /// # Errors
    ///
    /// Where OPAL does not answer, or names an OPA that we cannot ask.
    pub fn discover(&self) -> Result<Access, Failure> {
        self.opal()?.discover(&self.client)
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

    /// Whether OPA has loaded everything, as far as OPAL, and OPA itself, tell.
    ///
    /// OPAL's health policy in OPA can be wrong both ways: it can stay false although all is loaded,
    /// and then OPAL itself knows; and it can be true of the OPA that was there before.
    ///
    /// # Errors
    ///
    /// Where OPA does not answer.
    pub fn ready(&self, opa: &Access) -> Result<Readiness, Failure> {
        let told = opa::ready(&self.client, opa)?;
        let opal_is_ready = || {
            self.opal
                .as_ref()
                .is_some_and(|opal| opal.is_ready(&self.client))
        };
        Ok(match told {
            None => Readiness::Untold,
            Some(false) if !opal_is_ready() => Readiness::NotReady,
            Some(_) if opa::lacks_data(&self.client, opa) => Readiness::NotReady,
            Some(_) => Readiness::Ready,
        })
    }

    /// Whether OPA answers at all: asks it for what costs nothing.
    ///
    /// # Errors
    ///
    /// Where OPA does not answer, or refuses.
    pub fn reach(&self, opa: &Access) -> Result<(), Failure> {
        opa::ready(&self.client, opa).map(drop)
    }

    /// The users that a rule allows.
    ///
    /// # Errors
    ///
    /// Where OPA does not answer, or the rule is undefined or no list of users.
    pub fn query(&self, opa: &Access, rule: &Rule) -> Result<Users, Failure> {
        opa::query(&self.client, opa, rule)
    }

    fn opal(&self) -> Result<&Opal, Failure> {
        let words = "this source has no OPAL";
        self.opal
            .as_ref()
            .ok_or_else(|| Failure::new(Kind::Setup, words))
    }
}
