//! LaunchDarkly, as its API description has it.

mod explain;
mod flag;
mod list;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use serde::Serialize;
use serde_json::json;

use super::{Target, Type, one_by_one};
use crate::address::Address;
use crate::check::Answers;
use crate::config::{
    Config, Context, Key, Section, Setting, TargetType, Tls, ValueKind, warn_if_plain,
};
use crate::error::Failure;
use crate::http::{Answer, Client, Request};
use crate::job::{Applied, Applies, Edit, Reads, TargetTerms, ToggleId, What};
use crate::metrics::Requests;
use crate::plan::{Observed, Present};
use crate::secret::Secret;
use flag::{Flag, Instruction, Patch, State, Told};
use list::Lists;
use spec::Spec;

/// More at once met 429s and timeouts so often that LaunchDarkly's own Terraform provider sends one
/// at a time.
const AT_ONCE: usize = 4;

/// The version of the API that is spoken.
const VERSION: (&str, &str) = ("LD-API-Version", "20240415");

/// Without this content type a PATCH would be a JSON patch.
const SEMANTIC_PATCH: &str = "application/json; domain-model=launchdarkly.semanticpatch";

pub(super) static TYPE: Type = Type {
    config: TargetType {
        name: "launchdarkly",
        says: "",
        keys: &[KEYS],
        check: check_token,
        place: "base_url",
        toggle_key: Some(&spec::FLAG),
        spec: spec::SPEC,
        left_behind: spec::left_behind,
    },
    open: |config, requests| Ok(Box::new(LaunchDarkly::new(config, requests)?)),
};

const KEYS: &[Key] = &[
    Key::required("token", ValueKind::Token, "\"${LAUNCHDARKLY_TOKEN}\"")
        .was(&["launchdarkly_token", "access_token", "api_key"])
        .says(
            "An access token with the role Writer, or one that may create flags and update their \
             targeting.",
        ),
    Key::default(
        "base_url",
        ValueKind::Address,
        "\"https://app.launchdarkly.com\"",
    )
    .was(&["url", "endpoint_url"])
    .says(
        "Where LaunchDarkly's API is: `https://app.eu.launchdarkly.com` in the EU, \
             `https://app.launchdarkly.us` for federal customers.",
    ),
];

fn check_token(section: &mut Section, cx: &mut Context) {
    if let (Some(token), Some(url)) = (section.get("token"), section.get("base_url"))
        && let Setting::Address(url) = &url.setting
    {
        warn_if_plain(cx, &token.place, "`token`", url);
    }
}

struct LaunchDarkly {
    token: Secret,
    base_url: Address,
    client: Client,
    headers: [(String, Secret); 1],
    /// By toggle.
    specs: Vec<Spec>,
    /// For each toggle, which others are read with it.
    batches: Vec<Option<usize>>,
    lists: Lists,
    /// Each flag as it was last read or created, with what was changed of it since. One whose change
    /// failed is not here: nothing is changed before it has been read.
    flags: Mutex<HashMap<ToggleId, Flag>>,
}

impl LaunchDarkly {
    fn new(config: &Config, requests: Requests) -> Result<LaunchDarkly, String> {
        let settings = &config.target.settings;
        let specs = config.toggles.iter().map(Spec::of);
        let specs = specs.collect::<Result<Vec<Spec>, _>>()?;
        Ok(LaunchDarkly {
            token: settings.secret("token")?.clone(),
            base_url: settings.address("base_url")?.clone(),
            client: Client::new(config.http_timeout, AT_ONCE, &Tls::default(), requests)?,
            headers: [(VERSION.0.to_owned(), Secret::new(VERSION.1))],
            batches: list::batches(&specs),
            lists: Lists::default(),
            flags: Mutex::default(),
            specs,
        })
    }

