//! An OPA without OPAL, and OPA's API, which the OPA of an OPAL client has too.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use http::Method;
use ring::digest;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Source, Type};
use crate::check::{Answers, SourceCheck, Told, not_asked};
use crate::config::{Key, PeerType, Rule, TLS, ValueKind};
use crate::document;
use crate::error::{Failure, Kind, UNTOLD, quote};
use crate::http::{Answer, Client, Request};
use crate::job::{Access, Allowed, Evidence, Known, Origin, SourceTerms, Writes};
use crate::secret::Secrets;
use crate::users::{Keys, Users};

pub(super) static TYPE: Type = Type {
    config: PeerType {
        name: "opa",
        says: "An OPA without OPAL, which is polled.",
        keys: &[KEYS, TLS],
        check: |_, _| {},
    },
    open: |source, config, _, requests| {
        let settings = &source.settings;
        let url = settings.address("url")?.clone();
        let origin = Origin::Opa(Access::bearer(url, settings.secret("token").ok()));
        Ok(Box::new(Opa {
            client: super::client(source, config, requests)?,
            asks_revision: config.shows_revision(),
            terms: SourceTerms {
                origin: Some(origin.clone()),
                poll_interval: Some(*settings.duration("poll_interval")?),
                waits_until_ready: *settings.bool("wait_until_ready")?,
                ..SourceTerms::default()
            },
            origin,
        }))
    },
};

/// What is added to the address of an OPA.
pub(super) const PATHS: &[&str] = &["/v1/data", "/v1"];

const KEYS: &[Key] = &[
    Key::required("url", ValueKind::Address(PATHS), "\"http://opa:8181\"")
        .was(&["opa_url"])
        .says("OPA's API, without `/v1/data`."),
    Key::optional("token", ValueKind::BearerToken("url"), "\"${OPA_TOKEN}\"")
        .was(&["opa_token"])
        .says("Sent to OPA as `Authorization: Bearer`."),
    Key::default("poll_interval", ValueKind::Duration, "\"10s\"").says("The time between two passes."),
    Key::default("wait_until_ready", ValueKind::Bool, "true").says(
        "Whether nothing is applied until OPA has activated all of its bundles. Before its rules, OPA \
         is asked `GET /health?bundles`: while it answers 500, its rules are not asked; 200 means \
         that it is ready; with any other answer, or none, optoggles goes on.",
    ),
];

struct Opa {
    client: Client,
    asks_revision: bool,
    terms: SourceTerms,
    origin: Origin,
}

impl Source for Opa {
    fn terms(&self) -> SourceTerms {
        self.terms.clone()
    }

    fn discover(&self) -> Result<Origin, Failure> {
        Ok(self.origin.clone())
    }

    fn query(
        &self,
        origin: &Origin,
        rule: &Rule,
        known: Option<&Allowed>,
    ) -> Result<Allowed, Failure> {
        query(&self.client, origin, rule, known, self.asks_revision)
    }

    /// Whether all bundles were activated that it is configured with; none where it does not say.
    fn ready(&self, origin: &Origin, _: &Known) -> Result<Evidence, Failure> {
        let Origin::Opa(opa) = origin else {
            return Ok(Evidence::default());
        };
        let mut request = request(opa, Method::GET, ["health"]);
        request.url += "?bundles";
        let says = match self.client.send(request)?.status {
            200 => Some(true),
            500 => Some(false),
            _ => None,
        };
        Ok(Evidence {
            says,
            ..Evidence::default()
        })
    }

    fn check(&self, has_rules: bool) -> SourceCheck {
        let origin = Ok(self.origin.clone());
        check(self, &self.client, Vec::new(), origin, has_rules)
    }
}

/// Asks an OPA whether it answers and, where its rules wait for that, whether it has loaded everything.
pub(super) fn check(
    source: &impl Source,
    client: &Client,
    mut answers: Answers,
    origin: Result<Origin, Failure>,
    has_rules: bool,
) -> SourceCheck {
    let ask = |origin: &Origin| {
        if let Origin::Opa(opa) = origin {
            match ready(client, opa) {
                // It may refuse this and not the rules, which are asked for next.
                Err(failure) if has_rules && failure.is_lasting() => {}
                reached => drop(reached?),
            }
        }
        match source.terms().waits_until_ready {
            true => check_state(source, origin),
            false => Ok("answers".into()),
        }
    };
    let answer = origin.as_ref().map_err(Clone::clone).and_then(ask);
    let origin = match &answer {
        Err(failure) if origin.is_ok() => Err(not_asked("OPA", failure)),
        _ => origin,
    };
    answers.push(("OPA".to_owned(), answer));
    SourceCheck {
        answers,
        origin: Some(origin),
    }
}

