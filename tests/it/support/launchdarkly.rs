//! A stand-in for LaunchDarkly.

pub(crate) mod description;
pub(crate) mod flag;
mod judge;
mod limit;
mod patch;
pub(crate) mod platform;
mod query;
pub(crate) mod segment;

pub(crate) use description::Description;
pub(crate) use flag::Target;
pub(crate) use limit::Limit;
pub(crate) use platform::Platform;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use serde_json::json;

use super::wire::{Answer, Request};
use super::{Server, Stage, lock};

pub(crate) const SEMANTIC_PATCH: &str = "application/json; domain-model=launchdarkly.semanticpatch";

pub(crate) const API_VERSION: &str = "20240415";

pub(crate) struct LaunchDarkly {
    pub(crate) http: Server,
    platform: Arc<Mutex<Platform>>,
}

impl LaunchDarkly {
    /// Requires this token, and has no projects.
    pub(crate) fn start(stage: &Stage, token: &str) -> LaunchDarkly {
        let platform = Arc::new(Mutex::new(Platform::new(token)));
        let handler = {
            let platform = platform.clone();
            Box::new(move |request: &Request| lock(&platform).answer(request, SystemTime::now()))
        };
        LaunchDarkly {
            http: Server::start_new(stage, "launchdarkly", handler),
            platform,
        }
    }

    pub(crate) fn platform(&self) -> MutexGuard<'_, Platform> {
        lock(&self.platform)
    }
}

pub(crate) fn refusal(status: u16, message: impl Into<String>) -> Answer {
    let code = match status {
        400 => "invalid_request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        409 => "optimistic_locking_error",
        429 => "rate_limited",
        _ => "unexpected",
    };
    refusal_with(status, code, message)
}

pub(crate) fn refusal_with(status: u16, code: &str, message: impl Into<String>) -> Answer {
    let id = "30ce6058-87da-11e4-b116-123b93f75cba";
    Answer::json(
        status,
        &json!({ "code": code, "message": message.into(), "id": id }),
    )
}

/// The path of a flag, as it appears in the server's log; keys have no characters to encode.
pub(crate) fn path_of(project: &str, key: &str) -> String {
    format!("/api/v2/flags/{project}/{key}")
}
