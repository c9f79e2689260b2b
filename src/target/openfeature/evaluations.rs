//! Who has which toggle, and the answers to those who ask: OpenFeature's SDKs and flagd.
//!
//! Evaluations follow the OpenFeature Remote Evaluation Protocol (OFREP) 0.3.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::address::is_loopback;
use crate::config::Config;
use crate::crew::lock;
use crate::error::{Failure, Kind};
use crate::json::Members;
use crate::metrics::{Evaluation, EvaluationCounts, Metrics};
use crate::secret::Secret;
use crate::target::flagd::definition::{Definition, Flag};
use crate::users::Users;

/// Evaluates all toggles; with a toggle's key below it, that one.
pub(super) const EVALUATE: &str = "/ofrep/v1/evaluate/flags";

/// The toggles as a definition for flagd.
const DEFINITION: &str = "/flagd/flags.json";

/// Shared by the threads that make requests and those that serve connections. No lock is held while a toggle
/// is evaluated.
pub struct Evaluations {
    /// None without a target of type `openfeature`.
    served: RwLock<Option<Arc<Served>>>,
    /// Rises with each change of what is served.
    revision: AtomicU64,
    /// Of this process: others count their revisions too.
    process: u64,
    begun: Instant,
    /// The users of all toggles were known once.
    was_complete: AtomicBool,
    /// Of no toggle.
    counts: EvaluationCounts,
    /// The last definition that was asked for, and its revision. Clients share it: so few are in memory, however
    /// many clients there are and however slow.
    made: Mutex<Option<(u64, Arc<Vec<u8>>)>>,
}

/// What a configuration has served.
pub(crate) struct Served {
    /// None: this machine may ask.
    token: Option<Secret>,
    /// Only this machine can reach `bind`.
    is_local: bool,
    toggles: BTreeMap<String, Toggle>,
}

struct Toggle {
    /// None until they are known. A reload keeps them.
    users: Arc<RwLock<Option<Arc<Users>>>>,
    spec: Map<String, Value>,
    counts: EvaluationCounts,
}

/// What matters of a request's head.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The header `Authorization`.
    pub(crate) authorization: Option<&'a str>,
    /// The header `Host`.
    pub(crate) host: Option<&'a str>,
    /// The header `If-None-Match`.
    pub(crate) tag: Option<&'a str>,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// JSON, or nothing.
    pub(crate) body: Arc<Vec<u8>>,
}

/// One toggle for one user.
#[derive(Serialize)]
#[serde(untagged)]
enum Evaluated<'a> {
    Known {
        key: &'a str,
        value: bool,
        reason: &'static str,
        variant: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<&'a Value>,
    },
    #[serde(rename_all = "camelCase")]
    Unknown {
        key: &'a str,
        error_code: &'static str,
        error_details: &'static str,
    },
}

#[derive(Serialize)]
struct Flags<'a> {
    flags: Vec<Evaluated<'a>>,
}

/// Why a context cannot be evaluated: an error code of OFREP, and details.
type Wrong = (&'static str, &'static str);

const NOT_READY: &str = "the users of the toggle are not known yet";

/// How long after the start flagd waits for toggles whose users are not known.
const START: Duration = Duration::from_secs(30);

fn read<T: Clone>(shared: &RwLock<T>) -> T {
    shared
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Replaces what is shared. The old one may be large: it is dropped once the lock is free.
fn write<T>(shared: &RwLock<T>, value: T) {
    let old = {
        let mut shared = shared.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *shared, value)
    };
    drop(old);
}

impl Evaluations {
    /// Serves nothing yet.
    pub fn new(metrics: &Metrics) -> Evaluations {
        Evaluations {
            served: RwLock::default(),
            revision: AtomicU64::default(),
            process: getrandom::u64().unwrap_or_default(),
            begun: Instant::now(),
            was_complete: AtomicBool::default(),
            counts: metrics.evaluations(),
            made: Mutex::default(),
        }
    }

