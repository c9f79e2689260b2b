//! An OPAL client, and the OPA that it manages.

mod entry;
mod oauth;
pub(super) mod report;

use std::io::Read;
use std::slice;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Source, Type, opa};
use crate::address::Address;
use crate::check::{Answers, SourceCheck, Told, not_asked};
use crate::config::{self, Context, Key, PeerType, Rule, Section, Setting, TLS, ValueKind};
use crate::error::{Failure, Kind, quote};
use crate::http::{Answer, Client, Request};
use crate::job::{Access, Allowed, Evidence, Known, Origin, Registration, SourceTerms, Writes};
use crate::secret::{Secret, unfit_for_header};
use entry::Entry;

pub(super) static TYPE: Type = Type {
    config: PeerType {
        name: "opal",
        says: "An OPAL client and the OPA that it manages. The OPAL client has to run with \
               `OPAL_SHOULD_REPORT_ON_DATA_UPDATES=True`, and should run with \
               `OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED=True`; see OPAL in optoggles.toml(5).",
        keys: &[KEYS, TLS],
        check: check_settings,
    },
    open: |source, config, callback_token, requests| {
        let client = super::client(source, config, requests)?;
        Ok(Box::new(Opal::new(source, callback_token, client)?))
    },
};

const KEYS: &[Key] = &[
    Key::required(
        "url",
        ValueKind::Address(&[]),
        "\"http://opal-client:7000\"",
    )
    .says("The OPAL client's API."),
    Key::optional("token", ValueKind::BearerToken("url"), "\"${OPAL_TOKEN}\"").says(
        "Sent to OPAL as `Authorization: Bearer`. In secure mode OPAL accepts only a token of type \
         listener.",
    ),
    Key::required(
        "advertised_address",
        ValueKind::AdvertisedAddress,
        "\"optoggles:8080\"",
    )
    .says("Where OPAL reaches `optoggles serve`: a host and a port, or a URL."),
    Key::optional("instance", ValueKind::Filled, "\"a\"").says(
        "What tells replicas behind one address apart: part of the key under which callbacks are \
         registered. By default the `advertised_address`.",
    ),
    Key::optional(
        "opa_url",
        ValueKind::Address(opa::PATHS),
        "\"http://opa:8181\"",
    )
    .says("Where OPA is; without it, OPAL is asked."),
    Key::optional(
        "opa_token",
        ValueKind::BearerToken("opa_url"),
        "\"${OPA_TOKEN}\"",
    )
    .says("For OPA, where OPAL keeps OPA's token to itself."),
    Key::default("wait_until_ready", ValueKind::Bool, "true").says(
        "Whether nothing is applied until OPA has loaded everything, at its start and after a \
         restart. Set it to false only where that never happens, such as where OPAL loads no data.",
    ),
];

fn check_settings(section: &mut Section, cx: &mut Context) {
    let (Some(read), Some(url)) = (section.get("advertised_address"), section.get("url")) else {
        return;
    };
    if let (Setting::Address(advertised), Setting::Address(url)) = (&read.setting, &url.setting) {
        let is_any = matches!(advertised.host(), "0.0.0.0" | "[::]");
        if is_any || (advertised.is_loopback() && !url.is_loopback()) {
            let message = "OPAL on another host cannot reach this `advertised_address`";
            let help = "write the name or address that this machine has for OPAL's host, such as \
                        `advertised_address = \"optoggles:8080\"`";
            cx.warn("unreachable-address", &read.place, message, help);
        }
    }
    if let Some(text) = &read.text {
        let advertised = Setting::Text(text.value.clone());
        section.set_default("instance", advertised);
    }
}

/// An OPAL client, and our registration with it.
struct Opal {
    client: Client,
    terms: SourceTerms,
    /// OPAL itself is asked as OPA is.
    opal: Access,
    opa_token: Option<Secret>,
    has_certificate: bool,
    key: String,
    /// What the keys of all registrations for this source begin with.
    prefix: String,
    /// Where OPAL is to call.
    callback_url: String,
    /// What a callback has to bring along.
    callback_authorization: Secret,
}

