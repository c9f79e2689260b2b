//! The routes, and who may use them.

use serde_json::Value;

use crate::support::program::{Daemon, Program};
use crate::support::{Stage, World};

const READABLE: [&str; 6] = [
    "/",
    "/health",
    "/health/live",
    "/health/started",
    "/metrics",
    "/status",
];

fn serving() -> (World, Daemon) {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann-who-is-not-shown"]);
    let daemon = world.serve_in_step();
    (world, daemon)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_callback_needs_the_token() {
    let (world, daemon) = serving();
    let authorization = world.opal.authorization();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let queries = world.queries("us");
    let wrong = [
        format!("{authorization}x"),
        authorization[..authorization.len() - 1].to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {token}"),
        token.to_owned(),
    ];
    for value in &wrong {
        let answer = daemon.post("/opa_update/main", &[("authorization", value)]);
        assert_eq!(answer.status, 401, "a wrong token");
    }
    assert_eq!(daemon.post("/opa_update/main", &[]).status, 401);
    assert_eq!(daemon.post("/opa_update/unknown", &[]).status, 401);
    assert_eq!(world.queries("us"), queries);
    let headers = [("authorization", authorization.as_str())];
    assert_eq!(daemon.post("/opa_update/unknown", &headers).status, 404);
    let answer = daemon.post("/opa_update/main", &headers);
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), "{}");
    world.wait_until("a pass runs", || world.queries("us") == queries + 1);
}

#[test]
fn every_route_answers_get_and_head() {
    let (_world, daemon) = serving();
    for path in READABLE {
        answers(&daemon, path);
    }
    assert_eq!(json(&daemon.get("/health").text())["status"], "ok");
}

/// `GET` gives something that names no user, `HEAD` the same without the body.
#[track_caller]
fn answers(daemon: &Daemon, path: &str) {
    let get = daemon.get(path);
    assert_eq!(get.status, 200, "{path}");
    assert!(!get.body.is_empty(), "{path}");
    let head = daemon.request("HEAD", path, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    assert_eq!(head.header("content-type"), get.header("content-type"));
    assert!(!get.text().contains("ann-who"), "{path} names users");
}

#[test]
fn another_method_is_405_with_allow_and_another_path_404() {
    let (_world, daemon) = serving();
    for path in READABLE {
        let answer = daemon.post(path, &[]);
        assert_eq!(answer.status, 405, "{path}");
        let allow = answer.header("allow").unwrap_or_default();
        assert!(
            allow.contains("GET") && allow.contains("HEAD"),
            "{path}: {allow}"
        );
    }
    let answer = daemon.get("/opa_update/main");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), Some("POST"));
    for path in [
        "/nope",
        "/health/nope",
        "/opa_update",
        "/status/x",
        "/metrics/x",
    ] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn status_tells_what_there_is_to_know() {
    let (world, daemon) = serving();
    let status = daemon.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(status["uptime_seconds"].is_number(), "{status}");
    assert_eq!(status["status"], "ok");
    let source = &status["sources"][0];
    assert_eq!(
        (&source["id"], &source["type"]),
        (&"main".into(), &"opal".into())
    );
    assert!(source["last_success"].is_string(), "{source}");
    assert!(source["last_error"].is_null() && source["next_retry"].is_null());
    let target = &status["targets"][0];
    assert_eq!([&target["id"], &target["type"]], ["restapi", "restapi"]);
    let toggle = &status["toggles"][0];
    assert_eq!(
        (&toggle["key"], &toggle["source"]),
        (&"us".into(), &"main".into())
    );
    assert_eq!(
        (&toggle["state"], &toggle["users"]),
        (&"in sync".into(), &1.into())
    );
    assert!(toggle["last_success"].is_string(), "{toggle}");
    assert!(toggle["last_error"].is_null() && toggle["next_retry"].is_null());
    world.opa.undefine("us");
    world.opal.call_back();
    world.wait_until("us fails", || daemon.toggle("us")["state"] == "failing");
    let toggle = daemon.toggle("us");
    assert!(toggle["last_error"].is_string(), "{toggle}");
    assert!(toggle["next_retry"].is_string(), "{toggle}");
    assert_eq!(daemon.status()["status"], "failing");
}

#[test]
fn reasons_name_the_object_and_the_failure_and_not_the_remotes_words() {
    let (world, daemon) = serving();
    let words = serde_json::json!({"message": "ann-who-is-not-shown is the matter"});
    let answer = crate::support::Answer::json(500, &words);
    world
        .store
        .http
        .always("PATCH *", crate::support::Fault::Answer(answer));
    world.change("us", &["bob"]);
    daemon.wait_failing();
    let health = daemon.get("/health");
    assert_eq!(health.header("content-type"), Some("application/json"));
    let body = json(&health.text());
    assert_eq!(body["status"], "failing");
    let reasons = body["reasons"].to_string();
    assert!(
        reasons.contains("us") && reasons.contains("500"),
        "{reasons}"
    );
    for path in ["/health", "/status", "/metrics", "/"] {
        let text = daemon.get(path).text();
        assert!(
            !text.contains("matter") && !text.contains("ann-who"),
            "{path}: {text}"
        );
    }
}

#[test]
fn the_page_tells_people_what_status_tells_programs() {
    let (world, daemon) = serving();
    let page = daemon.get("/");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = page.text();
    for part in ["✓</span> ok", "main", "connected", "restapi", "1 in sync"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    world.opa.undefine("us");
    world.opal.call_back();
    let fails = || {
        daemon
            .get("/")
            .text()
            .contains("query: the rule is undefined")
    };
    world.wait_until("the page shows what fails", fails);
    assert!(daemon.get("/").text().contains("✗</span> failing"));
}

#[test]
fn toggles_with_the_same_key_at_two_targets_are_told_apart_on_every_route() {
    let policy = "users_policy = { source = \"files\", package = \"app\", rule = \"us\" }\n";
    let mut config = "bind = \"127.0.0.1:{port}\"\n[[sources]]\nid = \"files\"\ntype = \"file\"\n\
                      path = \"users.json\"\n"
        .to_owned();
    for (id, path) in [("web", "flags.json"), ("shop", "nowhere/flags.json")] {
        config += &format!(
            "[[targets]]\nid = \"{id}\"\ntype = \"flagd\"\npath = \"{path}\"\n\
             [[toggles]]\nkey = \"us\"\ntarget = \"{id}\"\n{policy}"
        );
    }
    let stage = Stage::new();
    let program = Program::new(&stage, &config, &[]);
    program.write("users.json", r#"{ "app": { "us": ["ann"] } }"#);
    let daemon = program.serve(&[]);
    let is_settled = || {
        let status = daemon.status();
        let states = [0, 1].map(|toggle| status["toggles"][toggle]["state"].clone());
        states == ["in sync", "failing"]
    };
    stage.wait_until("one target has it and the other fails", is_settled);
    for (path, parts) in [
        ("/health", [r#""toggle shop/us: creation: "#, "failing"]),
        ("/", [">web/us<", ">shop/us<"]),
        (
            "/metrics",
            [
                r#"optoggles_toggle_in_sync{source="files",target="web",toggle="us"} 1"#,
                r#"optoggles_toggle_in_sync{source="files",target="shop",toggle="us"} 0"#,
            ],
        ),
    ] {
        let text = daemon.get(path).text();
        for part in parts {
            assert!(text.contains(part), "{path} without {part}: {text}");
        }
    }
    let log = daemon.terminate();
    log.complains("created toggle=web/us")
        .complains("creation failed toggle=shop/us ");
}