    /// Serves what a configuration says from now on. Toggles that the former one had too keep their users.
    pub(crate) fn show(&self, config: &Config) {
        let mut targets = config.targets.iter();
        let id = targets.position(|target| target.kind.is_served);
        let former = read(&self.served);
        let served = id.map(|id| {
            let toggles = config.toggles_at(id).map(|(_, toggle)| {
                let former = former.as_ref().and_then(|it| it.toggles.get(&toggle.key));
                let users = former.map(|it| Arc::clone(&it.users)).unwrap_or_default();
                let served = Toggle {
                    users,
                    spec: toggle.spec.clone(),
                    counts: self.counts.of(&toggle.key),
                };
                (toggle.key.clone(), served)
            });
            Arc::new(Served {
                token: config.targets[id].settings.secret("token").ok().cloned(),
                is_local: is_loopback(&config.bind.host),
                toggles: toggles.collect(),
            })
        });
        write(&self.served, served);
        self.revision.fetch_add(1, SeqCst);
        *lock(&self.made) = None;
    }

    /// Who has a toggle, if that is known.
    pub(super) fn users(&self, key: &str) -> Option<Arc<Users>> {
        read(&read(&self.served)?.toggles.get(key)?.users)
    }

    pub(crate) fn set(&self, key: &str, users: &Arc<Users>) {
        if let Some(toggle) = read(&self.served)
            .as_ref()
            .and_then(|it| it.toggles.get(key))
        {
            write(&toggle.users, Some(Arc::clone(users)));
            self.revision.fetch_add(1, SeqCst);
        }
    }

    /// Whether a path is answered here.
    pub(crate) fn has(&self, path: &str) -> bool {
        let is_route = path == DEFINITION || path.starts_with("/ofrep/");
        is_route && read(&self.served).is_some()
    }

    /// The answer to a request, or what it is asked of if the answer also depends on the body.
    pub(crate) fn answer_head(&self, asked: &Asked<'_>) -> Result<Reply, Arc<Served>> {
        let Some(served) = read(&self.served) else {
            return Ok(Reply::error(404, "there is nothing here"));
        };
        if let Some(refusal) = served.refusal(asked) {
            self.counts.count(Evaluation::Unauthorized);
            return Ok(refusal);
        }
        if asked.path == DEFINITION {
            return Ok(match asked.method {
                "GET" | "HEAD" => self.definition(asked.tag),
                _ => Reply::not_allowed("GET, HEAD"),
            });
        }
        match asked.method {
            _ if asked.path != EVALUATE && key_of(asked.path).is_none() => {
                Ok(Reply::error(404, "there is nothing here"))
            }
            "POST" => Err(served),
            _ => Ok(Reply::not_allowed("POST")),
        }
    }

    /// The answer that also depends on the body.
    pub(crate) fn answer(&self, served: &Served, asked: &Asked<'_>, body: &[u8]) -> Reply {
        match key_of(asked.path) {
            Some(key) => self.one(served, &key, body),
            None => self.all(served, asked.tag, body),
        }
    }

    fn one(&self, served: &Served, key: &str, body: &[u8]) -> Reply {
        let Some((key, toggle)) = served.toggles.get_key_value(key) else {
            self.counts.count(Evaluation::NotFound);
            let details = "there is no toggle with this key";
            return Reply::failure(404, Some(key), ("FLAG_NOT_FOUND", details));
        };
        let user = match targeting_key(body) {
            Ok(user) => user,
            Err(wrong) => {
                toggle.counts.count(Evaluation::Invalid);
                return Reply::failure(400, Some(key), wrong);
            }
        };
        match evaluate(key, toggle, &user) {
            Evaluated::Unknown { .. } => Reply::not_ready(key),
            known => Reply::json(200, &known),
        }
    }