/// The answer of `GET /policy-store/config`.
#[derive(Deserialize)]
struct PolicyStore {
    url: String,
    auth_type: Option<String>,
    token: Option<String>,
    oauth_client_id: Option<String>,
    oauth_client_secret: Option<String>,
    oauth_server: Option<String>,
}

impl Opal {
    fn new(
        source: &config::Source,
        callback_token: &Secret,
        client: Client,
    ) -> Result<Opal, String> {
        let (id, settings) = (&source.id, &source.settings);
        let url = settings.address("url")?.clone();
        let advertised = settings.address("advertised_address")?;
        let instance = settings.text("instance")?;
        let configured = settings.address("opa_url").ok().cloned();
        let opa_token = settings.secret("opa_token").ok().cloned();
        let configured = configured.map(|url| Access::bearer(url, opa_token.as_ref()));
        Ok(Opal {
            client,
            terms: SourceTerms {
                origin: configured.map(Origin::Opa),
                registration: Some(Registration {
                    key: (url.clone(), id.to_owned(), instance.to_owned()),
                    advertised: advertised.clone(),
                }),
                waits_until_ready: *settings.bool("wait_until_ready")?,
                loads: true,
                ..SourceTerms::default()
            },
            key: registration_key(id, instance),
            prefix: registration_key(id, ""),
            callback_url: advertised.join(["opa_update", id]),
            callback_authorization: Secret::new(format!("Bearer {}", callback_token.expose())),
            opa_token,
            has_certificate: settings.tls().identity.is_some(),
            opal: Access::bearer(url, settings.secret("token").ok()),
        })
    }

    /// Where OPA is, and with what authorization it can be asked.
    fn find_opa(&self) -> Result<Access, Failure> {
        let request = opa::request(&self.opal, Method::GET, ["policy-store", "config"]);
        let store: PolicyStore = accepted(self.client.send(request)?)?.json()?;
        let url = named_address("OPA", &store.url)?;
        // A loopback address is OPAL's own host, which is ours only if OPAL is here too.
        let url = match url.is_loopback() && !self.opal.url.is_loopback() {
            true => url.at_host(self.opal.url.host()),
            false => url,
        };
        self.authorize(url, &store)
    }

    fn authorize(&self, url: Address, store: &PolicyStore) -> Result<Access, Failure> {
        if let Some(token) = &self.opa_token {
            return Ok(Access::bearer(url, Some(token)));
        }
        match store.auth_type.as_deref().unwrap_or("none") {
            "none" => Ok(Access::bearer(url, None)),
            "token" => match &store.token {
                Some(token) => bearer(url, token, "OPAL's token for OPA"),
                None => Err(withheld("OPA's token")),
            },
            "oauth" => {
                let client_id = store.oauth_client_id.as_ref();
                let client = client_id.zip(store.oauth_client_secret.as_ref());
                match store.oauth_server.as_ref().zip(client) {
                    Some((server, (id, secret))) => {
                        oauth::access(&self.client, url, server, id, secret)
                    }
                    None => Err(withheld("the OAuth client's secret")),
                }
            }
            "tls" if self.has_certificate => Ok(Access::bearer(url, None)),
            "tls" => Err(Failure::new(
                Kind::Setup,
                "OPA requires a client certificate: set cert_file and key_file on the source",
            )),
            _ => Err(Failure::new(
                Kind::Setup,
                "unsupported auth_type of OPA (supported are none, token, oauth and tls): set \
                 opa_token on the source",
            )),
        }
    }

    /// What is registered under our key, if anything.
    fn find(&self) -> Result<Entry, Failure> {
        let mut entry = Entry::default();
        let mut scan = |body: &mut dyn Read| entry.read(body);
        let request = self.entry(Method::GET, &self.key);
        let answer = self.client.send_and(request, Some(&mut scan))?;
        match answer.status {
            404 => Ok(Entry::default()),
            _ => accepted(answer).map(|_| entry),
        }
    }