fn check_state(source: &impl Source, opa: &Origin) -> Result<Told, Failure> {
    let anything = Known {
        tells_process: true,
        ..Known::default()
    };
    let Evidence { says, writes, .. } = source.ready(opa, &anything)?;
    let loads = source.terms().loads;
    let lacks_data = writes.is_some_and(|writes| writes.data == 0);
    match says {
        Some(false) => Err(Failure::not_ready(loads)),
        _ if lacks_data => Err(Failure::not_ready(true)),
        Some(true) => Ok("answers, everything is loaded".into()),
        None if writes.is_some() => Ok("answers, data was written to it".into()),
        None if loads => Ok(Told::warning(format!("answers, but {UNTOLD}"))),
        None => Ok("answers".into()),
    }
}

/// An answer of `GET /v1/data/…`; other members, such as `decision_id`, are ignored.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Data<T> {
    /// None where the rule is undefined; `null` is a value.
    #[serde(default, deserialize_with = "defined")]
    result: Option<T>,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

pub(super) fn query(
    client: &Client,
    origin: &Origin,
    rule: &Rule,
    known: Option<&Allowed>,
    asks_revision: bool,
) -> Result<Allowed, Failure> {
    let opa = match origin {
        Origin::Opa(opa) => opa,
        Origin::File(document) => return document.users(rule).map(Allowed::from),
    };
    let package = rule.package.split('.');
    let path = package.chain([rule.rule.as_str()]);
    let query = if asks_revision {
        "?provenance=true"
    } else {
        ""
    };
    let answer = get(client, opa, path, query, rule.input.as_ref())?;
    read(
        answer,
        rule,
        known,
        asks_revision.then_some(&client.secrets),
    )
}

/// Whom an answer allows; with secrets to redact in it, also by which revision.
fn read(
    answer: Answer,
    rule: &Rule,
    known: Option<&Allowed>,
    secrets: Option<&Secrets>,
) -> Result<Allowed, Failure> {
    let digest = digest::digest(&digest::SHA256, &answer.body);
    let digest = digest.as_ref().try_into().ok();
    // Nearly always, nothing has changed.
    if let Some(known) = known.filter(|known| known.digest == digest) {
        return Ok(known.clone());
    }
    let revision = secrets.and_then(|secrets| Some(secrets.redact(&revision_in(&answer)?).into()));
    Ok(Allowed {
        users: Arc::new(users_in(answer, rule)?),
        revision,
        digest,
    })
}

/// What OPA says of its bundles beside an answer; nothing where it has none.
#[derive(Deserialize)]
struct Deciding {
    provenance: Provenance,
}

#[derive(Deserialize)]
struct Provenance {
    bundles: BTreeMap<String, Bundle>,
}

#[derive(Deserialize)]
struct Bundle {
    revision: String,
}

/// The revisions of OPA's bundles: of several, with their names.
fn revision_in(answer: &Answer) -> Option<String> {
    let told: Deciding = serde_json::from_slice(&answer.body).ok()?;
    let bundles = told.provenance.bundles;
    let is_only = bundles.len() == 1;
    let revisions = bundles
        .into_iter()
        .map(|(name, Bundle { revision })| match is_only {
            true => revision,
            false => format!("{name}={revision}"),
        });
    let words = revisions.collect::<Vec<_>>().join(", ");
    Some(quote(words.as_bytes())).filter(|_| !words.is_empty())
}

fn users_in(mut answer: Answer, rule: &Rule) -> Result<Users, Failure> {
    if let Ok(Data { result: Some(keys) }) = answer.json::<Data<Keys>>()
        && !keys.has_empty_key()
    {
        return Ok(keys.take_from(mem::take(&mut answer.body)));
    }
    match answer.json::<Data<&RawValue>>()?.result {
        Some(value) => document::users(rule, value),
        None => Err(Failure::undefined(rule)),
    }
}