    fn all(&self, served: &Served, tag: Option<&str>, body: &[u8]) -> Reply {
        let user = match targeting_key(body) {
            Ok(user) => user,
            Err(wrong) => {
                self.counts.count(Evaluation::Invalid);
                return Reply::failure(400, None, wrong);
            }
        };
        let toggles = served.toggles.iter();
        let flags = toggles.map(|(key, toggle)| evaluate(key, toggle, &user));
        let flags: Vec<Evaluated> = flags.collect();
        let reply = Reply::json(200, &Flags { flags });
        let mut hasher = DefaultHasher::new();
        hasher.write(&reply.body);
        let current = format!("\"{:016x}-{}\"", hasher.finish(), reply.body.len());
        reply.unless_known(current, tag)
    }

    /// All toggles whose users are known. At the start, flagd is to keep what it has until all are.
    fn definition(&self, tag: Option<&str>) -> Reply {
        let asked = self.revision.load(SeqCst);
        let tag_of = |revision: u64| format!("\"{:016x}-{revision}\"", self.process);
        if tag.is_some_and(|tag| is_named(&tag_of(asked), tag)) {
            return Reply::unchanged(tag_of(asked));
        }
        let mut made = lock(&self.made);
        // Others may have made a newer one meanwhile. An older one is dropped before the next is made.
        if let Some((revision, text)) = made.take().filter(|(of, _)| *of >= asked) {
            *made = Some((revision, Arc::clone(&text)));
            return Reply::new(200, text).with("ETag", tag_of(revision));
        }
        // Before what it stands for, which may change meanwhile.
        let revision = self.revision.load(SeqCst);
        let Some(served) = read(&self.served) else {
            return Reply::error(404, "there is nothing here");
        };
        if let Some(key) = served.unknown() {
            let waits = !self.was_complete.load(SeqCst) && self.begun.elapsed() < START;
            if waits {
                return Reply::not_ready(key);
            }
        } else {
            self.was_complete.store(true, SeqCst);
        }
        match served.define() {
            Ok(text) => {
                *made = Some((revision, Arc::clone(&text)));
                Reply::new(200, text).with("ETag", tag_of(revision))
            }
            Err(failure) => {
                log::error!("failed to write the flags for flagd: {failure}");
                Reply::error(500, "the flags cannot be written")
            }
        }
    }
}

impl Served {
    /// The answer to someone who may not ask.
    fn refusal(&self, asked: &Asked<'_>) -> Option<Reply> {
        match &self.token {
            Some(token) if !token.is_bearer_of(asked.authorization) => {
                let reply = Reply::error(401, "the token is missing or wrong");
                Some(reply.with("WWW-Authenticate", "Bearer"))
            }
            // A web page can reach this machine under a name of its own.
            None if !(self.is_local && asked.host.is_none_or(is_this_machine)) => {
                let details = "no token is configured, and the header Host names another machine";
                Some(Reply::error(403, details))
            }
            _ => None,
        }
    }

    /// A toggle whose users are not known yet.
    fn unknown(&self) -> Option<&str> {
        let mut toggles = self.toggles.iter();
        let found = toggles.find(|(_, toggle)| read(&toggle.users).is_none());
        found.map(|(key, _)| key.as_str())
    }

    fn define(&self) -> Result<Arc<Vec<u8>>, Failure> {
        let mut definition = Definition::parse("the definition", None)?;
        for (key, toggle) in &self.toggles {
            if let Some(users) = read(&toggle.users) {
                let mut flag = Flag::default();
                flag.turn_on_for(&users);
                flag.describe(&toggle.spec, None);
                definition.put(key, flag);
            }
        }
        let json = serde_json::to_vec(&definition).map(|mut json| {
            json.shrink_to_fit();
            Arc::new(json)
        });
        json.map_err(|error| Failure::new(Kind::Setup, error.to_string()))
    }
}

