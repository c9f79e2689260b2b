//! Nothing that is secret is ever printed or shown. Every test looks for that when it ends, in all
//! that the program wrote and answered (`Process`); here the others do their best to get it out.

use std::sync::atomic::{AtomicUsize, Ordering};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::opal::REPORTED;
use crate::support::program::Program;
use crate::support::wire::Request;
use crate::support::{Answer, Fault, Server, Stage, World};

/// An error whose words are what the request brought along.
fn echo(status: u16) -> Fault {
    Fault::reply(move |request: &Request| {
        let authorization = request.header("authorization").unwrap_or_default();
        let token = authorization.rsplit(' ').next().unwrap_or_default();
        let body = String::from_utf8_lossy(&request.body);
        let message = format!("{token}: {token} sent {body}");
        Answer::json(status, &json!({"code": token, "message": message}))
    })
}

/// Some failures of each peer, of both kinds, before all goes well.
fn make_trouble(world: &World) {
    for server in [&world.opal.http, &world.opa.http, &world.store.http] {
        server.next(1, "*", echo(500));
        server.next(1, "*", Fault::Reset);
    }
    world.opal.http.next(1, "POST /callbacks", echo(500));
    world.store.http.next(1, "PATCH *", echo(503));
}

#[test]
fn a_secret_that_is_printed_is_found() {
    let stage = Stage::new();
    stage.add_secret("hunter2");
    let text = "good\nAuthorization: Bearer [redacted]\nBearer ${T}\nBearer x\nit is hunter2!\n";
    assert_eq!(stage.leaks(text), ["Bearer x", "it is hunter2!"]);
}

#[test]
fn no_secret_is_printed_by_serve_however_much_it_says_and_whatever_goes_wrong() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    make_trouble(&world);
    let daemon = world.program.serve(&["-vv"]);
    daemon.wait_failing();
    for path in ["/status", "/health", "/metrics", "/"] {
        daemon.get(path);
    }
    daemon.wait_healthy();
    world.wait_for_users("us", &["ann"]);
    world.store.http.always("PATCH *", echo(400));
    world.change("us", &["bob"]);
    daemon.wait_failing();
    world.store.http.heal();
    for path in ["/status", "/health", "/metrics", "/"] {
        daemon.get(path);
    }
    world.wait_for_users("us", &["bob"]);
    world.opal.http.always("* /callbacks/*", echo(500));
    let output = daemon.terminate();
    assert!(output.stderr.lines().count() > 10, "{}", output.picture());
}

/// Every peer in turn refuses, for good, in words that are not to be repeated.
fn sync_while_everybody_echoes(format: &str) {
    let world = World::of(&["us", "tax"]).build();
    world.opa.allow("us", &["ann"]);
    let args = ["-vv", "sync", "--format", format];
    for (server, status) in [
        (&world.opa.http, 400),
        (&world.store.http, 422),
        (&world.opal.http, 401),
    ] {
        server.always("*", echo(status));
        world.program.run(&args).exits(1);
        server.heal();
    }
}

#[test]
fn no_secret_is_printed_by_sync() {
    sync_while_everybody_echoes("human");
    sync_while_everybody_echoes("json");
}

#[test]
fn no_secret_is_printed_by_check_config_online() {
    let world = World::of(&["us"]).build();
    let args = ["-vv", "check-config", "--online"];
    for server in [&world.store.http, &world.opa.http, &world.opal.http] {
        server.always("*", echo(400));
        world.program.run(&args).exits(1);
    }
}

#[test]
fn a_password_in_a_url_is_sent_and_never_shown() {
    // OPA's stand-in wants another authorization: this one comes back in its refusal.
    let world = World::of(&["us"])
        .source_setting("opa_url = \"{opa-with-password}\"")
        .build();
    let encoded = "YW5uOnBhc3Mtb2YtYW5u";
    world.stage.add_secret("pass-of-ann");
    world.stage.add_secret(encoded);
    let refusal = json!({"code": "unauthorized", "message": "ann, not with pass-of-ann"});
    let in_clear = Fault::Answer(Answer::json(401, &refusal));
    for fault in [in_clear, echo(401)] {
        world.opa.http.always("*", fault);
        world.program.run(&["-vv", "sync"]).exits(1);
        world.opa.http.heal();
    }
    let seen = world.opa.http.seen("*");
    let header = seen[0].request.header("authorization");
    assert_eq!(header, Some(format!("Basic {encoded}").as_str()));
}