    fn check_callbacks(&self, opa: Option<&Failure>) -> Answers {
        let ours = match opa.filter(|failure| failure.is_unreachable()) {
            Some(failure) => Err(not_asked("OPAL", failure)),
            // With whatever token: each start has its own.
            None => self.find().map(|entry| match entry.url {
                Some(url) if url == self.callback_url => "registered".into(),
                _ => "not registered (serve does that)".into(),
            }),
        };
        let others = if ours.is_ok() {
            self.check_others()
        } else {
            Vec::new()
        };
        let all = [ours].into_iter().chain(others.into_iter().map(Ok));
        all.map(|told| ("callbacks".to_owned(), told)).collect()
    }

    /// Registrations for the same source under other keys, one warning each: those of other instances, and
    /// those that an earlier start could not take back, such as where OPAL's token had expired.
    fn check_others(&self) -> Vec<Told> {
        /// More are only counted.
        const NAMED: usize = 5;
        let mut keys = Vec::new();
        let mut scan = |body: &mut dyn Read| entry::keys(body).map(|all| keys = all);
        let request = opa::request(&self.opal, Method::GET, ["callbacks"]);
        let answer = self.client.send_and(request, Some(&mut scan));
        if let Err(failure) = answer.and_then(accepted) {
            return vec![Told::warning(failure.to_string())];
        }
        keys.retain(|key| *key != self.key && key.starts_with(&self.prefix));
        // We make no others.
        keys.retain(|key| key.len() <= 1000 && !key.contains(is_unsafe));
        let header = match self.opal.authorization {
            Some(_) => "-H \"Authorization: …\" ",
            None => "",
        };
        let named = keys.iter().take(NAMED).map(|key| {
            let url = self.entry(Method::DELETE, key).url;
            Told::warning(format!(
                "{key} is registered for this source too: unless that is another running instance, an \
                 earlier start left it behind, and OPAL still calls it: remove it with curl -X DELETE \
                 {header}{url}"
            ))
        });
        let more = keys.len().saturating_sub(NAMED);
        let list = self.opal.url.join(["callbacks"]);
        let more = (more > 0).then(|| Told::warning(format!("and {more} more: GET {list}")));
        named.chain(more).collect()
    }

    /// A request for an entry. An answer of any status can hold it, and with it a token and users.
    fn entry(&self, method: Method, key: &str) -> Request<'_> {
        let request = opa::request(&self.opal, method, ["callbacks"]);
        Request {
            // Keys that we make need no encoding.
            url: format!("{}/{key}", request.url),
            ..request
        }
    }
}

impl Source for Opal {
    fn terms(&self) -> SourceTerms {
        self.terms.clone()
    }

    fn discover(&self) -> Result<Origin, Failure> {
        self.find_opa().map(Origin::Opa)
    }

    fn query(
        &self,
        origin: &Origin,
        rule: &Rule,
        known: Option<&Allowed>,
    ) -> Result<Allowed, Failure> {
        // OPAL writes into its OPA, which then has no bundles.
        opa::query(&self.client, origin, rule, known, false)
    }

    /// OPAL's health policy in OPA can be wrong both ways. It can stay false although everything is loaded,
    /// which OPAL itself then knows; and it can be true of the OPA that was there before.
    fn ready(&self, origin: &Origin, known: &Known) -> Result<Evidence, Failure> {
        let (Origin::Opa(opa), client) = (origin, &self.client) else {
            return Ok(Evidence::default());
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
            Some(false) => {
                let answer = client.tell(opa::request(&self.opal, Method::GET, ["ready"]));
                Some(answer.is_ok_and(|answer| answer.status == 200))
            }
            says => says,
        };
        let writes = opa::writes(client, opa)?;
        Ok(Evidence {
            process,
            says,
            writes,
        })
    }

    fn count(&self, origin: &Origin) -> Result<Option<Writes>, Failure> {
        match origin {
            Origin::Opa(opa) => opa::writes(&self.client, opa),
            Origin::File(_) => Ok(None),
        }
    }

    fn register(&self) -> Result<(), Failure> {
        let entry = json!({
            "key": self.key,
            "url": self.callback_url,
            "config": {
                "method": "post",
                "headers": { "Authorization": self.callback_authorization.expose() },
            },
        });
        let request = Request {
            secrets: slice::from_ref(&self.callback_authorization),
            ..opa::request(&self.opal, Method::POST, ["callbacks"])
        };
        let answer = self.client.tell(request.json(&entry)?)?;
        accepted(answer).map(drop)
    }

