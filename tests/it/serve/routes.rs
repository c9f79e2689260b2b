//! The routes, and who may use them.

use serde_json::Value;

use crate::support::World;
use crate::support::program::Daemon;

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
    let digit = if token.ends_with('0') { "1" } else { "0" };
    let short = &authorization[..authorization.len() - 1];
    let wrong = [
        format!("{authorization}x"),
        short.to_owned(),
        format!("{short}{digit}"),
        "Bearer ".to_owned(),
        format!("Basic {token}"),
        token.to_owned(),
    ];
    for value in &wrong {
        let answer = daemon.post("/opa_update/main", &[("authorization", value)]);
        assert_eq!(answer.status, 401, "a wrong token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
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
    let health = json(&daemon.get("/health").text());
    assert_eq!(health["status"], "failing");
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
