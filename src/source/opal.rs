//! The OPAL client's API.

mod oauth;
pub mod report;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::config;
use crate::error::{Failure, Kind, quote};
use crate::http::{Answer, Client, Request};
use crate::job::Access;
use crate::secret::Secret;
use oauth::Grantor;

/// An OPAL client, and our registration with it.
pub(super) struct Opal {
    config: config::Opal,
    authorization: Option<Secret>,
    key: String,
    callback: Callback,
}

/// Where OPAL is to call, and what it has to bring along.
struct Callback {
    url: String,
    authorization: Secret,
}

/// The answer of `GET /policy-store/config`.
#[derive(Deserialize)]
struct PolicyStore {
    url: String,
    #[serde(default)]
    auth_type: Option<String>,
    token: Option<String>,
    oauth_client_id: Option<String>,
    oauth_client_secret: Option<String>,
    oauth_server: Option<String>,
}

/// A callback's entry, as far as we write and read it. What else is in an answer is users' data.
#[derive(Deserialize, Serialize)]
struct Entry {
    #[serde(skip_deserializing)]
    key: String,
    url: String,
    config: EntryConfig,
}

#[derive(Deserialize, Serialize)]
struct EntryConfig {
    #[serde(skip_deserializing)]
    method: String,
    #[serde(default)]
    headers: EntryHeaders,
}

#[derive(Default, Deserialize, Serialize)]
struct EntryHeaders {
    #[serde(rename = "Authorization", default)]
    authorization: String,
}

impl Opal {
    pub(super) fn new(id: &str, opal: &config::Opal, callback_token: &Secret) -> Opal {
        let bearer = Secret::new(format!("Bearer {}", callback_token.expose()));
        Opal {
            authorization: Access::bearer(opal.url.clone(), opal.token.as_ref()).authorization,
            key: registration_key(id, &opal.instance),
            callback: Callback {
                url: opal.advertised_address.join(["opa_update", id]),
                authorization: bearer,
            },
            config: opal.clone(),
        }
    }

    /// Where OPA is, and with what authorization it can be asked.
    pub(super) fn discover(&self, client: &Client) -> Result<Access, Failure> {
        let answer = client.send(self.request(Method::GET, ["policy-store", "config"]))?;
        let store: PolicyStore = accepted(answer)?.json()?;
        let url = Address::parse(&store.url).map_err(|error| {
            let words = format!("OPAL names an OPA whose address cannot be used: {error}");
            Failure::new(Kind::Answer, words)
        })?;
        // OPA is on OPAL's own host then, which is ours only if OPAL is here too.
        let url = match url.is_loopback() && !self.config.url.is_loopback() {
            true => url.at_host(self.config.url.host()),
            false => url,
        };
        self.authorize(client, url, &store)
    }

    fn authorize(
        &self,
        client: &Client,
        url: Address,
        store: &PolicyStore,
    ) -> Result<Access, Failure> {
        if let Some(token) = &self.config.opa_token {
            return Ok(Access::bearer(url, Some(token)));
        }
        match store.auth_type.as_deref().unwrap_or("none") {
            "none" => Ok(Access::bearer(url, None)),
            "token" => {
                let token = store
                    .token
                    .as_ref()
                    .ok_or_else(|| withheld("OPA's token", "set opa_token on the source"))?;
                Ok(Access::bearer(url, Some(&Secret::new(token))))
            }
            "oauth" => store.grantor()?.access(client, url),
            "tls" if self.config.tls.identity.is_some() => Ok(Access::bearer(url, None)),
            "tls" => {
                let words = "OPA wants a client certificate: set cert_file and key_file on the \
                             source";
                Err(Failure::new(Kind::Setup, words))
            }
            _ => {
                let words = "OPAL names an authorization for OPA that is not known here (known \
                             are none, token, oauth and tls): set opa_token on the source";
                Err(Failure::new(Kind::Setup, words))
            }
        }
    }

    pub(super) fn register(&self, client: &Client) -> Result<(), Failure> {
        let entry = Entry {
            key: self.key.clone(),
            url: self.callback.url.clone(),
            config: EntryConfig {
                method: "post".to_owned(),
                headers: EntryHeaders {
                    authorization: self.callback.authorization.expose().to_owned(),
                },
            },
        };
        let request = Request {
            secret: Some(&self.callback.authorization),
            ..self.request(Method::POST, ["callbacks"]).json(&entry)?
        };
        accepted(client.send(request)?).map(drop)
    }