    fn watch(&self) -> Result<bool, Failure> {
        let Entry { url, authorization } = self.find()?;
        let is_ours = |presented: &str| self.callback_authorization.matches(presented);
        let leads_here = url.is_some_and(|url| url == self.callback_url);
        Ok(leads_here && authorization.as_deref().is_some_and(is_ours))
    }

    fn leave(&self) -> Result<(), Failure> {
        if !self.watch()? {
            return Ok(());
        }
        let answer = self.client.tell(self.entry(Method::DELETE, &self.key))?;
        match answer.status {
            404 => Ok(()),
            _ => accepted(answer).map(drop),
        }
    }

    /// OPAL loads after it has answered.
    fn load(&self) -> Result<bool, Failure> {
        let trigger = |updater| {
            let request = opa::request(&self.opal, Method::POST, [updater, "trigger"]);
            self.client.tell(request)
        };
        let policy = trigger("policy-updater").and_then(Answer::success);
        let data = trigger("data-updater")?;
        policy?;
        match data.status {
            // Its data updater is turned off.
            503 => Ok(false),
            _ => data.success().map(|_| true),
        }
    }

    fn check(&self, has_rules: bool) -> SourceCheck {
        let (origin, knows) = match &self.terms.origin {
            Some(origin) => (Ok(origin.clone()), "opa_url says that "),
            None => (self.discover(), ""),
        };
        let found = origin
            .clone()
            .map(|origin| format!("{knows}{origin}").into());
        let mut answers = vec![("OPAL".to_owned(), found)];
        answers.extend(self.check_callbacks(origin.as_ref().err()));
        let origin = origin.map_err(|failure| not_asked("OPAL", &failure));
        opa::check(self, &self.client, answers, origin, has_rules)
    }
}

/// The key of a registration: always the same, so that a restart replaces it, and without a slash, which
/// OPAL would not find again.
fn registration_key(id: &str, instance: &str) -> String {
    format!("optoggles:{id}:{instance}").replace(is_unsafe, "-")
}

fn is_unsafe(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || "._:-".contains(c))
}

/// An answer that is a 2xx. Of another, nothing is repeated, because it can hold users, or secrets that are not
/// known yet; except of a 401, which is about our own token.
///
/// In secure mode OPAL accepts one type of token, and names the claim `peer_type` where it rejects another.
fn accepted(answer: Answer) -> Result<Answer, Failure> {
    const ADVICE: &str = "the token is missing or wrong: the source needs one of type listener, from \
                          opal-client obtain-token MASTER_TOKEN --server-url URL --type listener";
    let said = match answer.status {
        200..=299 => return Ok(answer),
        401 => quote(&answer.body),
        _ => String::new(),
    };
    let is_of_wrong_type = said.contains("peer_type");
    Err(answer.failure(&said, is_of_wrong_type.then_some(ADVICE)))
}

/// The address of `whose`, as OPAL names it.
fn named_address(whose: &str, text: &str) -> Result<Address, Failure> {
    Address::parse(text).map_err(|error| {
        let words = format!("OPAL names an invalid address of {whose}: {error}");
        Failure::new(Kind::Answer, words)
    })
}

/// OPA at an address, asked with a token that was told to us.
fn bearer(url: Address, token: &str, called: &str) -> Result<Access, Failure> {
    if let Some((_, what)) = unfit_for_header(token) {
        let words = format!("{called} contains {what}, which an HTTP header cannot carry");
        return Err(Failure::new(Kind::Setup, words));
    }
    Ok(Access::bearer(url, Some(&Secret::new(token))))
}

fn withheld(what: &str) -> Failure {
    let words = format!(
        "OPAL withholds {what} (OPAL_EXCLUDE_POLICY_STORE_SECRETS): set opa_token on the source"
    );
    Failure::new(Kind::Setup, words)
}

#[cfg(test)]
mod tests;
