//! What comes back: an answer of any status, and the failure that it may be.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::object::Object;
use crate::error::{Failure, Kind, describe_json, quote};

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The whole body. Where the status is not a 2xx, the request's secrets are taken out of it:
    /// some servers repeat what they refuse.
    pub body: Vec<u8>,
    /// How long the remote asks us to wait.
    pub pause: Option<Duration>,
    /// Which request it answers.
    pub(super) asked: String,
}

impl Answer {
    /// The answer itself, where it is a 2xx.
    ///
    /// # Errors
    ///
    /// With the remote's words, where it has another status.
    pub fn success(self) -> Result<Answer, Failure> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(self.failure()),
        }
    }

    /// The failure that an answer with an unexpected status is.
    pub fn failure(&self) -> Failure {
        self.failure_saying(&quote(&self.body))
    }

    /// The same with the remote's words picked out of its answer.
    pub fn failure_saying(&self, said: &str) -> Failure {
        self.failure_with(said, None)
    }

    /// The same with advice that is better than what can be said of any remote, if there is any.
    pub fn failure_with(&self, said: &str, better: Option<&str>) -> Failure {
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

    /// The body as a JSON object.
    ///
    /// # Errors
    ///
    /// Says where it is not what it should be, without quoting it.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        let misfit = |error| self.misfit(describe_json(&error));
        let object = serde_json::from_slice(&self.body).map_err(misfit);
        object.map(|Object(content)| content)
    }

    /// An answer that is not what it should be.
    pub fn misfit(&self, what: impl fmt::Display) -> Failure {
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
