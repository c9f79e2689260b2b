//! A system of the user's own, behind a small REST API.

use std::io::Read;
use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Target, Type, one_by_one, plain_toggles};
use crate::address::Address;
use crate::check::{Answers, Told};
use crate::config::{Config, Key, PeerType, Spec, TLS, TargetType, Toggle, ValueKind};
use crate::error::{Failure, Kind, quote};
use crate::http::{Answer, Body, Client, Request};
use crate::job::{Applied, Applies, Edit, Reads, TargetId, TargetTerms, ToggleId, What};
use crate::json::Members;
use crate::metrics::Requests;
use crate::plan::{Environment, Observed, Present};
use crate::secret::Secret;
use crate::users::Users;

pub(super) static TYPE: Type = Type {
    config: TargetType {
        peer: PeerType {
            name: "restapi",
            says: "A system of your own. A toggle is created with `POST {endpoint_url}`: its key and all of \
               its `spec`. Its users follow with `PATCH {endpoint_url}/{key}`: `{\"users\": [...]}`, \
               the whole set, sorted.",
            keys: &[KEYS, TLS],
            check: |_, _| {},
        },
        place: "endpoint_url",
        toggle_key: None,
        spec: Spec::Free(&["key", "users"]),
        project: None,
        is_served: false,
        shows_revision: false,
        shares: |_| None,
    },
    open: |config, id, requests, _| Ok(Box::new(RestApi::new(config, id, requests)?)),
};

const KEYS: &[Key] = &[
    Key::required(
        "endpoint_url",
        ValueKind::Address(&[]),
        "\"https://flags.example.com/api/toggles\"",
    )
    .was(&["url"])
    .says("The collection of toggles."),
    Key::optional(
        "extra_headers",
        ValueKind::Headers("endpoint_url"),
        "{ Authorization = \"Bearer ${FLAGS_TOKEN}\" }",
    )
    .was(&["token"])
    .says("Headers of every request, such as `{ Authorization = \"Bearer ${FLAGS_TOKEN}\" }`."),
    Key::default("read", ValueKind::Bool, "false").says(
        "Whether the server also answers `GET {endpoint_url}/{key}`: then only what differs is sent.",
    ),
];

struct RestApi {
    endpoint_url: Address,
    headers: Vec<(String, Secret)>,
    reads: bool,
    all: Arc<Config>,
    id: TargetId,
    client: Client,
}

#[derive(Serialize)]
struct NewToggle<'a> {
    key: &'a str,
    #[serde(flatten)]
    spec: &'a Map<String, Value>,
}

impl RestApi {
    fn new(config: &Arc<Config>, id: TargetId, requests: Requests) -> Result<RestApi, String> {
        let settings = &config.targets[id].settings;
        let headers = settings.headers("extra_headers").unwrap_or_default();
        Ok(RestApi {
            endpoint_url: settings.address("endpoint_url")?.clone(),
            headers: headers.to_vec(),
            reads: *settings.bool("read")?,
            all: Arc::clone(config),
            id,
            client: Client::new(config, config.concurrency, &settings.tls(), requests)?,
        })
    }