/// Whether OPAL's health policy says that OPA has loaded everything; none without that policy.
pub(super) fn ready(client: &Client, opa: &Access) -> Result<Option<bool>, Failure> {
    let answer = get(client, opa, ["system", "opal", "ready"], "", None)?;
    Ok(answer.json::<Data<bool>>()?.result)
}

/// Which process answers: OPA gives itself another id at each start; none where it does not say.
pub(super) fn process(client: &Client, opa: &Access) -> Result<Option<String>, Failure> {
    let answer = unless_refused(client, opa, &["v1", "config"])?;
    let id = |config: Value| Some(config.pointer("/result/labels/id")?.as_str()?.to_owned());
    Ok(answer.and_then(|answer| answer.json().ok()).and_then(id))
}

/// How often OPA was written to since it was started; none where it does not say.
pub(super) fn writes(client: &Client, opa: &Access) -> Result<Option<Writes>, Failure> {
    let answer = unless_refused(client, opa, &["metrics"])?;
    Ok(answer.and_then(|answer| count_writes(&String::from_utf8_lossy(&answer.body))))
}

/// The answer to a question that OPA may refuse to answer; none where it does.
fn unless_refused(client: &Client, opa: &Access, path: &[&str]) -> Result<Option<Answer>, Failure> {
    let request = request(opa, Method::GET, path.iter().copied());
    match client.send(request).and_then(Answer::success) {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.is_unreachable() => Err(failure),
        Err(_) => Ok(None),
    }
}

/// The successful writes in OPA's metrics; none where these do not count requests to its data.
fn count_writes(metrics: &str) -> Option<Writes> {
    let mut writes = Writes::default();
    let mut counts_data = false;
    for line in metrics.lines() {
        let counted = line.strip_prefix("http_request_duration_seconds_count{");
        let Some((labels, count)) = counted.and_then(|rest| rest.split_once("} ")) else {
            continue;
        };
        let count = count.trim().parse::<f64>().unwrap_or_default() as u64;
        let has = |label: &str| labels.contains(label);
        let (is_data, is_policy) = (has("handler=\"v1/data\""), has("handler=\"v1/policies\""));
        counts_data |= is_data && count > 0;
        let mut methods = ["put", "patch", "delete"].into_iter();
        let is_write = methods.any(|method| has(&format!("method=\"{method}\"")));
        match (is_data, is_policy) {
            _ if !has("code=\"2") => {}
            (true, _) if is_write => writes.data += count,
            (_, true) if is_write => writes.policies += count,
            (_, true) if has("method=\"get\"") => writes.lists += count,
            _ => {}
        }
    }
    counts_data.then_some(writes)
}

/// Asks for a document, with an `input` if there is one.
fn get<'a>(
    client: &Client,
    opa: &Access,
    path: impl IntoIterator<Item = &'a str>,
    query: &str,
    input: Option<&Value>,
) -> Result<Answer, Failure> {
    let path = ["v1", "data"].into_iter().chain(path);
    let mut request = match input {
        None => request(opa, Method::GET, path),
        Some(input) => request(opa, Method::POST, path).json(&json!({ "input": input }))?,
    };
    request.url += query;
    let answer = client.send(request)?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let Ok(Refusal { code, message }) = serde_json::from_slice(&answer.body) else {
        return Err(match input {
            None => answer.failure(&quote(&answer.body), None),
            Some(_) => answer.failure("", None),
        });
    };
    let said = match input {
        None => format!("{code}: {message}"),
        // The message can quote what is in the input.
        Some(_) => code,
    };
    let mut failure = answer.failure(&quote(said.as_bytes()), None);
    // An error of OPA's compiler, such as that the rule is a function, does not pass by itself.
    if String::from_utf8_lossy(&answer.body).contains("rego_type_error") {
        failure.kind = Kind::WrongType;
    }
    Err(failure)
}

pub(super) fn request<'a>(
    at: &Access,
    method: Method,
    path: impl IntoIterator<Item = &'a str>,
) -> Request<'_> {
    Request::new(method, at.url.join(path), at.authorization.as_ref())
}

pub(super) fn defined<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
