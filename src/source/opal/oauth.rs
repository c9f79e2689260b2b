//! A token for OPA from the OAuth server that OPAL names.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use crate::address::{self, Address};
use crate::error::{Failure, Kind, quote};
use crate::http::{Body, Client, Request};
use crate::job::Access;
use crate::secret::Secret;

/// What a failure is about.
const SERVER: &str = "the OAuth server that OPAL names";

/// What to do where it refuses.
const REFUSED: &str = "check OPAL_POLICY_STORE_AUTH_OAUTH_CLIENT_ID and \
                       OPAL_POLICY_STORE_AUTH_OAUTH_CLIENT_SECRET of the OPAL client";

/// Where a token is to be had, and who asks for it.
pub(super) struct Grantor<'a> {
    pub(super) server: &'a str,
    pub(super) client_id: &'a str,
    pub(super) client_secret: &'a str,
}

/// The answer of an OAuth server (RFC 6749, 5.1).
#[derive(Deserialize)]
struct Grant {
    access_token: String,
    expires_in: Option<f64>,
}

impl Grantor<'_> {
    /// OPA at an address, asked with a token of a client-credentials grant (RFC 6749, 4.4).
    pub(super) fn access(&self, client: &Client, opa: Address) -> Result<Access, Failure> {
        let grant = self.grant(client)?;
        let lifetime = grant.expires_in.map(Duration::try_from_secs_f64);
        Ok(Access {
            expires_in: lifetime.and_then(Result::ok),
            ..Access::bearer(opa, Some(&Secret::new(grant.access_token)))
        })
    }

    fn grant(&self, client: &Client) -> Result<Grant, Failure> {
        let about = |failure: Failure| failure.about(SERVER);
        // As OPAL itself does it: not encoded as a form before (RFC 6749, 2.3.1). What lets OPAL in
        // lets us in.
        let basic = address::basic(self.client_id, self.client_secret);
        let secret = Secret::new(self.client_secret);
        let mut request = Request::new(Method::POST, self.url()?).authorized(Some(&basic));
        let form = b"grant_type=client_credentials".to_vec();
        request.body = Some(Body::whole("application/x-www-form-urlencoded", form));
        request.secret = Some(&secret);
        let answer = client.send(request).map_err(about)?;
        let granted = match answer.status {
            400 | 401 | 403 => Err(answer.failure_with(&quote(&answer.body), Some(REFUSED))),
            _ => answer.success().and_then(|answer| answer.json()),
        };
        granted.map_err(about)
    }

    /// The address as OPAL names it, with the slash at its end, which can matter.
    fn url(&self) -> Result<String, Failure> {
        let address = Address::parse(self.server).map_err(|error| {
            let words = format!("OPAL names an OAuth server whose address cannot be used: {error}");
            Failure::new(Kind::Answer, words)
        })?;
        let slash = if self.server.ends_with('/') { "/" } else { "" };
        Ok(format!("{address}{slash}"))
    }
}
