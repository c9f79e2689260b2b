//! Stand-ins for targets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::peer::Reply;
use crate::wire::Request;
use crate::world::users;

type Handler = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

/// The segment of the toggles that have one.
pub(crate) const SEGMENT: &str = "people";

/// How many users a strategy takes in this Unleash. Of the 10,000 that are measured, the last one has fewer.
const ROOM: usize = 350;

pub(crate) fn rest(request: &Request) -> Reply {
    match request.method.as_str() {
        "POST" => Reply::new("create", 201, "{}"),
        _ => Reply::new("update", 200, "{}"),
    }
}

/// A flag that always has the same users, in both environments.
pub(crate) fn launchdarkly(count: usize) -> Handler {
    let users = users(count);
    let flag = Arc::new(flag("toggle-0", [&users, &users]).into_bytes());
    Box::new(move |request| answer(request, &flag))
}

/// A flag for the members of a segment, who are always the same.
pub(crate) fn segment(count: usize) -> Handler {
    let clause = json!({"op": "segmentMatch", "negate": false, "values": [SEGMENT]});
    let rules = json!({"rules": [{"variation": 0, "clauses": [clause]}]}).to_string();
    let flag = flag("toggle-0", [b"[]", b"[]"]).replace("\"rules\":[]", &rules[1..rules.len() - 1]);
    let flag = Arc::new(flag.into_bytes());
    let segment = json!({"key": SEGMENT, "included": list(count)});
    let segment = Arc::new(segment.to_string().into_bytes());
    Box::new(move |request| match request.path.contains("/segments/") {
        true => answer(request, &segment),
        false => answer(request, &flag),
    })
}

/// A feature of Unleash's whose strategies list the users, always the same: the last one has room for more.
pub(crate) fn unleash(count: usize) -> Handler {
    let strategies = list(count);
    let strategies = strategies.chunks(ROOM).enumerate().map(|(id, users)| {
        json!({
            "id": format!("{id:08x}-6fd2-4f2a-9d3c-0242ac120002"),
            "name": "flexibleRollout",
            "title": "optoggles",
            "disabled": false,
            "parameters": {"rollout": "100", "stickiness": "default", "groupId": "toggle-0"},
            "constraints": [{"contextName": "userId", "operator": "IN", "values": users}],
            "segments": [],
            "variants": [],
        })
    });
    let strategies: Vec<Value> = strategies.collect();
    let places = json!([{"name": "production", "enabled": true, "strategies": strategies}]);
    let feature = json!({"name": "toggle-0", "type": "permission", "environments": places});
    let limits = json!({"constraintValues": ROOM, "featureEnvironmentStrategies": 30});
    let answers = [
        ("/ui-config", json!({"resourceLimits": limits})),
        ("/tags", json!({"tags": []})),
        ("", feature),
    ];
    let answers = answers.map(|(end, body)| (end, Arc::new(body.to_string().into_bytes())));
    Box::new(move |request| {
        let found = answers.iter().find(|(end, _)| request.path.ends_with(end));
        answer(request, &found.expect("the last one fits").1)
    })
}

/// How many users the strategy has that takes another one.
pub(crate) fn listed_with(count: usize) -> usize {
    count % ROOM
}

fn answer(request: &Request, body: &Arc<Vec<u8>>) -> Reply {
    let is_read = request.method == "GET";
    Reply {
        kind: if is_read { "read" } else { "update" },
        status: 200,
        body: Arc::clone(body),
    }
}

fn list(count: usize) -> Vec<String> {
    serde_json::from_slice(&users(count)).expect("a list of users")
}

/// The targets of [`Several`](crate::world::Target::Several): of the flags, whether they have the one user more in production.
pub(crate) struct Flags {
    flags: Mutex<BTreeMap<String, bool>>,
    /// The former users, and with one more.
    users: [Vec<u8>; 2],
}

impl Flags {
    pub(crate) fn new(toggles: usize, count: usize) -> Flags {
        let keys = (2..toggles).step_by(3);
        let keys = keys.map(|toggle| (format!("toggle-{toggle}"), false));
        Flags {
            flags: Mutex::new(keys.collect()),
            users: [users(count), users(count + 1)],
        }
    }

    pub(crate) fn several(&self, request: &Request) -> Reply {
        let (method, path) = (request.method.as_str(), request.path.as_str());
        let path = path.split('?').next().unwrap_or_default();
        let Some(path) = path.strip_prefix("/api/v2/flags/default") else {
            return match method {
                "PATCH" if path.starts_with("/stuck") => Reply::new("stuck", 200, "{}"),
                _ => rest(request),
            };
        };
        let mut flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        let body = String::from_utf8_lossy(&request.body);
        if body.contains("\"test\"") {
            let words = "{\"message\":\"approval is required\"}";
            return Reply::new("refused", 405, words);
        }
        let key = path.trim_start_matches('/');
        if method == "PATCH" {
            flags.insert(key.to_owned(), body.contains("addTargets"));
            return Reply::new("update", 200, self.flag(key, &flags));
        }
        if !key.is_empty() {
            return Reply::new("read", 200, self.flag(key, &flags));
        }
        let all: Vec<String> = flags.keys().map(|key| self.flag(key, &flags)).collect();
        let (items, count) = (all.join(","), all.len());
        let list = format!("{{\"items\":[{items}],\"totalCount\":{count}}}");
        Reply::new("read", 200, list)
    }

    fn flag(&self, key: &str, flags: &BTreeMap<String, bool>) -> String {
        let altered = flags.get(key).copied().unwrap_or_default();
        flag(key, [&self.users[usize::from(altered)], &self.users[0]])
    }
}

/// A flag that is on for these users in production, and for these in test.
fn flag(key: &str, users: [&[u8]; 2]) -> String {
    let [production, test] = users.map(|users| {
        let users = String::from_utf8_lossy(users);
        format!(
            "{{\"on\":true,\"fallthrough\":{{\"variation\":1}},\"offVariation\":1,\
             \"targets\":[{{\"values\":{users},\"variation\":0}}],\"contextTargets\":[],\"rules\":[],\
             \"prerequisites\":[],\"version\":1}}"
        )
    });
    format!(
        "{{\"key\":\"{key}\",\"name\":\"Flag\",\"tags\":[],\"archived\":false,\
         \"variations\":[{{\"_id\":\"5f2d1c9e-on\",\"value\":true}},\
         {{\"_id\":\"5f2d1c9e-off\",\"value\":false}}],\
         \"environments\":{{\"production\":{production},\"test\":{test}}}}}"
    )
}
