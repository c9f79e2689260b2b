//! What LaunchDarkly's refusals are about, and what to do about them.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde::Deserialize;

use super::LaunchDarkly;
use super::flag::refuse;
use super::spec::Spec;
use crate::check::{Answers, Told};
use crate::error::{Failure, quote};
use crate::http::Answer;

/// The answer about the identity of a token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Caller {
    token_name: Option<String>,
    token_kind: Option<String>,
    #[serde(default)]
    service_token: bool,
}

/// The body of an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
}

impl LaunchDarkly {
    /// Looks for the project and the environments of a toggle.
    pub(super) fn find(&self, spec: &Spec) -> Result<(), Failure> {
        let project = &*spec.proj_key;
        self.look(&["projects", project], || {
            format!(
                "the project {project} does not exist, or the token cannot see it: correct \
                 `proj_key` of the toggle {}, or create it in LaunchDarkly",
                spec.key
            )
        })?;
        spec.environments.iter().try_for_each(|key| {
            let path = ["projects", project, "environments", key];
            self.look(&path, || spec.has_no_environment(key))
        })
    }

    /// Looks for all that the toggles are in.
    pub(super) fn check_all(&self) -> Answers {
        let token = self.who_am_i().map(Told::from);
        let mut projects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for spec in self.specs.iter().filter(|_| token.is_ok()) {
            let environments = projects.entry(&spec.proj_key).or_default();
            environments.extend(spec.environments.iter().map(String::as_str));
        }
        let exists = |path: &[&str]| {
            let missing = || "does not exist, or the token cannot see it".to_owned();
            self.look(path, missing).map(|()| Told::from("exists"))
        };
        let mut found = vec![("token".to_owned(), token)];
        for (project, environments) in projects {
            let result = exists(&["projects", project]);
            let is_there = result.is_ok();
            found.push((format!("project {project}"), result));
            for key in environments.into_iter().filter(|_| is_there) {
                let result = exists(&["projects", project, "environments", key]);
                found.push((format!("environment {project}/{key}"), result));
            }
        }
        found
    }

    fn who_am_i(&self) -> Result<String, Failure> {
        let caller: Caller = self.get(&["caller-identity"])?.json()?;
        let kind = match (caller.service_token, caller.token_kind.as_deref()) {
            (true, _) => "a service token",
            (false, Some("auth")) => "a personal token",
            _ => "a token",
        };
        Ok(match caller.token_name {
            Some(name) => format!("{kind} called {name:?}"),
            None => kind.to_owned(),
        })
    }

    /// Fails where it is not there, with the words of `missing`. The answer is not looked at: that of an
    /// environment holds its SDK keys.
    fn look(&self, path: &[&str], missing: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.get(path) {
            Err(failure) if failure.is_status(404) => Err(refuse(missing())),
            looked => looked.map(drop),
        }
    }

    fn get(&self, path: &[&str]) -> Result<Answer, Failure> {
        let answer = self.client.send(self.request(Method::GET, path, ""))?;
        match answer.status {
            200..=299 => Ok(answer),
            status => {
                let said = Refusal::of(&answer).words(&answer);
                Err(answer.failure(&said, advice(status)))
            }
        }
    }
}

const APPROVALS: &str = "changes in an environment need an approval: let the token bypass approvals, \
                         or do not require them for these flags";

/// A refusal of something that was asked for a toggle.
pub(super) fn refusal_of(answer: &Answer, spec: &Spec) -> Failure {
    let refusal = Refusal::of(answer);
    let message = refusal.message.to_lowercase();
    let advice = match answer.status {
        // Approvals that are required come as 405, and sometimes as 403.
        403 if message.contains("approval") => Some(APPROVALS),
        405 => Some(APPROVALS),
        400 if message.contains("schedule") => Some(
            "it conflicts with a scheduled change: cancel that in LaunchDarkly, or wait for it",
        ),
        status => advice(status),
    };
    let failure = answer.failure(&refusal.words(answer), advice);
    failure.about(&format!("flag {} of project {}", spec.key, spec.proj_key))
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        401 => {
            Some("the token is wrong or has expired: set `token` of `[target]` to an access token")
        }
        403 => Some(
            "the token does not allow this: give it the role Writer, or one that may create flags \
             and update their targeting",
        ),
        _ => None,
    }
}

impl Refusal {
    fn of(answer: &Answer) -> Refusal {
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// LaunchDarkly's own words; of an answer that is not in its form, all of it.
    fn words(&self, answer: &Answer) -> String {
        let words = [&*self.code, &*self.message];
        let words: Vec<&str> = words.into_iter().filter(|it| !it.is_empty()).collect();
        match words.is_empty() {
            true => quote(&answer.body),
            false => quote(words.join(": ").as_bytes()),
        }
    }
}
