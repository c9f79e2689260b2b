//! A stand-in for a REST target.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::wire::{Answer, Request};
use super::{Server, Stage, lock};

const TOGGLES: &str = "/api/toggles";

pub(crate) struct Store {
    pub(crate) http: Server,
    state: Arc<Mutex<State>>,
}

struct State {
    token: Option<String>,
    toggles: BTreeMap<String, Map<String, Value>>,
}

impl Store {
    /// Requires this token, if any.
    pub(crate) fn start(stage: &Stage, token: Option<&str>) -> Store {
        let state = Arc::new(Mutex::new(State {
            token: token.map(str::to_owned),
            toggles: BTreeMap::new(),
        }));
        let handler = {
            let state = state.clone();
            Box::new(move |request: &Request| lock(&state).answer(request))
        };
        Store {
            http: Server::start_new(stage, "target", handler),
            state,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}{TOGGLES}", self.http.url())
    }

    /// Someone puts a toggle there, or changes its users, by hand.
    pub(crate) fn put(&self, key: &str, users: &[&str]) {
        self.put_members(key, json!({ "users": users }));
    }

    /// The same with any members.
    pub(crate) fn put_members(&self, key: &str, members: Value) {
        let mut state = lock(&self.state);
        let toggle = state.toggles.entry(key.to_owned()).or_default();
        toggle.insert("key".to_owned(), json!(key));
        if let Value::Object(members) = members {
            toggle.extend(members);
        }
    }

    pub(crate) fn delete(&self, key: &str) {
        lock(&self.state).toggles.remove(key);
    }

    pub(crate) fn toggle(&self, key: &str) -> Option<Map<String, Value>> {
        lock(&self.state).toggles.get(key).cloned()
    }

    /// The users that a toggle has there; none: no toggle, or never any users.
    pub(crate) fn users(&self, key: &str) -> Option<Vec<String>> {
        let users = self.toggle(key)?.remove("users")?;
        serde_json::from_value(users).ok()
    }

    pub(crate) fn has(&self, key: &str, users: &[&str]) -> bool {
        self.users(key).is_some_and(|there| there == users)
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        if !request.may(self.token.as_deref()) {
            return Answer::json(401, &json!({"message": "who are you?"}));
        }
        let has_body = !["GET", "HEAD"].contains(&request.method.as_str());
        let is_json = request.header("content-type") == Some("application/json");
        if has_body && !(is_json && request.header("content-length").is_some()) {
            return Answer::json(411, &json!({"message": "JSON and its length required"}));
        }
        let key = request.path.strip_prefix(TOGGLES);
        match (request.method.as_str(), key) {
            ("HEAD", Some("")) => Answer::json(200, &json!([])),
            ("POST", Some("")) => self.create(request.json()),
            (method, Some(key)) if key.len() > 1 => {
                let key = percent_decode_str(&key[1..]).decode_utf8_lossy();
                match method {
                    "GET" => self.read(&key),
                    "PATCH" => self.update(&key, request.json()),
                    _ => Answer::json(405, &json!({})),
                }
            }
            _ => Answer::json(404, &json!({"message": "no such route"})),
        }
    }

    fn create(&mut self, body: Value) -> Answer {
        let (Some(key), Some(object)) = (body["key"].as_str(), body.as_object()) else {
            return Answer::json(400, &json!({"message": "no key"}));
        };
        if self.toggles.contains_key(key) {
            return Answer::json(409, &json!({"message": "it is there"}));
        }
        self.toggles.insert(key.to_owned(), object.clone());
        Answer::json(201, &body)
    }

    fn read(&self, key: &str) -> Answer {
        match self.toggles.get(key) {
            Some(toggle) => Answer::json(200, &json!(toggle)),
            None => Answer::json(404, &json!({"message": "no such toggle"})),
        }
    }

    fn update(&mut self, key: &str, body: Value) -> Answer {
        let (Some(toggle), Value::Object(members)) = (self.toggles.get_mut(key), body) else {
            return Answer::json(404, &json!({"message": "no such toggle"}));
        };
        toggle.extend(members);
        Answer::json(200, &json!(toggle))
    }
}

/// The path of a toggle, as it appears in the store's log; the key without characters to encode.
pub(crate) fn path_of(key: &str) -> String {
    format!("{TOGGLES}/{key}")
}

/// An update of a toggle, as it appears in the store's log.
pub(crate) fn patch_of(key: &str) -> String {
    format!("PATCH {}", path_of(key))
}
