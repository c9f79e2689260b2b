//! OPA's data API.

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::config::Rule;
use crate::error::{Failure, quote};
use crate::http::{Answer, Client, Request};
use crate::job::{Access, Writes};
use crate::users::{Keys, Users, describe_wrong};

/// The rule of OPAL's health policy that tells whether policy and data were loaded.
const READY: [&str; 3] = ["system", "opal", "ready"];

/// An answer of `GET /v1/data/…`; other members, such as `decision_id`, are ignored.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Data<T> {
    /// None where the rule is undefined; `null` is a value.
    #[serde(default = "undefined", deserialize_with = "defined")]
    result: Option<T>,
}

/// What OPA says when it refuses.
#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

/// The users that a rule allows.
pub(super) fn query(client: &Client, opa: &Access, rule: &Rule) -> Result<Users, Failure> {
    let package = rule.package.split('.');
    let answer = get(client, opa, package.chain([rule.rule.as_str()]))?;
    users_in(answer, rule)
}

fn users_in(answer: Answer, rule: &Rule) -> Result<Users, Failure> {
    match answer.json::<Data<Keys>>() {
        Ok(Data { result: Some(keys) }) if !keys.has_empty_key() => {
            return Ok(keys.take_from(answer.body));
        }
        Ok(Data { result: None }) => return Err(Failure::undefined(rule)),
        _ => {}
    }
    match answer.json::<Data<Users>>() {
        Ok(Data {
            result: Some(users),
        }) if !users.has_empty_key() => Ok(users),
        _ => {
            let wrong = match answer.json::<Data<&RawValue>>()?.result {
                Some(value) => describe_wrong(value),
                None => "its answer was not understood".to_owned(),
            };
            Err(Failure::wrong_type(rule, &wrong))
        }
    }
}

/// Whether OPAL's health policy says that OPA has loaded everything; none where there is no such
/// policy.
pub(super) fn ready(client: &Client, opa: &Access) -> Result<Option<bool>, Failure> {
    let answer = get(client, opa, READY)?;
    Ok(answer.json::<Data<bool>>()?.result)
}

/// Which process answers: OPA gives itself another id at each start; none where it does not tell.
pub(super) fn process(client: &Client, opa: &Access) -> Result<Option<String>, Failure> {
    #[derive(Deserialize)]
    struct Config {
        result: Labels,
    }
    #[derive(Deserialize)]
    struct Labels {
        labels: Id,
    }
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let answer = told(client, opa, &["v1", "config"])?;
    let config = answer.and_then(|answer| answer.json::<Config>().ok());
    Ok(config.map(|config| config.result.labels.id))
}

/// How often OPA was written to since it was started; none where it does not tell.
pub(super) fn writes(client: &Client, opa: &Access) -> Result<Option<Writes>, Failure> {
    let answer = told(client, opa, &["metrics"])?;
    Ok(answer.and_then(|answer| count_writes(&String::from_utf8_lossy(&answer.body))))
}

/// Whether all bundles were activated that an OPA without OPAL is configured with; none where it does
/// not tell.
pub(super) fn has_activated_bundles(
    client: &Client,
    opa: &Access,
) -> Result<Option<bool>, Failure> {
    let url = opa.url.join(["health"]) + "?bundles";
    let request = Request::new(Method::GET, url).authorized(opa.authorization.as_ref());
    Ok(match client.send(request)?.status {
        200 => Some(true),
        500 => Some(false),
        _ => None,
    })
}

/// What OPA tells where it is asked for something that it may keep to itself.
fn told(client: &Client, opa: &Access, path: &[&str]) -> Result<Option<Answer>, Failure> {
    let url = opa.url.join(path.iter().copied());
    let request = Request::new(Method::GET, url).authorized(opa.authorization.as_ref());
    match client.send(request).and_then(Answer::success) {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.is_unreachable() => Err(failure),
        Err(_) => Ok(None),
    }
}

/// Counts the writes in OPA's metrics that it has done; none where it does not count requests to its data.
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
        if !has("code=\"2") {
            continue;
        }
        let is_write =
            ["put", "patch", "delete"].map(|method| has(&format!("method=\"{method}\"")));
        let is_write = is_write.contains(&true);
        match (is_data, is_policy) {
            (true, _) if is_write => writes.data += count,
            (_, true) if is_write => writes.policies += count,
            (_, true) if has("method=\"get\"") => writes.lists += count,
            _ => {}
        }
    }
    counts_data.then_some(writes)
}

fn get<'a>(
    client: &Client,
    opa: &Access,
    path: impl IntoIterator<Item = &'a str>,
) -> Result<Answer, Failure> {
    let url = opa.url.join(["v1", "data"].into_iter().chain(path));
    let request = Request::new(Method::GET, url).authorized(opa.authorization.as_ref());
    let answer = client.send(request)?;
    match answer.status {
        200..=299 => Ok(answer),
        _ => Err(match serde_json::from_slice::<Refusal>(&answer.body) {
            Ok(Refusal { code, message }) => {
                let said = format!("{code}: {message}");
                let failure = answer.failure_saying(&quote(said.as_bytes()));
                failure.of_opa(&answer.body)
            }
            Err(_) => answer.failure(),
        }),
    }
}

fn undefined<T>() -> Option<T> {
    None
}

fn defined<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