#[test]
fn what_references_bring_into_a_spec_is_sent_and_never_shown() {
    let spec = "owner.hook = [\"https://${HOOK}/x\"]\nnote = \"${file:note.txt}\"";
    let secrets = ["hook-of-the-tests-2c9d", "note \"of\" the\ntests 8e1f"];
    let mut world = World::of(&["us"]).spec("us", spec).build();
    world.opa.allow("us", &["ann"]);
    world.program.set_env("HOOK", secrets[0]);
    world.program.write("note.txt", secrets[1]);
    world.stage.add_secret(secrets[0]);
    world.stage.add_secret("tests 8e1f");
    for which in ["POST *", "PATCH *"] {
        world.store.http.always(which, echo(422));
        world.program.run(&["-vv", "sync"]).exits(1);
        // The users may have been sent before the metadata.
        let seen = world.store.http.seen(which);
        let mut sent = seen.iter().map(|seen| seen.request.json());
        let sent = sent.find(|sent| sent["owner"] != Value::Null).unwrap();
        let hook = format!("https://{}/x", secrets[0]);
        assert_eq!(sent["owner"]["hook"][0], hook);
        assert_eq!(sent["note"], secrets[1]);
        world.store.http.heal();
        world.store.put("us", &[]);
    }
}

/// A reference in each kind of place, where `{echo}` is a server that repeats all that it is sent.
const EVERYWHERE: &str = r#"bind = "127.0.0.1:{port}"
[[sources]]
id = "opal"
url = "${URL}"
token = "${OPAL}"
advertised_address = "http://127.0.0.1:{port}/${GATEWAY}"
opa_url = "{echo}/y${OPA}"
[[sources]]
id = "opa"
type = "opa"
url = "{echo}/${OPA}/x"
token = "${file:token.txt}"
wait_until_ready = false
[[targets]]
id = "rest"
type = "restapi"
endpoint_url = "{echo}/hooks/${HOOK}"
extra_headers = { X-Key = "${HEADER}" }
[[targets]]
id = "ld"
type = "launchdarkly"
token = "${LD}"
base_url = "http://ann:${PASSWORD}@{host}/a${BASE}"
[[targets]]
id = "ul"
type = "unleash"
token = "${UNLEASH}"
url = "{echo}/u${MOUNT}"
[[toggles]]
key = "us"
target = "rest"
users_policy = { source = "opa", package = "app", rule = "us", input = { who = "${INPUT}" } }
spec = { deep = [{ note = "say ${NOTE}" }] }
[[toggles]]
key = "tax"
target = "ld"
users_policy = { source = "opa", package = "app", rule = "tax" }
[toggles.spec]
name = "${NAME}"
proj_key = "${PROJECT}"
environments = ["test", "${ENVIRONMENT}"]
description = "${DESCRIPTION}"
tags = ["${TAG}"]
[[toggles]]
key = "de"
target = "ul"
users_policy = { source = "opa", package = "app", rule = "de" }
[toggles.spec]
project = "${TEAM}"
environments = ["${STAGING}"]
description = "${WORDS}"
context_field = "${FIELD}"
[[toggles]]
key = "eu"
target = "rest"
users_policy = { source = "opal", package = "app", rule = "eu" }
"#;

const REFERENCES: &[(&str, &str)] = &[
    ("OPAL", "opal-of-the-tests-1a"),
    ("GATEWAY", "gateway-of-the-tests-2b"),
    ("OPA", "opa-of-the-tests-3c"),
    ("HOOK", "hook-of@the:tests-4d"),
    ("HEADER", "header-of-the-tests-5e"),
    ("LD", "ld-of-the-tests-6f"),
    ("PASSWORD", "password-of-the-tests-7a"),
    ("BASE", "base-of-the-tests-8b"),
    ("INPUT", "input \"of\" the\\tests é 9c"),
    ("NOTE", "note \"of\" the\\tests/ü 1d"),
    ("NAME", "name of <the> tests 2e"),
    ("PROJECT", "project-of-the-tests-3f"),
    ("ENVIRONMENT", "environment-of-the-tests-4a"),
    ("DESCRIPTION", "description%20of+the tests 5b"),
    ("TAG", "tag-of-the-tests-6c"),
    ("UNLEASH", "*:*.unleash-of-the-tests-7e"),
    ("MOUNT", "unleash-base-of-the-tests-8a"),
    ("TEAM", "unleash-project-of-the-tests-9d"),
    ("STAGING", "unleash-environment-of-the-tests-1e"),
    ("WORDS", "unleash \"description\" of the tests 2a"),
    ("FIELD", "unleash-field-of-the-tests-3c"),
];

