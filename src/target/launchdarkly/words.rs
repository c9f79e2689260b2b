//! What to do about LaunchDarkly's refusals.

use serde::Deserialize;

use super::spec::Spec;
use crate::error::{Failure, quote};
use crate::http::Answer;

/// The body of an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
}

/// A refusal of something that was asked for a toggle.
pub(super) fn explain(answer: &Answer, spec: &Spec) -> Failure {
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
pub(super) fn of_status(answer: &Answer) -> Failure {
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
