//! Stand-ins for OPAL, OPA and a target, and a configuration that names them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::peer::{Peer, Reply};
use crate::wire::{Request, request};

/// The part of OPA's metrics that is read, once it has data.
const METRICS: &str = "http_request_duration_seconds_count{code=\"200\",handler=\"v1/data\",\
                       method=\"get\"} 7\nhttp_request_duration_seconds_count{code=\"204\",\
                       handler=\"v1/data\",method=\"put\"} 2\n";

/// The target of a world.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Rest,
    LaunchDarkly,
    Flagd,
    /// One that works, one that hangs, and LaunchDarkly, which refuses changes in an environment. The toggles
    /// take turns, and follow ten rules, of which one changes.
    Several,
}

/// Everything around the program.
pub(crate) struct World {
    pub(crate) opal: Peer,
    pub(crate) opa: Peer,
    pub(crate) target: Peer,
    pub(crate) folder: TempDir,
    pub(crate) toggles: usize,
    /// Of each toggle.
    pub(crate) users: usize,
    pub(crate) asks_if_ready: bool,
    policy: Arc<Policy>,
    authorization: Arc<Mutex<String>>,
}

/// The answers to every rule: the second has one more user.
struct Policy {
    answers: [Arc<Vec<u8>>; 2],
    /// The rule that changes; none: every rule.
    one: Option<&'static str>,
    changes: AtomicUsize,
}

impl World {
    /// This many toggles, each with this many users.
    pub(crate) fn new(target: Target, toggles: usize, count: usize) -> World {
        let answer = |count| Arc::new([b"{\"result\":", &*users(count), b"}"].concat());
        let policy = Arc::new(Policy {
            answers: [answer(count), answer(count + 1)],
            one: (target == Target::Several).then_some("/v1/data/app/rbac/rule_0"),
            changes: AtomicUsize::new(0),
        });
        let authorization: Arc<Mutex<String>> = Arc::default();
        let opa = Peer::start({
            let policy = Arc::clone(&policy);
            move |request| opa(&policy, request)
        });
        let opal = Peer::start({
            let (url, authorization) = (opa.url(), Arc::clone(&authorization));
            move |request| opal(&url, &authorization, request)
        });
        let flag: Arc<Vec<u8>> = match target {
            Target::LaunchDarkly => {
                let users = users(count);
                Arc::new(flag("toggle-0", [&users, &users]).into_bytes())
            }
            Target::Several | Target::Rest | Target::Flagd => Arc::default(),
        };
        let flags = Flags::new(toggles, count);
        let peer = Peer::start(move |request| match target {
            Target::LaunchDarkly => launchdarkly(&flag, request),
            Target::Several => flags.several(request),
            Target::Rest | Target::Flagd => rest(request),
        });
        let world = World {
            opal,
            opa,
            target: peer,
            folder: TempDir::new().expect("a folder"),
            toggles,
            users: count,
            asks_if_ready: true,
            policy,
            authorization,
        };
        world.configure(world.config(target));
        world
    }

    /// The same, and OPA is not asked whether it is ready.
    pub(crate) fn always_ready(target: Target, toggles: usize, count: usize) -> World {
        let mut world = World::new(target, toggles, count);
        world.asks_if_ready = false;
        let asks_not = "[[sources]]\nwait_until_ready = false\n";
        world.configure(world.config(target).replace("[[sources]]\n", asks_not));
        world
    }

    fn configure(&self, config: String) {
        let path = self.folder.path().join("optoggles.toml");
        fs::write(path, config).expect("the folder can be written to");
    }

