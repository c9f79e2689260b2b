//! Every route, in every state, asked in every way: no answer shows a secret or a user.

use serde_json::json;

use crate::support::program::Daemon;
use crate::support::wire::Request;
use crate::support::world::{FLAGS_TOKEN, OPA_TOKEN, OPAL_TOKEN};
use crate::support::{Answer, Fault, World};

const PATHS: [&str; 16] = [
    "/",
    "/health",
    "/health/live",
    "/health/started",
    "/status",
    "/metrics",
    "/status?toggle=us&users=true&verbose",
    "/status/us",
    "/toggles/us",
    "/users",
    "/callbacks",
    "/policy-store/config",
    "/opa_update/main",
    "/opa_update/",
    "/opa_update/nobody",
    "/%2e%2e/optoggles.toml",
];

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
];

/// What the gate itself refuses.
const REFUSED: [&str; 7] = [
    "GET /\u{1}brought-along HTTP/1.1\r\nhost: us\r\n\r\n",
    "GET brought-along HTTP/1.1\r\nhost: us\r\n\r\n",
    "GET /brought-along HTTP/1.1\r\n\r\n",
    "GET /brought-along HTTP/2.0\r\nhost: us\r\n\r\n",
    "GET /brought-along HTTP/1.1\r\nhost: us\r\nbrought along: x\r\n\r\n",
    "POST /brought-along HTTP/1.1\r\nhost: us\r\ncontent-length: brought-along\r\n\r\n",
    "brought-along\r\n\r\n",
];

/// The users of the tests; each is recognized by its ending.
const USERS: [&str; 4] = ["ann-unseen", "bob-unseen", "cid-unseen", "dan-unseen"];

/// OPA's address holds a password.
fn world() -> World {
    let world = World::of(&["us"])
        .setting("max_removal = \"50%\"")
        .source_setting("opa_url = \"{opa-with-password}\"")
        .build();
    world.opa.set_token(None);
    world.opa.allow("us", &USERS);
    world
}

/// An error in which a remote repeats what it was sent, and names users.
fn telltale() -> Fault {
    Fault::reply(|request: &Request| {
        let body = String::from_utf8_lossy(&request.body);
        let message = format!("ann-unseen: {:?} {body}", request.headers);
        Answer::json(500, &json!({"code": "bob-unseen", "message": message}))
    })
}

/// Asks for everything, in every way, and searches the answers for secrets.
#[track_caller]
fn walk(world: &World, daemon: &Daemon) {
    let authorization = world.opal.authorization();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let secrets = [
        OPAL_TOKEN,
        OPA_TOKEN,
        FLAGS_TOKEN,
        token,
        "pass-of-ann",
        "YW5uOnBhc3Mtb2YtYW5u",
        "-unseen",
        "brought-along",
    ];
    let look = |asked: &str, answer: &str| {
        let found = secrets.iter().position(|secret| answer.contains(secret));
        assert_eq!(found, None, "{asked} is answered with a secret: {answer}");
    };
    for path in PATHS {
        for method in METHODS {
            let presented = [("authorization", "Bearer brought-along")];
            for headers in [&[][..], &presented] {
                let answer = daemon.request(method, path, headers);
                let head = String::from_utf8_lossy(&answer.head()).into_owned();
                look(&format!("{method} {path}"), &(head + &answer.text()));
                let refused = [401, 404, 405].contains(&answer.status);
                let reads = ["GET", "HEAD"].contains(&method);
                assert!(refused || reads, "{method} {path}: {}", answer.status);
            }
        }
    }
    for request in REFUSED {
        let answer = daemon.raw(request);
        assert!(answer.starts_with("HTTP/1.1 "), "{request:?}: {answer}");
        look(&format!("{request:?}"), &answer);
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "brought-along".repeat(1000));
    look("a head that is too long", &daemon.raw(&long));
    let metrics = daemon.get("/metrics").text();
    for url in ["://", "127.0.0.1", "/api/toggles", "/v1/data"] {
        assert!(!metrics.contains(url), "{url} in {metrics}");
    }
}

#[test]
fn no_route_shows_a_secret_or_a_user_while_all_is_well() {
    let world = world();
    let daemon = world.serve_in_step();
    walk(&world, &daemon);
    assert_eq!(daemon.health(), 200);
}

#[test]
fn no_route_shows_a_secret_or_a_user_while_everybody_tells_tales() {
    let world = world();
    let daemon = world.serve_in_step();
    world.store.http.always("*", telltale());
    world.change("us", &USERS[..3]);
    daemon.wait_failing();
    walk(&world, &daemon);
    world.opa.http.always("GET /v1/data/app/*", telltale());
    world.opal.call_back();
    world.wait_until("the query fails", || {
        daemon.toggle("us")["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("query"))
    });
    walk(&world, &daemon);
    drop(daemon);
    world.opal.http.always("POST *", telltale());
    world.opal.http.always("GET /callbacks/*", telltale());
    let daemon = world.serve();
    daemon.wait_failing();
    walk(&world, &daemon);
}

#[test]
fn no_route_shows_a_secret_or_a_user_while_a_change_is_held() {
    let world = world();
    let daemon = world.serve_in_step();
    world.change("us", &USERS[..1]);
    daemon.wait_failing();
    assert_eq!(daemon.toggle("us")["state"], "held");
    walk(&world, &daemon);
}
