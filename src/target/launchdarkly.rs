//! LaunchDarkly.
//!
//! Its facts are those of its API description, and what is said of it in the comments.

mod find;
mod flag;
mod list;
mod memory;
mod patch;
mod spec;
mod words;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Reads, Target};
use crate::check::Answers;
use crate::config::{self, Config, Tls};
use crate::error::{Failure, Kind};
use crate::http::{Answer, Client, Request};
use crate::job::{AtOnce, Created, TargetTerms, ToggleId};
use crate::metrics::Requests;
use crate::plan::{Observed, Present};
use crate::secret::Secret;
use crate::users::Users;
use flag::{Flag, Told};
use memory::Lists;
use patch::{Instruction, Patch, instructions};
use spec::Spec;

/// More at once met 429s and timeouts so often that LaunchDarkly's own Terraform provider sends one
/// at a time.
const AT_ONCE: usize = 4;

/// The version of the API that is spoken.
const VERSION: (&str, &str) = ("LD-API-Version", "20240415");

/// Without this content type a PATCH would be a JSON patch.
const SEMANTIC_PATCH: &str = "application/json; domain-model=launchdarkly.semanticpatch";

pub(super) struct LaunchDarkly {
    config: config::LaunchDarkly,
    client: Client,
    headers: [(String, Secret); 1],
    /// By toggle.
    specs: Vec<Spec>,
    /// For each toggle, which others are read with it.
    batches: Vec<Option<usize>>,
    lists: Lists,
    /// In the audit log, by toggle.
    comments: Vec<String>,
}

impl LaunchDarkly {
    pub(super) fn new(
        launchdarkly: &config::LaunchDarkly,
        config: &Config,
        requests: Requests,
    ) -> Result<LaunchDarkly, String> {
        let specs: Vec<Spec> = config
            .toggles
            .iter()
            .map(Spec::of)
            .collect::<Result<_, _>>()?;
        let comments = config.toggles.iter().map(|toggle| {
            let rule = &toggle.users_policy;
            format!("optoggles: data.{}.{}", rule.package, rule.rule)
        });
        Ok(LaunchDarkly {
            config: launchdarkly.clone(),
            client: Client::new(config.http_timeout, AT_ONCE, &Tls::default(), requests)?,
            headers: [(VERSION.0.to_owned(), Secret::new(VERSION.1))],
            batches: list::batches(&specs),
            lists: Lists::default(),
            comments: comments.collect(),
            specs,
        })
    }

    /// A request for something below `/api/v2`.
    fn request(&self, method: Method, path: &[&str], query: &str) -> Request<'_> {
        let segments = ["api", "v2"].into_iter().chain(path.iter().copied());
        let mut url = self.config.base_url.join(segments);
        if !query.is_empty() {
            url.push_str(&format!("?{query}"));
        }
        Request {
            headers: &self.headers,
            ..Request::new(method, url).authorized(Some(&self.config.token))
        }
    }

    fn send(&self, request: Request<'_>, spec: &Spec) -> Result<Answer, Failure> {
        let answer = self.client.send(request)?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(words::explain(&answer, spec)),
        }
    }

    fn read_one(&self, spec: &Spec) -> Result<Observed, Failure> {
        let environments = query_of(&spec.environments);
        let path = ["flags", &spec.proj_key, &spec.key];
        let answer = self.send(self.request(Method::GET, &path, &environments), spec);
        match answer {
            Ok(answer) => answer.json::<Told>()?.observed(spec),
            Err(failure) if failure.is_status(404) => Ok(Observed::Absent),
            Err(failure) => Err(failure),
        }
    }

    fn patch(
        &self,
        id: ToggleId,
        environment: Option<&str>,
        instructions: &[Instruction],
    ) -> Result<(), Failure> {
        let spec = &self.specs[id];
        let body = Patch {
            environment_key: environment,
            comment: &self.comments[id],
            instructions,
        };
        let path = ["flags", &spec.proj_key, &spec.key];
        let mut request = self.request(Method::PATCH, &path, "").json(&body)?;
        if let Some(body) = &mut request.body {
            body.content_type = SEMANTIC_PATCH;
        }
        let patched = self.send(request, spec);
        match patched {
            Err(failure) if failure.is_status(404) => Err(self.what_is_missing(spec, failure)),
            patched => patched.map(drop),
        }
    }

    /// A flag that is there again, or still: it was created a moment ago, or another instance of
    /// optoggles was faster.
    fn found_again(&self, spec: &Spec) -> Result<Created, Failure> {
        match self.read_one(spec)? {
            Observed::Present(present) => Ok(Created::Existed(Some(present))),
            _ => match self.find(spec) {
                Err(failure) => Err(failure),
                Ok(()) => Ok(Created::Existed(None)),
            },
        }
    }
}

impl Target for LaunchDarkly {
    fn terms(&self) -> TargetTerms {
        TargetTerms {
            readable: true,
            at_once: AtOnce::Strictly(AT_ONCE),
            batches: self.batches.clone(),
        }
    }

    fn read(&self, toggles: &[ToggleId]) -> Reads {
        match toggles {
            [id] => vec![(*id, self.read_one(&self.specs[*id]))],
            several => self.read_together(several),
        }
    }

    fn create(&self, id: ToggleId) -> Result<Created, Failure> {
        let spec = &self.specs[id];
        let request = self.request(Method::POST, &["flags", &spec.proj_key], "");
        match self.send(request.json(&new_flag(spec))?, spec) {
            Ok(answer) => match answer.json::<Told>()?.observed(spec)? {
                Observed::Present(present) => Ok(Created::New(present)),
                _ => Ok(Created::Existed(None)),
            },
            Err(failure) if failure.is_status(409) => self.found_again(spec),
            Err(failure) if failure.is_status(404) => Err(self.what_is_missing(spec, failure)),
            Err(failure) => Err(failure),
        }
    }

    fn describe(&self, id: ToggleId, observed: &Observed) -> Result<(), Failure> {
        let (flag, _) = known(observed)?;
        let patch = self.specs[id].description_patch(flag);
        if patch.is_empty() {
            return Ok(());
        }
        self.patch(id, None, &patch)
    }

    fn update(&self, id: ToggleId, users: &Arc<Users>, observed: &Observed) -> Result<(), Failure> {
        let (flag, present) = known(observed)?;
        let keys = self.specs[id].environments.iter();
        let states = flag.environments.iter().zip(&present.environments);
        for (key, (state, environment)) in keys.zip(states) {
            let patch = instructions(flag, state, environment, users);
            if !patch.is_empty() {
                self.patch(id, Some(key), &patch)?;
            }
        }
        Ok(())
    }

    fn check(&self) -> Answers {
        self.check_all()
    }
}

/// What was read of a flag, and what has become of it since.
fn known(observed: &Observed) -> Result<(&Flag, &Present), Failure> {
    let Observed::Present(present) = observed else {
        let words = "a flag that was not read cannot be changed";
        return Err(Failure::new(Kind::Setup, words));
    };
    let flag = present.memo.get::<Flag>();
    let lost = || Failure::new(Kind::Setup, "what was read of the flag is lost");
    Ok((flag.ok_or_else(lost)?, present))
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
        body["description"] = Value::from(description.as_str());
    }
    if let Some(tags) = &spec.tags {
        body["tags"] = Value::from(tags.as_slice());
    }
    body
}

/// `env=a&env=b`: the keys need no encoding.
fn query_of(environments: &[String]) -> String {
    let parts: Vec<String> = environments
        .iter()
        .map(|key| format!("env={key}"))
        .collect();
    parts.join("&")
}