/// A text as it is, percent-encoded, and as JSON has it.
fn spellings(text: &str) -> [String; 4] {
    let percent = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let lower = percent.replace("%2F", "%2f").replace("%C3%", "%c3%");
    let json = json!(text).to_string();
    [text, &percent, &lower, json.trim_matches('"')].map(str::to_owned)
}

/// All that the server was sent, in every spelling, and all that it was ever sent.
fn repeated(request: &Request) -> String {
    let decoded = percent_decode_str(&request.path).decode_utf8_lossy();
    let headers: Vec<&str> = request.headers.iter().map(|(_, value)| &**value).collect();
    let body = String::from_utf8_lossy(&request.body);
    let headers = headers.join(" ");
    let sent: [&str; 4] = [&request.path, &decoded, &headers, &body];
    let values = REFERENCES.iter().map(|(_, value)| *value);
    let all: Vec<String> = sent.into_iter().chain(values).flat_map(spellings).collect();
    all.join(" ")
}

#[test]
fn what_references_bring_in_is_shown_nowhere_whatever_repeats_it() {
    let stage = Stage::new();
    // Each is cut to 200 characters, so that each begins elsewhere.
    let turn = AtomicUsize::new(0);
    let echo = Server::start_new(
        &stage,
        "echo",
        Box::new(move |request| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            let words: String = repeated(request).chars().skip(turn * 150 % 3000).collect();
            let status = [400, 404, 500, 422, 401][turn % 5];
            match turn % 3 {
                0 => Answer::json(status, &json!({ "code": "x", "message": words })),
                1 => Answer::json(status, &Value::from(words)),
                _ => Answer {
                    status,
                    headers: Vec::new(),
                    body: words.into_bytes(),
                },
            }
        }),
    );
    let host = echo.address().to_string();
    let config = EVERYWHERE
        .replace("{echo}", &echo.url())
        .replace("{host}", &host);
    let mut program = Program::new(&stage, &config, REFERENCES);
    program.set_env("URL", &format!("{}/url-of/the-tests-7d", echo.url()));
    program.write("token.txt", "token-of-the-tests-8e\n");
    for secret in ["url-of/the", "the-tests-7d", "token-of-the-tests-8e"] {
        stage.add_secret(secret);
    }
    for (_, value) in REFERENCES {
        spellings(value).iter().for_each(|it| stage.add_secret(it));
    }
    for secret in ["hook-of", "the:tests-4d", "gateway-of-the"] {
        stage.add_secret(secret);
    }
    let sync = ["-vv", "sync", "--timeout", "1s", "--format"];
    for format in ["human", "json", "markdown"] {
        let output = program.run(&[&sync[..], &[format]].concat()).exits(1);
        let output = output.says("[redacted:PROJECT]");
        output.says("[redacted:TEAM]");
    }
    for format in ["human", "json"] {
        let explain = |toggle, name| {
            let options = ["--timeout", "1s", "--format", format];
            let args = [&["-vv", "explain", toggle, "ann"], &options[..]].concat();
            program.run(&args).exits(1).says(name);
        };
        explain("tax", "[redacted:ENVIRONMENT]");
        explain("de", "[redacted:STAGING]");
        explain("eu", "[redacted:OPA]");
        let args = ["-vv", "check-config", "--online", "--format", format];
        program.run(&args).exits(1);
    }
    let daemon = program.serve(&["-vv"]);
    let before = echo.count("*");
    stage.wait_until("much has failed", || echo.count("*") > before + 20);
    daemon.wait_failing();
    for path in ["/status", "/health", "/metrics", "/"] {
        daemon.get(path);
    }
    for (key, number, name) in [("tax", 1, "ENVIRONMENT"), ("de", 0, "STAGING")] {
        let names = &daemon.toggle(key)["environments"];
        assert_eq!(names[number]["name"], format!("[redacted:{name}]"));
    }
    daemon.terminate();
}

#[test]
fn users_are_named_at_trace_only_and_reports_never() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann-the-first"]);
    let daemon = world.program.serve(&["-v"]);
    world.wait_for_users("us", &["ann-the-first"]);
    world.change("us", &["bob-the-second"]);
    world.wait_for_users("us", &["bob-the-second"]);
    let output = daemon.terminate().exits(0);
    for name in ["the-first", "the-second", REPORTED] {
        assert!(!output.stderr.contains(name), "{}", output.picture());
    }
}