    /// A request for something below `/api/v2`.
    fn request(&self, method: Method, path: &[&str], query: &str) -> Request<'_> {
        let segments = ["api", "v2"].into_iter().chain(path.iter().copied());
        let mut url = self.base_url.join(segments);
        if !query.is_empty() {
            url.push_str(&format!("?{query}"));
        }
        Request {
            headers: &self.headers,
            ..Request::new(method, url).authorized(Some(&self.token))
        }
    }

    fn send(&self, request: Request<'_>, spec: &Spec) -> Result<Answer, Failure> {
        let answer = self.client.send(request)?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(explain::refusal_of(&answer, spec)),
        }
    }

    /// The same where a 404 may be about the project or an environment.
    fn ask(&self, request: Request<'_>, spec: &Spec) -> Result<Answer, Failure> {
        let sent = self.send(request, spec);
        sent.map_err(|failure| match failure.is_status(404) {
            true => self.find(spec).err().unwrap_or(failure),
            false => failure,
        })
    }

    fn read_one(&self, id: ToggleId) -> Result<Observed, Failure> {
        let spec = &self.specs[id];
        let environments = query_of(&spec.environments);
        let path = ["flags", &spec.proj_key, &spec.key];
        match self.send(self.request(Method::GET, &path, &environments), spec) {
            Ok(answer) => self.keep(id, answer.json()?).map(Observed::Present),
            Err(failure) if failure.is_status(404) => Ok(Observed::Absent),
            Err(failure) => Err(failure),
        }
    }

    fn keep(&self, id: ToggleId, told: Told) -> Result<Present, Failure> {
        let flag = told.flag(&self.specs[id])?;
        let present = flag.present();
        self.flags().insert(id, flag);
        Ok(present)
    }

    fn flags(&self) -> MutexGuard<'_, HashMap<ToggleId, Flag>> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patch(
        &self,
        id: ToggleId,
        environment: Option<&str>,
        instructions: &[Instruction],
    ) -> Result<(), Failure> {
        if instructions.is_empty() {
            return Ok(());
        }
        let spec = &self.specs[id];
        let body = Patch {
            environment_key: environment,
            comment: &spec.comment,
            instructions,
        };
        let path = ["flags", &spec.proj_key, &spec.key];
        let mut request = self.request(Method::PATCH, &path, "").json(&body)?;
        if let Some(body) = &mut request.body {
            body.content_type = SEMANTIC_PATCH;
        }
        self.ask(request, spec).map(drop)
    }

    fn apply_one(&self, id: ToggleId, what: &What) -> Result<Applied, Failure> {
        let known = self.flags().remove(&id);
        let mut flag = match (what, known) {
            (What::Create, _) => return self.create(id),
            (_, Some(flag)) => flag,
            (_, None) => return self.read_one(id).map(Applied::Found),
        };
        match what {
            What::Update(users) => {
                for (number, key) in self.specs[id].environments.iter().enumerate() {
                    self.patch(id, Some(key), &flag.patch(number, users))?;
                    flag.environments[number] = State::of(users);
                }
            }
            _ => {
                self.patch(id, None, &flag.description)?;
                flag.description.clear();
            }
        }
        self.flags().insert(id, flag);
        Ok(Applied::Done)
    }

    fn create(&self, id: ToggleId) -> Result<Applied, Failure> {
        let spec = &self.specs[id];
        let request = self.request(Method::POST, &["flags", &spec.proj_key], "");
        match self.ask(request.json(&new_flag(spec))?, spec) {
            Ok(answer) => self.keep(id, answer.json()?).map(Applied::Created),
            // It was created a moment ago, or another instance of optoggles was faster.
            Err(failure) if failure.is_status(409) => match self.read_one(id)? {
                Observed::Absent => self.find(spec).map(|()| Applied::Found(Observed::Unknown)),
                there => Ok(Applied::Found(there)),
            },
            Err(failure) => Err(failure),
        }
    }
}

impl Target for LaunchDarkly {
    fn terms(&self) -> TargetTerms {
        TargetTerms {
            readable: true,
            at_once: Some(AT_ONCE),
            batches: self.batches.clone(),
            applies_together: false,
        }
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        match toggles {
            [id] => vec![(*id, self.read_one(*id))],
            several => self.read_together(several),
        }
    }

    fn apply(&self, edits: &[Edit]) -> Applies {
        one_by_one(edits, |id, what| self.apply_one(id, what))
    }

    fn check(&self) -> Answers {
        self.check_all()
    }
}

/// The body that creates a flag: boolean, and seen by the SDKs in browsers and on phones.
fn new_flag(spec: &Spec) -> impl Serialize {
    let mut body = json!({
        "key": spec.key,
        "name": spec.name,
        "variations": [{ "value": true }, { "value": false }],
        "clientSideAvailability": { "usingEnvironmentId": true, "usingMobileKey": true },
    });
    if let Some(description) = &spec.description {
        body["description"] = json!(description);
    }
    if let Some(tags) = &spec.tags {
        body["tags"] = json!(tags);
    }
    body
}

/// `env=a&env=b`: the keys need no encoding.
fn query_of(environments: &[String]) -> String {
    format!("env={}", environments.join("&env="))
}
