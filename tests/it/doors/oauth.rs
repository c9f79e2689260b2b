//! OPA behind an OAuth server that OPAL names: client credentials (RFC 6749, 4.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{House, opal_source};
use crate::support::program::{Daemon, Program};
use crate::support::record::Seen;
use crate::support::wire::Request;
use crate::support::{Answer, Fault, Server};

const CLIENT: &str = "optoggles@example";
/// Base64 as secrets often are: OPAL sends it as it is, and so do we.
const CLIENT_SECRET: &str = "client+secret/of:the%tests==";
const TOKEN: &str = "POST /o/token/";

/// A house in which OPAL names an OAuth server, which gives out `granted-1`, `granted-2`, ….
struct Granted {
    house: House,
    oauth: Server,
    program: Program,
}

impl Granted {
    fn new(grant: Value) -> Granted {
        Granted::within("5s", grant)
    }

    /// One in which requests time out after that.
    fn within(timeout: &'static str, grant: Value) -> Granted {
        let house = House {
            timeout,
            ..House::new()
        };
        let count = Arc::new(AtomicU64::new(0));
        let handler = Box::new(move |request: &Request| {
            if request.header("authorization") != Some(&basic()) {
                let body = json!({"error": "invalid_client", "secret": CLIENT_SECRET});
                return Answer::json(401, &body);
            }
            let mut grant = grant.clone();
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            grant["access_token"] = json!(format!("granted-{number}"));
            Answer::json(200, &grant)
        });
        let oauth = Server::start_new(&house.stage, "OAuth", handler);
        for secret in [CLIENT_SECRET, &basic()[6..], "granted-"] {
            house.stage.add_secret(secret);
        }
        house.opal.set_config(json!({
            "type": "OPA", "url": house.opa.http.url(), "auth_type": "oauth",
            "oauth_client_id": CLIENT, "oauth_client_secret": CLIENT_SECRET,
            "oauth_server": format!("{}/o/token/", oauth.url()),
        }));
        house.opa.set_token(Some("granted-1"));
        let url = house.opal.http.url();
        let program = house.program(&opal_source(&url, ""), &[]);
        Granted {
            house,
            oauth,
            program,
        }
    }

    fn serve_in_step(&self) -> Daemon {
        let daemon = self.program.serve(&["-vv"]);
        daemon.wait_healthy();
        self.house.wait_for_users(&["ann"]);
        daemon
    }

    fn asked(&self) -> usize {
        self.oauth.count(TOKEN)
    }
}

fn basic() -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{CLIENT}:{CLIENT_SECRET}"))
    )
}

#[test]
fn the_grant_is_a_form_and_its_token_opens_opa() {
    let world = Granted::new(json!({"token_type": "Bearer", "expires_in": 3600}));
    world.program.run(&["-vv", "sync"]).exits(0);
    world.house.wait_for_users(&["ann"]);
    let seen = &world.oauth.seen("*")[0].request;
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/o/token/"));
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(seen.header("content-type"), form);
    assert_eq!(seen.body, b"grant_type=client_credentials");
    assert_eq!(world.asked(), 1, "one token for all queries");
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let world = Granted::new(json!({"expires_in": 1}));
    // The first one is never refused: it is replaced because it nearly expires.
    world.house.opa.set_token(None);
    let daemon = world.serve_in_step();
    world.house.stage.wait_until("OPA sees another token", || {
        let seen = world.house.opa.http.seen("GET /v1/data/app/*");
        let token = |seen: &Seen| seen.request.header("authorization") == Some("Bearer granted-2");
        seen.iter().any(token)
    });
    assert_eq!(daemon.health(), 200);
    world.house.change(&["bob"]);
}

#[test]
fn a_token_that_was_revoked_is_replaced() {
    let world = Granted::new(json!({"expires_in": 3600}));
    let daemon = world.serve_in_step();
    world.house.opa.set_token(Some("granted-2"));
    world.house.change(&["bob"]);
    daemon.wait_healthy();
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_lifetime_that_makes_no_sense_does_no_harm() {
    for lifetime in [
        json!(0),
        json!(-1),
        json!(1.8e19),
        json!(1e300),
        Value::Null,
    ] {
        let world = Granted::new(json!({ "expires_in": lifetime }));
        world.house.opa.set_token(None);
        let daemon = world.serve_in_step();
        let moment = Duration::from_millis(300);
        world
            .house
            .stage
            .holds_for(moment, "it is hardly asked again", || {
                world.asked() <= 3 && daemon.process.is_running()
            });
    }
}

#[test]
fn an_oauth_server_that_fails_is_named_and_tried_again() {
    let world = Granted::within("400ms", json!({}));
    world.house.opa.set_token(None);
    let raw = |body: &str| {
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        Fault::Raw(answer.into_bytes())
    };
    let invalid = json!({"error": "invalid_client", "error_description": CLIENT_SECRET});
    for (fault, reason, words) in [
        (Fault::Hang, "no answer in time", "no answer within 400ms"),
        (Fault::status(503), "answered 503", "answered 503"),
        (
            Fault::Answer(Answer::json(400, &invalid)),
            "answered 400",
            "check OPAL_POLICY_STORE_AUTH_OAUTH_CLIENT_ID and",
        ),
        (raw("<p>hello"), "not understood", "is not JSON"),
        (
            raw("{\"error\": 5}"),
            "not understood",
            "does not hold what",
        ),
        (Fault::Reset, "connection lost", "connection lost: "),
    ] {
        world.oauth.next(1, TOKEN, fault);
        let daemon = world.program.serve(&["-vv"]);
        world.house.wait_for_reason(&daemon, reason);
        daemon.wait_healthy();
        let output = daemon.terminate().exits(0);
        output
            .complains("discovery failed source=main")
            .complains("the OAuth server that OPAL names: ")
            .complains(words)
            .complains("discovery works again");
    }
}

#[test]
fn secrets_that_opal_keeps_to_itself_are_asked_for() {
    let world = Granted::new(json!({}));
    world.house.opal.set_config(json!({
        "type": "OPA", "url": world.house.opa.http.url(), "auth_type": "oauth",
        "oauth_client_id": CLIENT, "oauth_server": world.oauth.url(),
    }));
    let output = world.program.run(&["sync"]).exits(1);
    output.says("set opa_token on the source");
    assert_eq!(world.oauth.count("*"), 0);
}

#[test]
fn a_token_that_opal_changed_is_discovered() {
    // With and without a readiness query, which is refused before the others.
    for line in ["", "wait_until_ready = false"] {
        let house = House::new();
        let source = opal_source(&house.opal.http.url(), line);
        let daemon = house.program(&source, &[]).serve(&["-vv"]);
        daemon.wait_healthy();
        house.wait_for_users(&["ann"]);
        house.stage.add_secret("another-token");
        house.opa.set_token(Some("another-token"));
        let url = house.opa.http.url();
        house.opal.set_config(
            json!({"type": "OPA", "url": url, "auth_type": "token", "token": "another-token"}),
        );
        house.change(&["bob"]);
        daemon.wait_healthy();
        daemon.terminate().exits(0).complains("query failed");
    }
}
