//! OPA's data API.

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::config::Rule;
use crate::error::{Failure, quote};
use crate::http::{Answer, Client, Request};
use crate::job::Access;
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
    if let Ok(Data { result: Some(keys) }) = answer.json::<Data<Keys>>() {
        return Ok(keys.take_from(answer.body));
    }
    match answer.json::<Data<Users>>() {
        Ok(Data {
            result: Some(users),
        }) => Ok(users),
        Ok(Data { result: None }) => Err(Failure::undefined(rule)),
        Err(_) => {
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

/// Whether OPA has certainly received no data since it was started.
///
/// An OPA that is restarted under a running OPAL client gets its policy back first, and with it the
/// word that all is ready, which was true of its predecessor. Its metrics tell: nothing was written
/// to its data. Where they tell nothing, this is false. An OPA that does not answer any more may be
/// another one by the time it is asked for users.
pub(super) fn lacks_data(client: &Client, opa: &Access) -> Result<bool, Failure> {
    let request = Request::new(Method::GET, opa.url.join(["metrics"]));
    let answer = client.send(request.authorized(opa.authorization.as_ref()));
    match answer.and_then(Answer::success) {
        Ok(answer) => Ok(shows_no_write(&String::from_utf8_lossy(&answer.body))),
        Err(failure) if failure.is_unreachable() => Err(failure),
        Err(_) => Ok(false),
    }
}

/// Whether OPA's metrics count requests to its data, and none of them wrote any.
fn shows_no_write(metrics: &str) -> bool {
    let mut counted = false;
    for line in metrics.lines() {
        let Some((labels, count)) = line
            .strip_prefix("http_request_duration_seconds_count{")
            .and_then(|rest| rest.split_once("} "))
        else {
            continue;
        };
        if !labels.contains("handler=\"v1/data\"") || count.trim() == "0" {
            continue;
        }
        counted = true;
        let writes = ["method=\"put\"", "method=\"patch\""];
        if labels.contains("code=\"2") && writes.iter().any(|write| labels.contains(write)) {
            return false;
        }
    }
    counted
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
