//! A stand-in for OPA's data API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::wire::{Answer, Request};
use super::{Server, Stage, lock};

/// The path at which readiness is asked for.
pub(crate) const READY: &str = "GET /v1/data/system/opal/ready";

/// An OPA whose rules are what the test says.
pub(crate) struct Opa {
    pub(crate) http: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    token: Option<String>,
    ready: Option<bool>,
    rules: BTreeMap<String, Value>,
    /// By the rule and its `input`.
    inputs: BTreeMap<(String, String), Value>,
}

impl Opa {
    /// Requires this token; every rule is undefined.
    pub(crate) fn start(stage: &Stage, token: Option<&str>) -> Opa {
        let state = Arc::new(Mutex::new(State {
            token: token.map(str::to_owned),
            ..State::default()
        }));
        let handler = {
            let state = state.clone();
            Box::new(move |request: &Request| lock(&state).answer(request))
        };
        Opa {
            http: Server::start_new(stage, "OPA", handler),
            state,
        }
    }

    /// From now on it requires this token, if any.
    pub(crate) fn set_token(&self, token: Option<&str>) {
        lock(&self.state).token = token.map(str::to_owned);
    }

    pub(crate) fn allow(&self, key: &str, users: &[&str]) {
        self.answer(key, json!({ "result": users }));
    }

    pub(crate) fn answer(&self, key: &str, answer: Value) {
        lock(&self.state).rules.insert(rule_of(key), answer);
    }

    /// The answer to a query with this `input`.
    pub(crate) fn answer_to(&self, key: &str, input: &Value, answer: Value) {
        let asked = (rule_of(key), input.to_string());
        lock(&self.state).inputs.insert(asked, answer);
    }

    /// The users that the rule of this toggle gives, sorted.
    #[allow(dead_code, reason = "for the soak")]
    pub(crate) fn users(&self, key: &str) -> Vec<String> {
        let answer = lock(&self.state).rules.get(&rule_of(key)).cloned();
        let users = answer.unwrap_or_default()["result"].take();
        let mut users: Vec<String> = serde_json::from_value(users).unwrap_or_default();
        users.sort();
        users
    }

    pub(crate) fn undefine(&self, key: &str) {
        lock(&self.state).rules.remove(&rule_of(key));
    }

    /// What `system/opal/ready` says; none: it is undefined.
    pub(crate) fn set_ready(&self, ready: Option<bool>) {
        lock(&self.state).ready = ready;
    }
}

impl State {
    fn answer(&self, request: &Request) -> Answer {
        if !request.may(self.token.as_deref()) {
            let body = json!({"code": "unauthorized", "message": "request rejected"});
            return Answer::json(401, &body);
        }
        let input = match request.method.as_str() {
            "GET" => None,
            "POST" => Some(request.json()["input"].to_string()),
            _ => return Answer::json(405, &json!({"code": "bad_method", "message": "no"})),
        };
        let path = request.path.trim_end_matches("?provenance=true");
        match path.strip_prefix("/v1/data/") {
            Some("system/opal/ready") => match self.ready {
                Some(ready) => Answer::json(200, &json!({ "result": ready })),
                None => Answer::json(200, &json!({})),
            },
            Some(path) => {
                let rule = path.strip_prefix("app/rbac/").unwrap_or(path);
                let answer = match input {
                    Some(input) => self.inputs.get(&(rule.to_owned(), input)),
                    None => self.rules.get(rule),
                };
                let answer = answer.cloned();
                Answer::json(200, &answer.unwrap_or_else(|| json!({})))
            }
            None => Answer::json(
                404,
                &json!({"code": "not_found", "message": "no such page"}),
            ),
        }
    }
}

/// The name of the rule, in `app.rbac`, that the tests give to a toggle.
pub(crate) fn rule_of(key: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    key.chars().map(fit).collect()
}

/// The query for the users of a toggle, as it appears in a stand-in's log.
pub(crate) fn query_of(key: &str) -> String {
    format!("GET /v1/data/app/rbac/{}", rule_of(key))
}
