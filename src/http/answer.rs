//! Answers, and the failures that they may be.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::object::Object;
use crate::error::{Failure, Kind, describe_json, quote};

/// An answer of any status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Unless the status is a 2xx, without the request's secrets: some servers repeat what they refuse.
    pub(crate) body: Vec<u8>,
    /// How long the remote asks us to wait.
    pub(crate) pause: Option<Duration>,
    /// The request that it answers.
    pub(super) asked: String,
}

impl Answer {
    /// The answer itself if it is a 2xx, else a failure in the remote's words.
    pub(crate) fn success(self) -> Result<Answer, Failure> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(self.failure()),
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        self.failure_saying(&quote(&self.body))
    }

    /// The same with the words that were picked out of the answer.
    pub(crate) fn failure_saying(&self, said: &str) -> Failure {
        self.failure_with(said, None)
    }

    /// The same with better advice than there is for any remote.
    pub(crate) fn failure_with(&self, said: &str, better: Option<&str>) -> Failure {
        let advice = better.or_else(|| advice(self.status));
        let mut words = format!("{} answered {}", self.asked, self.status);
        if !said.is_empty() {
            words.push_str(&format!(": {said}"));
        }
        if let Some(advice) = advice {
            words.push_str(&format!(" ({advice})"));
        }
        Failure::new(Kind::Status(self.status), words).pausing(self.pause)
    }

    /// The body as a JSON object. An error names the place without quoting it.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        let misfit = |error| self.misfit(describe_json(&error));
        let object = serde_json::from_slice(&self.body).map_err(misfit);
        object.map(|Object(content)| content)
    }

    /// The failure that an answer is which is not what it should be.
    pub(crate) fn misfit(&self, what: impl fmt::Display) -> Failure {
        let words = format!("the answer to {} {what}", self.asked);
        Failure::new(Kind::Answer, words)
    }
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        300..=399 => Some("redirects are not followed: configure the address it leads to"),
        401 => Some("the token is missing or wrong"),
        403 => Some("the token does not allow this"),
        _ => None,
    }
}
