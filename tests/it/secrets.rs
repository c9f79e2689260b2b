//! Nothing that is secret is ever printed or shown. Every test looks for that when it ends, in all
//! that the program wrote and answered (`Process`); here the others do their best to get it out.

use serde_json::json;

use crate::support::opal::REPORTED;
use crate::support::wire::Request;
use crate::support::{Answer, Fault, Stage, World};

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
    world.store.http.next(1, "PATCH *", echo(400));
    world.change("us", &["bob"]);
    daemon.wait_failing();
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
    let args = ["-vv", "sync", "--once", "--format", format];
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
        world.program.run(&["-vv", "sync", "--once"]).exits(1);
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
        world.program.run(&["-vv", "sync", "--once"]).exits(1);
        let sent = world.store.http.seen(which).remove(0).request.json();
        assert_eq!(
            sent["owner"]["hook"][0],
            format!("https://{}/x", secrets[0])
        );
        assert_eq!(sent["note"], secrets[1]);
        world.store.http.heal();
        world.store.put("us", &[]);
    }
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