    /// Every rule gets one more user, or loses it again.
    pub(crate) fn alter(&self) {
        self.policy.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Starts the program, and waits until it has registered.
    pub(crate) fn start(&self) -> Daemon {
        let registered = self.opal.tally("register").requests;
        let mut daemon = Daemon::spawn(self.folder.path());
        self.opal.wait_for("register", registered + 1);
        daemon.registered(&self.authorization());
        daemon
    }

    /// The same, and waits for the first update of every toggle.
    pub(crate) fn start_in_step(&self) -> Daemon {
        let updates = self.target.tally("update").requests;
        let daemon = self.start();
        self.target.wait_for("update", updates + self.toggles);
        daemon
    }

    /// Calls back, and waits until all toggles have been queried.
    pub(crate) fn pass(&self, daemon: &Daemon) {
        let queries = self.opa.tally("query").requests;
        daemon.call_back();
        self.opa.wait_for("query", queries + self.toggles);
    }

    /// The users change, OPAL calls back, and this many updates follow.
    pub(crate) fn change(&self, daemon: &Daemon, updates: usize) {
        self.alter();
        let before = self.target.tally("update").requests;
        daemon.call_back();
        self.target.wait_for("update", before + updates);
    }

    /// The request for the users of a toggle.
    pub(crate) fn query(&self, toggle: usize) -> Vec<u8> {
        let path = format!("/v1/data/app/rbac/{}", rule(toggle));
        request("GET", &path, "none", b"")
    }

    fn authorization(&self) -> String {
        let known = self.authorization.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn config(&self, target: Target) -> String {
        let mut config = format!(
            "bind = \"127.0.0.1:0\"\nresync_interval = \"0s\"\n[[sources]]\nid = \"main\"\n\
             url = \"{}\"\nadvertised_address = \"127.0.0.1:9\"\n",
            self.opal.url()
        );
        let url = self.target.url();
        let (lines, spec) = match target {
            Target::Rest => (
                format!("type = \"restapi\"\nendpoint_url = \"{url}/toggles\""),
                "",
            ),
            Target::LaunchDarkly => (
                format!("type = \"launchdarkly\"\ntoken = \"none\"\nbase_url = \"{url}\""),
                "[toggles.spec]\nname = \"Flag\"\nproj_key = \"default\"\n\
                 environments = [\"production\", \"test\"]\n",
            ),
            Target::Flagd => ("type = \"flagd\"\npath = \"flags.json\"".to_owned(), ""),
            Target::Several => return config + &self.several(&url),
        };
        let _ = writeln!(config, "[target]\n{lines}");
        for toggle in 0..self.toggles {
            let rule = rule(toggle);
            let _ = writeln!(
                config,
                "[[toggles]]\nkey = \"toggle-{toggle}\"\nusers_policy = {{ source = \"main\", \
                 package = \"app.rbac\", rule = \"{rule}\" }}\n{spec}"
            );
        }
        config
    }
}

/// The toggles take turns at the targets of [`Target::Several`].
const TARGETS: [&str; 3] = ["fine", "stuck", "launchdarkly"];

impl World {
    fn several(&self, url: &str) -> String {
        let mut config = String::new();
        for id in &TARGETS[..2] {
            let _ = writeln!(
                config,
                "[[targets]]\nid = \"{id}\"\ntype = \"restapi\"\nendpoint_url = \"{url}/{id}\""
            );
        }
        let _ = writeln!(
            config,
            "[[targets]]\nid = \"launchdarkly\"\ntype = \"launchdarkly\"\ntoken = \"none\"\n\
             base_url = \"{url}\""
        );
        for toggle in 0..self.toggles {
            let (target, rule) = (TARGETS[toggle % 3], toggle % 10);
            let _ = writeln!(
                config,
                "[[toggles]]\nkey = \"toggle-{toggle}\"\ntarget = \"{target}\"\nusers_policy = {{ \
                 source = \"main\", package = \"app.rbac\", rule = \"rule_{rule}\" }}"
            );
            if target == "launchdarkly" {
                config += "[toggles.spec]\nname = \"Flag\"\nproj_key = \"default\"\n\
                           environments = [\"production\", \"test\"]\n";
            }
        }
        config
    }
}

/// This many users as a JSON list, 27 bytes each.
pub(crate) fn users(count: usize) -> Vec<u8> {
    let mut list = String::from("[");
    for number in 0..count {
        let comma = if number > 0 { "," } else { "" };
        let _ = write!(list, "{comma}\"user-{number:07}@example.com\"");
    }
    list.push(']');
    list.into_bytes()
}

fn rule(toggle: usize) -> String {
    format!("rule_{toggle}")
}

fn opa(policy: &Policy, request: &Request) -> Reply {
    match request.path.as_str() {
        "/metrics" => Reply::new("metrics", 200, METRICS),
        "/v1/data/system/opal/ready" => Reply::new("ready", 200, "{\"result\":true}"),
        "/v1/config" => Reply::new("config", 200, "{\"result\":{}}"),
        path => {
            let changes = policy.one.is_none_or(|one| one == path);
            let altered = changes && policy.changes.load(Ordering::SeqCst) % 2 == 1;
            Reply {
                kind: "query",
                status: 200,
                body: Arc::clone(&policy.answers[usize::from(altered)]),
            }
        }
    }
}

fn opal(opa: &str, authorization: &Mutex<String>, request: &Request) -> Reply {
    if request.method != "POST" {
        let config = json!({"type": "OPA", "url": opa, "auth_type": "none"});
        return Reply::new("discover", 200, config.to_string());
    }
    let entry: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let header = entry["config"]["headers"]["Authorization"].as_str();
    let mut known = authorization.lock().unwrap_or_else(PoisonError::into_inner);
    *known = header.unwrap_or_default().to_owned();
    Reply::new("register", 200, request.body.clone())
}

fn rest(request: &Request) -> Reply {
    match request.method.as_str() {
        "POST" => Reply::new("create", 201, "{}"),
        _ => Reply::new("update", 200, "{}"),
    }
}

fn launchdarkly(flag: &Arc<Vec<u8>>, request: &Request) -> Reply {
    let kind = if request.method == "GET" {
        "read"
    } else {
        "update"
    };
    let (status, body) = (200, Arc::clone(flag));
    Reply { kind, status, body }
}

/// The targets of [`Target::Several`]: of the flags, whether they have the one user more in production.
struct Flags {
    flags: Mutex<BTreeMap<String, bool>>,
    /// The former users, and with one more.
    users: [Vec<u8>; 2],
}

impl Flags {
    fn new(toggles: usize, count: usize) -> Flags {
        let keys = (2..toggles).step_by(3);
        let keys = keys.map(|toggle| (format!("toggle-{toggle}"), false));
        Flags {
            flags: Mutex::new(keys.collect()),
            users: [users(count), users(count + 1)],
        }
    }

    fn several(&self, request: &Request) -> Reply {
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
