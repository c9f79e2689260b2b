//! What LaunchDarkly's refusals are about, and what to do about them.

use std::collections::BTreeSet;

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

impl LaunchDarkly {
    /// What a 404 was about: the flag itself, or what it should be in.
    pub(super) fn what_is_missing(&self, spec: &Spec, failure: Failure) -> Failure {
        self.find(spec).err().unwrap_or(failure)
    }

    /// Looks for the project and the environments of a toggle.
    pub(super) fn find(&self, spec: &Spec) -> Result<(), Failure> {
        self.find_project(&spec.proj_key)
            .map_err(|failure| match failure.is_status(404) {
                true => has_no_project(spec),
                false => failure,
            })?;
        for key in &spec.environments {
            self.find_environment(&spec.proj_key, key)
                .map_err(|failure| match failure.is_status(404) {
                    true => spec.has_no_environment(key),
                    false => failure,
                })?;
        }
        Ok(())
    }

    /// For `check-config --online`.
    pub(super) fn check_all(&self) -> Answers {
        let mut found = vec![("token".to_owned(), self.who_am_i().map(Told::from))];
        if found.iter().any(|(_, result)| result.is_err()) {
            return found;
        }
        let projects: BTreeSet<&str> = self.specs.iter().map(|spec| &*spec.proj_key).collect();
        for project in projects {
            let result = self.find_project(project).map(|()| Told::from("exists"));
            let is_there = result.is_ok();
            found.push((format!("project {project}"), result.map_err(word)));
            if is_there {
                found.extend(self.check_environments(project));
            }
        }
        found
    }

    fn check_environments(&self, project: &str) -> Answers {
        let ours = self.specs.iter().filter(|spec| spec.proj_key == project);
        let keys: BTreeSet<&String> = ours.flat_map(|spec| &spec.environments).collect();
        let check = |key: &String| {
            let result = self.find_environment(project, key);
            let result = result.map(|()| Told::from("exists")).map_err(word);
            (format!("environment {project}/{key}"), result)
        };
        keys.into_iter().map(check).collect()
    }

    fn who_am_i(&self) -> Result<String, Failure> {
        let answer = self
            .client
            .send(self.request(Method::GET, &["caller-identity"], ""))?;
        if !(200..300).contains(&answer.status) {
            return Err(of_status(&answer));
        }
        let caller: Caller = answer.json()?;
        let kind = match (caller.service_token, &caller.token_kind) {
            (true, _) => "a service token",
            (false, Some(kind)) if kind == "auth" => "a personal token",
            _ => "a token",
        };
        Ok(match caller.token_name {
            Some(name) => format!("{kind} called {name:?}"),
            None => kind.to_owned(),
        })
    }

    fn find_project(&self, project: &str) -> Result<(), Failure> {
        self.look(&["projects", project])
    }

    fn find_environment(&self, project: &str, environment: &str) -> Result<(), Failure> {
        self.look(&["projects", project, "environments", environment])
    }

    /// The answer is not looked at: that of an environment holds its SDK keys.
    fn look(&self, path: &[&str]) -> Result<(), Failure> {
        let answer = self.client.send(self.request(Method::GET, path, ""))?;
        match answer.status {
            200..=299 => Ok(()),
            _ => Err(of_status(&answer)),
        }
    }
}

fn has_no_project(spec: &Spec) -> Failure {
    refuse(format!(
        "there is no project {}, or the token may not see it: correct `proj_key` of the toggle {}, \
         or create it in LaunchDarkly",
        spec.proj_key, spec.key
    ))
}

/// A 404 in the words of somebody who looks for it.
fn word(failure: Failure) -> Failure {
    match failure.is_status(404) {
        true => refuse("does not exist, or the token may not see it".to_owned()),
        false => failure,
    }
}

/// The body of an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
}

/// A refusal of something that was asked for a toggle.
pub(super) fn refusal_of(answer: &Answer, spec: &Spec) -> Failure {
    let refusal = refusal(answer);
    let advice = match answer.status {
        // Approvals that are required come as 405, and sometimes as 403.
        403 if refusal.message.to_lowercase().contains("approval") => Some(APPROVALS),
        405 => Some(APPROVALS),
        400 if refusal.message.to_lowercase().contains("schedule") => Some(
            "it would break a change that is scheduled: cancel that in LaunchDarkly, or wait \
             for it",
        ),
        status => advice(status),
    };
    let failure = answer.failure_with(&said(&refusal, answer), advice);
    failure.about(&format!("flag {} of project {}", spec.key, spec.proj_key))
}

/// A refusal that is about nothing in particular.
fn of_status(answer: &Answer) -> Failure {
    let refusal = refusal(answer);
    answer.failure_with(&said(&refusal, answer), advice(answer.status))
}

const APPROVALS: &str = "changes in an environment need an approval: let the token bypass approvals, \
                         or do not require them for these flags";

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

fn refusal(answer: &Answer) -> Refusal {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// LaunchDarkly's own words; of an answer that is not in its form, all of it.
fn said(refusal: &Refusal, answer: &Answer) -> String {
    match (refusal.code.as_str(), refusal.message.as_str()) {
        ("", "") => quote(&answer.body),
        (_, "") => quote(refusal.code.as_bytes()),
        ("", message) => quote(message.as_bytes()),
        (code, message) => quote(format!("{code}: {message}").as_bytes()),
    }
}
