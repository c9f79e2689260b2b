//! The stand-ins do what the tests take for granted.

mod launchdarkly;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::opa::Opa;
use crate::support::opal::Opal;
use crate::support::store::Store;
use crate::support::{Answer, Fault, Server, Stage, client};

fn send(server: &Server, method: &str, path: &str, body: &Value) -> std::io::Result<Answer> {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    client::request(server.address(), method, path, &[], body.as_bytes())
}

fn status(server: &Server, method: &str, path: &str, body: &Value) -> u16 {
    send(server, method, path, body).unwrap().status
}

#[test]
fn the_store_creates_reads_and_merges() {
    let stage = Stage::new();
    let store = Store::start(&stage, None);
    let (toggle, users) = (
        json!({"key": "a b", "name": "A"}),
        json!({"users": ["ann"]}),
    );
    let path = "/api/toggles/a%20b";
    assert_eq!(status(&store.http, "GET", path, &Value::Null), 404);
    assert_eq!(status(&store.http, "PATCH", path, &users), 404);
    assert_eq!(status(&store.http, "POST", "/api/toggles", &toggle), 201);
    assert_eq!(status(&store.http, "POST", "/api/toggles", &toggle), 409);
    store.set_conflict(500);
    assert_eq!(status(&store.http, "POST", "/api/toggles", &toggle), 500);
    assert_eq!(status(&store.http, "PATCH", path, &users), 200);
    let read = send(&store.http, "GET", path, &Value::Null).unwrap();
    let expected = json!({"key": "a b", "name": "A", "users": ["ann"]});
    assert_eq!(
        serde_json::from_slice::<Value>(&read.body).unwrap(),
        expected
    );
    assert!(store.has("a b", &["ann"]));
    store.set_unreadable(405);
    assert_eq!(status(&store.http, "GET", path, &Value::Null), 405);
    assert_eq!(store.http.count("POST *"), 3);
}

#[test]
fn opal_keeps_callbacks_until_it_is_restarted_and_calls_them() {
    let stage = Stage::new();
    let listener = Server::start_new(
        &stage,
        "listener",
        Box::new(|_| Answer::json(202, &json!({}))),
    );
    let opal = Opal::start(&stage, None, "http://127.0.0.1:9", None);
    let url = format!("{}/opa_update/main", listener.url());
    let config = json!({"method": "post", "headers": {"Authorization": "Bearer tok"}});
    let entry = json!({"key": "optoggles:x", "url": url, "config": config});
    assert_eq!(status(&opal.http, "POST", "/callbacks", &entry), 200);
    let path = "/callbacks/optoggles%3Ax";
    assert_eq!(status(&opal.http, "GET", path, &Value::Null), 200);
    let answers = opal.call_back_with(100_000);
    assert_eq!(answers[0].status, 202);
    let seen = &listener.seen("POST /opa_update/main")[0].request;
    assert_eq!(seen.header("authorization"), Some("Bearer tok"));
    assert!(seen.body.len() > 100_000);
    opal.restart();
    assert_eq!(status(&opal.http, "GET", path, &Value::Null), 404);
    assert!(opal.keys().is_empty());
}

