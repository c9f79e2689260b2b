//! A stand-in for the OPAL client: where OPA is, and callbacks that live in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::wire::{Answer, Request};
use super::{Server, Stage, client, lock};

/// Stands in each report that OPAL keeps: nothing of it may be shown anywhere.
pub(crate) const REPORTED: &str = "a-name-from-the-last-report";

pub(crate) struct Opal {
    pub(crate) http: Server,
    stage: Stage,
    state: Arc<Mutex<State>>,
}

struct State {
    config: Value,
    token: Option<String>,
    callbacks: BTreeMap<String, Value>,
}

impl Opal {
    /// Requires `token`, and names an OPA that requires `opa_token`.
    pub(crate) fn start(
        stage: &Stage,
        token: Option<&str>,
        opa: &str,
        opa_token: Option<&str>,
    ) -> Opal {
        let config = match opa_token {
            Some(token) => json!({"type": "OPA", "url": opa, "auth_type": "token", "token": token}),
            None => json!({"type": "OPA", "url": opa, "auth_type": "none"}),
        };
        let state = Arc::new(Mutex::new(State {
            config,
            token: token.map(str::to_owned),
            callbacks: BTreeMap::new(),
        }));
        stage.add_secret(REPORTED);
        let handler = {
            let (stage, state) = (stage.clone(), state.clone());
            Box::new(move |request: &Request| lock(&state).answer(&stage, request))
        };
        Opal {
            http: Server::start_new(stage, "OPAL", handler),
            stage: stage.clone(),
            state,
        }
    }

    pub(crate) fn set_config(&self, config: Value) {
        lock(&self.state).config = config;
    }

    /// Forgets every callback, as OPAL's client does when it is restarted.
    pub(crate) fn restart(&self) {
        self.http.stop();
        lock(&self.state).callbacks.clear();
        self.http.start();
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        lock(&self.state).callbacks.keys().cloned().collect()
    }

    pub(crate) fn url_of(&self, key: &str) -> Option<String> {
        let state = lock(&self.state);
        let url = state.callbacks.get(key)?["url"].as_str();
        url.map(str::to_owned)
    }

    /// Another program registers under this key, with another URL.
    pub(crate) fn take_over(&self, key: &str) {
        let entry = json!({"key": key, "url": "http://127.0.0.1:9/", "config": {"method": "post"}});
        lock(&self.state).callbacks.insert(key.to_owned(), entry);
    }

    /// The `Authorization` that callbacks bring along; waits for a registration.
    pub(crate) fn authorization(&self) -> String {
        let mut found = None;
        self.stage.wait_until("a callback is registered", || {
            let state = lock(&self.state);
            let header = |entry: &Value| {
                let value = entry["config"]["headers"]["Authorization"].as_str();
                value.map(str::to_owned)
            };
            found = state.callbacks.values().find_map(header);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// Tells everyone who registered that something changed, as OPAL does.
    pub(crate) fn call_back(&self) -> Vec<Answer> {
        let entries: Vec<Value> = lock(&self.state).callbacks.values().cloned().collect();
        let body = report();
        entries.iter().map(|entry| send(entry, &body)).collect()
    }
}

impl State {
    fn answer(&mut self, stage: &Stage, request: &Request) -> Answer {
        if !request.may(self.token.as_deref()) {
            return Answer::json(401, &json!({"detail": "access denied"}));
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/policy-store/config") => Answer::json(200, &self.config),
            ("GET", "/callbacks") => {
                let all: Vec<&Value> = self.callbacks.values().collect();
                Answer::json(200, &json!(all))
            }
            ("POST", "/callbacks") => self.register(stage, request.json()),
            (method, path) => match path.strip_prefix("/callbacks/") {
                Some(key) => self.entry(method, &percent_decode_str(key).decode_utf8_lossy()),
                None => not_found(),
            },
        }
    }

    fn register(&mut self, stage: &Stage, entry: Value) -> Answer {
        let Some(key) = entry["key"].as_str() else {
            return Answer::json(422, &json!({"detail": "key"}));
        };
        let header = entry["config"]["headers"]["Authorization"].as_str();
        if let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) {
            stage.add_secret(token);
        }
        self.callbacks.insert(key.to_owned(), entry.clone());
        Answer::json(200, &entry)
    }

    fn entry(&mut self, method: &str, key: &str) -> Answer {
        if key.contains('/') || !self.callbacks.contains_key(key) {
            return not_found();
        }
        match method {
            "GET" => {
                let mut entry = self.callbacks[key].clone();
                entry["config"]["data"] = json!(report());
                Answer::json(200, &entry)
            }
            "DELETE" => {
                self.callbacks.remove(key);
                Answer::json(204, &Value::Null)
            }
            _ => Answer::json(405, &json!({"detail": "Method Not Allowed"})),
        }
    }
}

fn not_found() -> Answer {
    Answer::json(404, &json!({"detail": "Not Found"}))
}

fn report() -> String {
    let data = json!({ "name": REPORTED });
    let entry = json!({"url": "", "dst_path": "/users", "save_method": "PUT", "data": data});
    let reports = json!([{"entry": entry, "fetched": true, "saved": true, "hash": "eb16"}]);
    json!({"update_id": "39c8", "reports": reports, "policy_hash": null, "user_data": {}})
        .to_string()
}

fn send(entry: &Value, body: &str) -> Answer {
    let url = entry["url"].as_str().unwrap();
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let address: SocketAddr = host.parse().unwrap();
    let mut headers = vec![
        ("content-type", "text/plain; charset=utf-8"),
        ("user-agent", "Python/3.11 aiohttp/3.9"),
    ];
    if let Some(registered) = entry["config"]["headers"].as_object() {
        headers.extend(
            registered
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap())),
        );
    }
    let path = format!("/{path}");
    client::request(address, "POST", &path, &headers, body.as_bytes()).unwrap()
}
