//! A token for OPA from the OAuth server that OPAL names.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::{bearer, named_address};
use crate::address::{self, Address};
use crate::error::Failure;
use crate::http::{Body, Client, Request};
use crate::job::Access;

/// What to do where the server refuses.
const REFUSED: &str = "check OPAL_POLICY_STORE_AUTH_OAUTH_CLIENT_ID and \
                       OPAL_POLICY_STORE_AUTH_OAUTH_CLIENT_SECRET of the OPAL client";

/// The answer of an OAuth server (RFC 6749, 5.1).
#[derive(Deserialize)]
struct Grant {
    access_token: String,
    expires_in: Option<f64>,
}

/// OPA at an address, asked with a token of a client-credentials grant (RFC 6749, 4.4).
pub(super) fn access(
    client: &Client,
    opa: Address,
    server: &str,
    client_id: &str,
    client_secret: &str,
) -> Result<Access, Failure> {
    let address = named_address("its OAuth server", server)?;
    // It can matter.
    let slash = if server.ends_with('/') { "/" } else { "" };
    // As OPAL does it: id and secret are not encoded as a form first (RFC 6749, 2.3.1). What lets OPAL
    // in lets us in.
    let basic = address::basic(client_id, client_secret);
    let form = b"grant_type=client_credentials".to_vec();
    let request = Request {
        body: Some(Body::whole("application/x-www-form-urlencoded", form)),
        ..Request::new(Method::POST, format!("{address}{slash}"), Some(&basic))
    };
    let granted = client.send(request).and_then(|answer| match answer.status {
        200..=299 => answer.json(),
        400 | 401 | 403 => Err(answer.failure("", Some(REFUSED))),
        // It can hold a token, whatever its status.
        _ => Err(answer.failure("", None)),
    });
    let about = |failure: Failure| failure.about("the OAuth server that OPAL names");
    let grant: Grant = granted.map_err(about)?;
    let lifetime = grant.expires_in.map(Duration::try_from_secs_f64);
    Ok(Access {
        expires_in: lifetime.and_then(Result::ok),
        ..bearer(
            opa,
            &grant.access_token,
            "the access token of the OAuth server that OPAL names",
        )?
    })
}