#[test]
fn opa_wants_its_token() {
    let stage = Stage::new();
    let opa = Opa::start(&stage, Some("tok"));
    opa.allow("us", &["ann"]);
    let path = "/v1/data/app/rbac/us";
    assert_eq!(status(&opa.http, "GET", path, &Value::Null), 401);
    let headers = [("authorization", "Bearer tok")];
    let answer = client::request(opa.http.address(), "GET", path, &headers, b"").unwrap();
    assert_eq!(answer.text(), r#"{"result":["ann"]}"#);
}

#[test]
fn faults_are_what_they_are_called() {
    let stage = Stage::new();
    let store = Store::start(&stage, None);
    store.put("a", &["ann"]);
    let get = || send(&store.http, "GET", "/api/toggles/a", &Value::Null);
    store.http.next(1, "GET *", Fault::status(503));
    assert_eq!(get().unwrap().status, 503);
    store.http.next(1, "GET /api/toggles/a", Fault::Reset);
    assert_eq!(get().unwrap_err().kind(), ErrorKind::ConnectionReset);
    store.http.next(1, "GET /api/*", Fault::Close);
    assert_eq!(get().unwrap_err().kind(), ErrorKind::InvalidData);
    store.http.next(1, "* *", Fault::Truncate);
    let whole = get().unwrap().body.len() + 1;
    assert_eq!(get().unwrap().body.len(), whole);
    store
        .http
        .next(1, "*", Fault::Raw(b"HTTP/1.1 200\r\n\r\nhm".to_vec()));
    assert_eq!(get().unwrap().text(), "hm");
    let start = Instant::now();
    let delay = Duration::from_millis(50);
    store.http.next(1, "*", Fault::Delay(delay));
    assert_eq!(get().unwrap().status, 200);
    assert!(start.elapsed() >= delay);
    store.http.always("POST *", Fault::status(500));
    assert_eq!(get().unwrap().status, 200);
}

#[test]
fn a_held_answer_comes_when_it_is_released() {
    let stage = Stage::new();
    let store = Store::start(&stage, None);
    let hold = store.http.hold("GET *");
    std::thread::scope(|scope| {
        let get = || status(&store.http, "GET", "/api/toggles/a", &Value::Null);
        let threads = [scope.spawn(get), scope.spawn(get)];
        stage.wait_until("both are held", || store.http.count("GET *") == 2);
        assert_eq!(store.http.answered("GET *"), 0);
        hold.release();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 404);
        }
    });
    assert_eq!(store.http.max_in_flight(), 2);
}

#[test]
fn a_stopped_server_refuses_and_ends_what_hangs_and_comes_back_at_its_port() {
    let stage = Stage::new();
    let store = Store::start(&stage, None);
    store.http.always("GET *", Fault::Hang);
    let get = || send(&store.http, "GET", "/api/toggles/a", &Value::Null);
    std::thread::scope(|scope| {
        let thread = scope.spawn(get);
        stage.wait_until("it hangs", || store.http.count("GET *") == 1);
        store.http.stop();
        thread.join().unwrap().unwrap_err();
    });
    assert_eq!(get().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    store.http.heal();
    store.http.start();
    assert_eq!(get().unwrap().status, 404);
}

#[test]
fn a_connection_serves_many_requests() {
    let stage = Stage::new();
    let store = Store::start(&stage, None);
    let mut stream = TcpStream::connect(store.http.address()).unwrap();
    for _ in 0..3 {
        let body = r#"{"key":"a"}"#;
        let head = format!(
            "POST /api/toggles HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .unwrap();
        let mut byte = [0];
        while byte[0] != b'}' {
            stream.read_exact(&mut byte).unwrap();
        }
    }
    assert_eq!(store.http.count("POST /api/toggles"), 3);
}

#[test]
fn a_leak_is_found() {
    let stage = Stage::new();
    stage.add_secret("hunter2");
    let text = "good\nAuthorization: Bearer [redacted]\nBearer ${T}\nBearer x\nit is hunter2!\n";
    assert_eq!(stage.leaks(text), ["Bearer x", "it is hunter2!"]);
}

#[test]
fn some_requests_meet_a_fault_and_the_last_ones_are_remembered() {
    let stage = Stage::new();
    let opa = Opa::start(&stage, None);
    opa.allow("us", &["bob", "ann"]);
    assert_eq!(opa.users("us"), ["ann", "bob"]);
    opa.http.sometimes(3, "*", Fault::status(503));
    opa.http.remember(4);
    let query = || status(&opa.http, "GET", "/v1/data/app/rbac/us", &Value::Null);
    let statuses: Vec<u16> = (0..7).map(|_| query()).collect();
    assert_eq!(statuses, [200, 200, 503, 200, 200, 503, 200]);
    assert_eq!((opa.http.total(), opa.http.count("*")), (7, 4));
}