    fn request(&self, method: Method, key: Option<&str>) -> Request<'_> {
        let endpoint = &self.endpoint_url;
        // A header of the user's goes before the user name and password of `endpoint_url`.
        let mut names = self.headers.iter().map(|(name, _)| name);
        let given = names.any(|name| name.eq_ignore_ascii_case("authorization"));
        let authorization = endpoint.authorization().filter(|_| !given);
        Request {
            headers: &self.headers,
            ..Request::new(method, endpoint.join(key), authorization)
        }
    }

    /// Whether the server answers, without writing anything.
    fn reach(&self) -> Result<String, Failure> {
        if let (true, Some((_, toggle))) = (self.reads, self.all.toggles_at(self.id).next()) {
            let key = &toggle.key;
            let has = match self.read_one(toggle)? {
                Observed::Absent(_) => "has no",
                _ => "has",
            };
            return Ok(format!("answers, and {has} toggle {key}"));
        }
        let answer = self.client.send(self.request(Method::HEAD, None))?;
        match answer.status {
            // The collection needs to answer nothing but POST.
            404 | 405 | 501 => Ok(format!("answers ({} to HEAD)", answer.status)),
            _ => accepted(answer).map(|_| "answers".into()),
        }
    }

    fn read_one(&self, toggle: &Toggle) -> Result<Observed, Failure> {
        let request = self.request(Method::GET, Some(&toggle.key));
        let answer = self.client.send(request)?;
        if answer.status == 404 {
            return Ok(Observed::absent());
        }
        let found: Members<Value> = accepted(answer)?.json()?;
        if found.get("key").is_some_and(|key| *key != *toggle.key) {
            let url = self.endpoint_url.join([&*toggle.key]);
            let words = format!("GET {url}: the answer has another `key`");
            return Err(Failure::new(Kind::Misfit, words));
        }
        // Without a list of users, it is not known who has the toggle.
        let listed = found.get("users");
        let users = listed.and_then(|listed| Users::deserialize(listed).ok());
        let mut spec = toggle.spec.iter();
        let described =
            spec.all(|(name, value)| found.get(name).is_some_and(|known| same(known, value)));
        let present = Present::plain(described, users.map(Arc::new));
        Ok(Observed::Present(present))
    }

    fn apply_one(&self, edit: &Edit) -> Result<Applied, Failure> {
        let toggle = &self.all.toggles[edit.toggle];
        let request = self.request(Method::PATCH, Some(&toggle.key));
        let request = match &edit.what {
            What::Create => return self.create(toggle),
            What::Describe if toggle.spec.is_empty() => return Ok(Applied::Done),
            What::Describe => request.json(&toggle.spec)?,
            What::Update(_, users) => request.carrying(Body::made(|| {
                (&b"{\"users\":"[..]).chain(users.json()).chain(&b"}"[..])
            }))?,
        };
        accepted(self.client.tell(request)?).map(|_| Applied::Done)
    }

    fn create(&self, toggle: &Toggle) -> Result<Applied, Failure> {
        let body = NewToggle {
            key: &toggle.key,
            spec: &toggle.spec,
        };
        let request = self.request(Method::POST, None).json(&body)?;
        let answer = self.client.tell(request)?;
        if answer.status == 409 {
            return Ok(Applied::Found(match self.reads {
                true => Observed::Unknown,
                false => Observed::Present(Present::plain(toggle.spec.is_empty(), None)),
            }));
        }
        let environment = Environment {
            users: self.reads.then(Arc::default),
            // An empty set is sent too: without `users` it would not be known who has the toggle.
            in_order: false,
            named: None,
        };
        let (described, environments) = (true, vec![Ok(environment)]);
        accepted(answer)?;
        Ok(Applied::Created(Present {
            described,
            environments,
        }))
    }
}

impl Target for RestApi {
    fn terms(&self) -> TargetTerms {
        TargetTerms {
            readable: self.reads,
            at_once: None,
            reads_first: false,
            applies_together: false,
            finds_marked: false,
            toggles: plain_toggles(&self.all, self.id, None),
        }
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        let read = |id: &ToggleId| (*id, self.read_one(&self.all.toggles[*id]));
        toggles.iter().map(read).collect()
    }

    fn apply(&self, edits: &[Edit]) -> Applies {
        one_by_one(edits, |edit| self.apply_one(edit))
    }

    fn check(&self) -> Answers {
        vec![("endpoint_url".to_owned(), self.reach().map(Told::from))]
    }
}

/// An answer that is a 2xx. There is no token here: the credentials are in a header, or the URL.
fn accepted(answer: Answer) -> Result<Answer, Failure> {
    let advice = match answer.status {
        401 => "credentials missing or wrong: check extra_headers, or the user in endpoint_url",
        403 => "credentials lack permission: check extra_headers, or the user in endpoint_url",
        _ => return answer.success(),
    };
    Err(answer.failure(&quote(&answer.body), Some(advice)))
}

/// Whether two values are the same to a server that knows one type of numbers only.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            let mut pairs = left.iter().zip(right);
            left.len() == right.len() && pairs.all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let found = |(name, value)| right.get(name).is_some_and(|other| same(value, other));
            left.len() == right.len() && left.iter().all(found)
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests;
