//! OPA's data API.

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::config::Rule;
use crate::error::{Failure, Kind, quote};
use crate::http::{Answer, Client, Request};
use crate::job::{Access, Readiness};
use crate::users::{Users, describe_wrong};

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
    let name = format!("rule data.{}.{}", rule.package, rule.rule);
    match serde_json::from_slice::<Data<Users>>(&answer.body) {
        Ok(Data {
            result: Some(users),
        }) => Ok(users),
        Ok(Data { result: None }) => {
            let words = format!("{name} is undefined");
            Err(Failure::new(Kind::Undefined, words))
        }
        Err(_) => {
            let wrong = match answer.json::<Data<&RawValue>>()?.result {
                Some(value) => describe_wrong(value),
                None => "its answer was not understood".to_owned(),
            };
            let words = format!("{name} is not a list of users: {wrong}");
            Err(Failure::new(Kind::WrongType, words))
        }
    }
}

/// Whether OPA has loaded everything. Where it has no health policy of OPAL's, it does not tell.
pub(super) fn ready(client: &Client, opa: &Access) -> Result<Readiness, Failure> {
    let answer = get(client, opa, READY)?;
    let ready = answer.json::<Data<bool>>()?.result;
    Ok(match ready {
        Some(false) => Readiness::NotReady,
        Some(true) | None => Readiness::Ready,
    })
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
                answer.failure_saying(&quote(said.as_bytes()))
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
