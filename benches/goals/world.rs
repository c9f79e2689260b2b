//! Stand-ins for OPAL, OPA and a target, and a configuration that names them.

use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::peer::{Peer, Reply};
use crate::platform::{self, Flags, SEGMENT};
use crate::wire::Request;

/// The part of OPA's metrics that is read, once it has data.
const METRICS: &str = "http_request_duration_seconds_count{code=\"200\",handler=\"v1/data\",\
                       method=\"get\"} 7\nhttp_request_duration_seconds_count{code=\"204\",\
                       handler=\"v1/data\",method=\"put\"} 2\n";

/// The target of a world.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Rest,
    LaunchDarkly,
    /// LaunchDarkly, with the users in a segment.
    Segment,
    Unleash,
    Flagd,
    OpenFeature,
    /// One that works, one that hangs, and LaunchDarkly, which refuses changes in an environment. The toggles
    /// take turns. Only the first rule changes.
    Several,
}

/// What there is in a world.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) target: Target,
    pub(crate) toggles: usize,
    /// The toggles take turns at following them.
    pub(crate) rules: usize,
    /// How many a rule allows, at first and altered.
    pub(crate) users: [usize; 2],
    pub(crate) asks_if_ready: bool,
}

/// Everything around the program.
pub(crate) struct World {
    pub(crate) opal: Peer,
    pub(crate) opa: Peer,
    pub(crate) target: Peer,
    pub(crate) folder: TempDir,
    pub(crate) scene: Scene,
    policy: Arc<Policy>,
    authorization: Arc<Mutex<String>>,
}

/// The answers to every rule, at first and altered.
struct Policy {
    answers: [Arc<Vec<u8>>; 2],
    /// The rule that changes; none: every rule.
    one: Option<&'static str>,
    changes: AtomicUsize,
}

impl Scene {
    /// Each toggle has a rule of its own, with this many users, and one more when altered.
    pub(crate) fn new(target: Target, toggles: usize, users: usize) -> Scene {
        Scene {
            target,
            toggles,
            rules: toggles,
            users: [users, users + 1],
            asks_if_ready: true,
        }
    }
}

impl World {
    /// That of [`Scene::new`].
    pub(crate) fn new(target: Target, toggles: usize, users: usize) -> World {
        World::of(Scene::new(target, toggles, users))
    }

    pub(crate) fn of(scene: Scene) -> World {
        let answer = |count| Arc::new([b"{\"result\":", &*users(count), b"}"].concat());
        let policy = Arc::new(Policy {
            answers: scene.users.map(answer),
            one: (scene.target == Target::Several).then_some("/v1/data/app/rbac/rule_0"),
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
        let [count, _] = scene.users;
        let target = match scene.target {
            Target::LaunchDarkly => Peer::start(platform::launchdarkly(count)),
            Target::Segment => Peer::start(platform::segment(count)),
            Target::Unleash => Peer::start(platform::unleash(count)),
            Target::Several => {
                let flags = Flags::new(scene.toggles, count);
                Peer::start(move |request| flags.several(request))
            }
            Target::Rest | Target::Flagd | Target::OpenFeature => Peer::start(platform::rest),
        };
        let world = World {
            opal,
            opa,
            target,
            folder: TempDir::new().expect("a folder"),
            scene,
            policy,
            authorization,
        };
        let path = world.folder.path().join("optoggles.toml");
        fs::write(path, world.config()).expect("the folder can be written to");
        world
    }

    /// The rules get their other users.
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
        self.target.wait_for("update", updates + self.scene.toggles);
        daemon
    }

    /// Calls back, and waits until all rules have been queried.
    pub(crate) fn pass(&self, daemon: &Daemon) {
        let queries = self.opa.tally("query").requests;
        daemon.call_back();
        self.opa.wait_for("query", queries + self.scene.rules);
    }

    /// The users change, OPAL calls back, and this many updates follow.
    pub(crate) fn change(&self, daemon: &Daemon, updates: usize) {
        self.alter();
        let before = self.target.tally("update").requests;
        daemon.call_back();
        self.target.wait_for("update", before + updates);
    }

    fn authorization(&self) -> String {
        let known = self.authorization.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn config(&self) -> String {
        let (scene, url) = (self.scene, self.target.url());
        let mut config = format!(
            "bind = \"127.0.0.1:0\"\nresync_interval = \"0s\"\nmax_removal = \"100%\"\n[[sources]]\nid = \"main\"\n\
             url = \"{}\"\nadvertised_address = \"127.0.0.1:9\"\nwait_until_ready = {}\n",
            self.opal.url(),
            scene.asks_if_ready
        );
        let rest = |path: &str| format!("type = \"restapi\"\nendpoint_url = \"{url}/{path}\"\n");
        let launchdarkly =
            format!("type = \"launchdarkly\"\ntoken = \"none\"\nbase_url = \"{url}\"\n");
        let flag = "[toggles.spec]\nname = \"Flag\"\nproj_key = \"default\"\n\
                    environments = [\"production\", \"test\"]\n";
        let (of_target, spec) = match scene.target {
            Target::Rest => (rest("toggles"), String::new()),
            Target::LaunchDarkly => (launchdarkly, flag.to_owned()),
            Target::Segment => (launchdarkly, format!("{flag}segment = \"{SEGMENT}\"\n")),
            Target::Unleash => (
                format!("type = \"unleash\"\ntoken = \"none\"\nurl = \"{url}\"\n"),
                "[toggles.spec]\nenvironments = [\"production\"]\n".to_owned(),
            ),
            Target::Flagd => (
                "type = \"flagd\"\npath = \"flags.json\"\n".to_owned(),
                String::new(),
            ),
            Target::OpenFeature => ("type = \"openfeature\"\n".to_owned(), String::new()),
            Target::Several => {
                let lines = [rest("fine"), rest("stuck"), launchdarkly];
                for (id, lines) in TARGETS.iter().zip(lines) {
                    let _ = write!(config, "[[targets]]\nid = \"{id}\"\n{lines}");
                }
                (String::new(), String::new())
            }
        };
        if !of_target.is_empty() {
            let _ = write!(config, "[target]\n{of_target}");
        }
        for toggle in 0..scene.toggles {
            let _ = writeln!(
                config,
                "[[toggles]]\nkey = \"toggle-{toggle}\"\nusers_policy = {{ source = \"main\", \
                 package = \"app.rbac\", rule = \"rule_{}\" }}",
                toggle % scene.rules
            );
            if scene.target == Target::Several {
                let target = TARGETS[toggle % TARGETS.len()];
                let _ = writeln!(config, "target = \"{target}\"");
                config += if target == "launchdarkly" { flag } else { "" };
            }
            config += &spec;
        }
        config
    }
}

/// Those of [`Target::Several`].
const TARGETS: [&str; 3] = ["fine", "stuck", "launchdarkly"];

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