fn evaluate<'a>(key: &'a str, toggle: &'a Toggle, user: &str) -> Evaluated<'a> {
    let Some(users) = read(&toggle.users) else {
        toggle.counts.count(Evaluation::NotReady);
        return Evaluated::Unknown {
            key,
            error_code: "GENERAL",
            error_details: NOT_READY,
        };
    };
    let value = users.contains(user);
    let (reason, variant, evaluation) = match value {
        true => ("TARGETING_MATCH", "on", Evaluation::On),
        false => ("DEFAULT", "off", Evaluation::Off),
    };
    toggle.counts.count(evaluation);
    Evaluated::Known {
        key,
        value,
        reason,
        variant,
        metadata: toggle.spec.get("metadata"),
    }
}

/// Whether a header `Host` names this machine.
fn is_this_machine(host: &str) -> bool {
    let port = host
        .rfind(':')
        .filter(|colon| !host[*colon..].contains(']'));
    is_loopback(&host[..port.unwrap_or(host.len())])
}

/// The key of the toggle that is to be evaluated.
fn key_of(path: &str) -> Option<String> {
    let encoded = path.strip_prefix(EVALUATE)?.strip_prefix('/')?;
    Some(percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

/// The user of a request: `{"context": {"targetingKey": "alice"}}`.
fn targeting_key(body: &[u8]) -> Result<String, Wrong> {
    let no_json = (
        "PARSE_ERROR",
        "the body is not a JSON object, or has a member twice",
    );
    let body: Members<&RawValue> = serde_json::from_slice(body).map_err(|_| no_json)?;
    let context = body
        .get("context")
        .ok_or(("INVALID_CONTEXT", "`context` is missing"))?;
    let no_object = (
        "INVALID_CONTEXT",
        "`context` is not an object, or has a member twice",
    );
    let context: Members<&RawValue> = serde_json::from_str(context.get()).map_err(|_| no_object)?;
    let missing = (
        "TARGETING_KEY_MISSING",
        "`context` has no `targetingKey`, or an empty one",
    );
    let key = context.get("targetingKey").ok_or(missing)?;
    let no_text = ("INVALID_CONTEXT", "`targetingKey` is not a string");
    let key: Option<String> = serde_json::from_str(key.get()).map_err(|_| no_text)?;
    key.filter(|key| !key.is_empty()).ok_or(missing)
}

/// Whether a tag is among those of the header `If-None-Match` (RFC 9110, 13.1.2).
fn is_named(tag: &str, header: &str) -> bool {
    let mut tags = header.split(',').map(str::trim);
    tags.any(|named| named == "*" || named.trim_start_matches("W/") == tag)
}

impl Reply {
    fn new(status: u16, body: Arc<Vec<u8>>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body,
        }
    }

    fn json(status: u16, body: &impl Serialize) -> Reply {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Reply::new(status, Arc::new(body))
    }

    fn error(status: u16, details: &str) -> Reply {
        Reply::json(status, &json!({ "errorDetails": details }))
    }

    fn failure(status: u16, key: Option<&str>, (code, details): Wrong) -> Reply {
        let mut body = json!({ "errorCode": code, "errorDetails": details });
        if let Some(key) = key {
            body["key"] = json!(key);
        }
        Reply::json(status, &body)
    }

    /// Until the users are known, the SDK's default decides.
    fn not_ready(key: &str) -> Reply {
        let details = format!("the users of the toggle {key} are not known yet");
        Reply::error(503, &details).with("Retry-After", "1")
    }

    fn not_allowed(allow: &str) -> Reply {
        Reply::error(405, "this route does not know this method").with("Allow", allow)
    }

    fn unchanged(tag: String) -> Reply {
        Reply::new(304, Arc::default()).with("ETag", tag)
    }

    /// Answers 304 if the client has what this tag stands for.
    fn unless_known(self, current: String, known: Option<&str>) -> Reply {
        match known.is_some_and(|known| is_named(&current, known)) {
            true => Reply::unchanged(current),
            false => self.with("ETag", current),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}

#[cfg(test)]
mod tests;
