//! Answers, and the failures that they may be.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

use crate::encoding;
use crate::error::{Failure, Kind, quote};
use crate::json;
use crate::memory::give_back;

/// An answer of any status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Unless the status is a 2xx, without secrets: some servers repeat what they refuse.
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
            _ => Err(self.failure(&quote(&self.body), None)),
        }
    }

    /// The failure that the answer is, in words picked out of it; `advice` is better than there is for
    /// any remote.
    pub(crate) fn failure(&self, said: &str, advice: Option<&str>) -> Failure {
        let advice = advice.or(match self.status {
            300..=399 => Some("redirects are not followed: configure the address it leads to"),
            401 => Some("the token is missing or wrong"),
            403 => Some("the token does not allow this"),
            _ => None,
        });
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
        let failure = |what: &str| {
            let words = format!("the answer to {} {what}", self.asked);
            Failure::new(Kind::Answer, words)
        };
        let text = encoding::text(&self.body).map_err(failure)?;
        let object = serde_json::from_slice(text).map_err(|error| failure(&json::describe(&error)));
        object.map(|Object(content)| content)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        give_back(mem::take(&mut self.body));
    }
}

const RESETS: [&str; 2] = ["x-ratelimit-reset", "x-ratelimit-auth-token-reset"];

/// How long the remote asks us to wait: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3),
/// or, with a 429, LaunchDarkly's `X-Ratelimit-Reset` or `X-Ratelimit-Auth-Token-Reset` (of one token) in
/// milliseconds since 1970, which it sends with other answers too. What is past asks for nothing. A time is
/// held against the remote's own `Date`, if it tells it: our clock may be wrong.
pub(super) fn pause_asked_for(
    status: u16,
    headers: &http::HeaderMap,
    now: SystemTime,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text| httpdate::parse_http_date(text).ok();
    let now = text("date").and_then(date).unwrap_or(now);
    let left = |end: SystemTime| end.duration_since(now).ok();
    let retry_after =
        text("retry-after").and_then(|value| seconds(value).or_else(|| left(date(value)?)));
    let reset = |name| {
        let value = text(name).filter(|_| status == 429)?;
        left(UNIX_EPOCH.checked_add(Duration::from_millis(value.parse().ok()?))?)
    };
    let resets = RESETS.map(reset).into_iter().flatten();
    let pause = retry_after.into_iter().chain(resets).max();
    pause.filter(|pause| !pause.is_zero())
}

/// Some send a fraction too, which the RFC does not know.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let seconds: f64 = text.parse().ok().filter(|_| is_number)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// What is read from a JSON object. serde alone also takes an array for a struct, member by member:
/// `[["eve"]]` would be an answer with users.
pub(crate) struct Object<T>(pub(crate) T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

struct Visitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}