    /// Whether our registration is there, and leads to us with the right token.
    pub(super) fn is_registered(&self, client: &Client) -> Result<bool, Failure> {
        let ours = |entry: Entry| {
            let presented = entry.config.headers.authorization;
            entry.url == self.callback.url && self.callback.authorization.matches(&presented)
        };
        Ok(self.find(client)?.is_some_and(ours))
    }

    /// Whether a registration leads to our address, with whatever token: each start has its own.
    pub(super) fn leads_here(&self, client: &Client) -> Result<bool, Failure> {
        let here = |entry: Entry| entry.url == self.callback.url;
        Ok(self.find(client)?.is_some_and(here))
    }

    /// What is registered under our key. What cannot be understood is none of ours.
    fn find(&self, client: &Client) -> Result<Option<Entry>, Failure> {
        let answer = client.send(self.entry(Method::GET))?;
        match answer.status {
            404 => Ok(None),
            _ => Ok(accepted(answer)?.json().ok()),
        }
    }

    pub(super) fn leave(&self, client: &Client) -> Result<(), Failure> {
        if !self.is_registered(client)? {
            return Ok(());
        }
        let answer = client.send(self.entry(Method::DELETE))?;
        match answer.status {
            404 => Ok(()),
            _ => accepted(answer).map(drop),
        }
    }

    /// Has OPAL load all policy and all data into OPA; false where it never loads data. OPAL does so
    /// after it has answered.
    pub(super) fn load(&self, client: &Client) -> Result<bool, Failure> {
        let trigger = |updater| client.send(self.request(Method::POST, [updater, "trigger"]));
        let policy = trigger("policy-updater").and_then(Answer::success);
        let data = trigger("data-updater")?;
        policy?;
        match data.status {
            // Its data updater is turned off.
            503 => Ok(false),
            _ => data.success().map(|_| true),
        }
    }

    /// Whether OPAL says that it has loaded policy and data into OPA.
    pub(super) fn is_ready(&self, client: &Client) -> bool {
        let answer = client.send(self.request(Method::GET, ["ready"]));
        answer.is_ok_and(|answer| answer.status == 200)
    }

    fn request<'a>(&self, method: Method, path: impl IntoIterator<Item = &'a str>) -> Request<'_> {
        let url = self.config.url.join(path);
        Request::new(method, url).authorized(self.authorization.as_ref())
    }

    /// The key's characters need no encoding, and OPAL need not decode them. An answer of any status
    /// can hold the entry, and with it our token.
    fn entry(&self, method: Method) -> Request<'_> {
        let url = format!("{}/{}", self.config.url.join(["callbacks"]), self.key);
        Request {
            secret: Some(&self.callback.authorization),
            ..Request::new(method, url).authorized(self.authorization.as_ref())
        }
    }
}

impl PolicyStore {
    fn grantor(&self) -> Result<Grantor<'_>, Failure> {
        match (
            &self.oauth_server,
            &self.oauth_client_id,
            &self.oauth_client_secret,
        ) {
            (Some(server), Some(client_id), Some(client_secret)) => Ok(Grantor {
                server,
                client_id,
                client_secret,
            }),
            _ => Err(withheld(
                "the OAuth client's secret",
                "set opa_token on the source",
            )),
        }
    }
}

/// The key of our registration: always the same, so that a restart replaces it. A slash in it would
/// never be found again by OPAL.
fn registration_key(id: &str, instance: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._:-".contains(character);
    let clean = |character| if allowed(character) { character } else { '-' };
    format!("optoggles:{id}:{instance}")
        .chars()
        .map(clean)
        .collect()
}

/// An answer that is a 2xx. In secure mode OPAL takes tokens of one type alone, and names the claim of those
/// that it refuses for their type.
fn accepted(answer: Answer) -> Result<Answer, Failure> {
    const ADVICE: &str = "the token is missing or wrong: the source needs one of type listener, from \
                          opal-client obtain-token MASTER_TOKEN --server-url URL --type listener";
    let said = quote(&answer.body);
    match answer.status {
        401 if said.contains("peer_type") => Err(answer.failure_with(&said, Some(ADVICE))),
        _ => answer.success(),
    }
}

fn withheld(what: &str, advice: &str) -> Failure {
    let words =
        format!("OPAL does not give out {what} (OPAL_EXCLUDE_POLICY_STORE_SECRETS): {advice}");
    Failure::new(Kind::Setup, words)
}

#[cfg(test)]
mod tests;
