//! The routes behind the gate, and what they get to see of any bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::gate::{Gate, Hooks, Inner};
use super::*;
use crate::audit::Audit;
use crate::config::Config;
use crate::config::tests::configured;
use crate::engine::Mode;
use crate::peers::Peers;
use crate::target::Evaluations;
use crate::tests::anything::{any_edits, edited};
use crate::worker::Notifier;
use crate::worker::{Assignment, Worker};

const TOKEN: &str = "q1w2e3";

/// How long a client waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> Config {
    configured(
        &r#"
        http_timeout = "TIMEOUT"
        [[sources]]
        id = "a"
        type = "opa"
        url = "http://localhost:1"
        wait_until_ready = false
        [target]
        type = "restapi"
        endpoint_url = "http://localhost:1"
        [[toggles]]
        key = "us"
        users_policy = { source = "a", package = "app", rule = "us" }
        "#
        .replace("TIMEOUT", &format!("{}s", PATIENCE.as_secs())),
    )
}

/// The program's door, with a worker behind it that does not run.
struct Fixture {
    address: SocketAddr,
    _gate: Gate,
    _worker: Worker,
}

impl Fixture {
    fn new() -> Fixture {
        let config = Arc::new(config());
        let token = Secret::new(TOKEN);
        let metrics = Arc::new(Metrics::new(UNIX_EPOCH).unwrap());
        let evaluations = Arc::new(Evaluations::new(&metrics));
        let peers = Peers::new(Arc::clone(&config), &token, &metrics, &evaluations);
        let peers = Arc::new(peers.unwrap());
        let status = Arc::new(Status::new(&config, Instant::now()));
        let assignment = Assignment {
            config,
            peers,
            mode: Mode::Serve,
        };
        let audit = Audit::start(Arc::clone(&status.audit), Arc::clone(&metrics)).unwrap();
        let worker = Worker::new(
            assignment,
            Arc::clone(&status),
            Arc::clone(&metrics),
            Arc::new(audit),
            Notifier::default(),
        )
        .unwrap();
        let routes = Routes {
            callback_token: token,
            callbacks: Arc::clone(&worker.callbacks),
            status,
            metrics,
        };
        let (inner, behind) = Inner::bind(|why| panic!("{why}")).unwrap();
        let routes = Arc::new(routes);
        let set = Arc::new(OnceLock::from(Arc::clone(&routes)));
        start(behind, &set, |why| panic!("{why}")).unwrap();
        let hooks = Hooks {
            on_head: Box::new(move |asked| routes.announce(asked).unwrap()),
            on_body: Box::new(|_, _| ()),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Fixture {
            address: listener.local_addr().unwrap(),
            _gate: gate::open(listener, 8, inner, evaluations, hooks).unwrap(),
            _worker: worker,
        }
    }

    /// All that comes back for these bytes, after which the client says that it has no more.
    fn ask(&self, request: &[u8]) -> Vec<u8> {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        answer
    }
}

/// Asserts that there is one answer at most, a valid one; returns its status.
fn status(answer: &[u8], is_head: bool) -> Option<u16> {
    if answer.is_empty() {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let shown = String::from_utf8_lossy(answer);
    let Ok(httparse::Status::Complete(length)) = parsed.parse(answer) else {
        panic!("no answer: {shown}");
    };
    let header = |name: &str| {
        let mut found = parsed
            .headers
            .iter()
            .filter(|it| it.name.eq_ignore_ascii_case(name));
        let value = found
            .next()
            .map(|it| String::from_utf8_lossy(it.value).into_owned());
        assert!(found.next().is_none(), "{name} twice: {shown}");
        value
    };
    assert_eq!(header("Connection").as_deref(), Some("close"), "{shown}");
    let kind = header("Content-Type").unwrap_or_default();
    let is_json = kind == "application/json";
    let is_known = is_json || kind == "text/html; charset=utf-8" || kind == scrape::FORMAT;
    assert!(is_known, "{shown}");
    let body = &answer[length..];
    if is_head {
        assert!(body.is_empty(), "{shown}");
    } else {
        let length = header("Content-Length").and_then(|length| length.parse().ok());
        assert_eq!(length, Some(body.len()), "{shown}");
        let is_right = !is_json || serde_json::from_slice::<Value>(body).is_ok();
        assert!(is_right, "{shown}");
    }
    parsed.code
}

/// Whether these bytes call back as they should: read in another way, by the first line and the
/// headers up to the first empty one.
fn calls_back(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let mut lines = text.trim_start_matches(['\r', '\n']).lines();
    let first = lines.next().unwrap_or_default();
    let target = first.strip_prefix("POST ").unwrap_or_default();
    let path = target.strip_prefix("http://a").unwrap_or(target);
    let to_source = path.starts_with("/opa_update/a ") || path.starts_with("/opa_update/a?");
    let headers = lines.take_while(|line| !line.is_empty());
    let mut tokens = headers.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization")
            .then(|| value.trim())
    });
    let is_right = Secret::new(TOKEN).is_bearer_of(tokens.next());
    to_source && is_right && tokens.next().is_none()
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let pick = |words: &'static [&'static str]| prop::sample::select(words);
    let method = pick(&[
        "GET", "HEAD", "POST", "POST", "PUT", "get", "OPTIONS", "P\0ST", "",
    ]);
    let path = pick(&[
        "/opa_update/a",
        "/opa_update/a",
        "/opa_update/a?b=c",
        "/opa_update/b",
        "/opa_update/",
        "/health",
        "/health/live",
        "/health/started",
        "/status",
        "/metrics",
        "/",
        "*",
        "//opa_update/a",
        "/opa_update/a/../a",
        "/opa_update/%61",
        "http://a/opa_update/a",
        "/\u{e9}",
    ]);
    let version = pick(&[
        "HTTP/1.1",
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/2.0",
        "HTTP/1.10",
        "http/1.1",
        "",
    ]);
    let header = pick(&[
        "Host: me",
        "Host: me",
        "Host:",
        "Authorization: Bearer q1w2e3",
        "Authorization: Bearer q1w2e3",
        "authorization: bearer  q1w2e3 ",
        "Authorization: Bearer q1w2e",
        "Authorization: Basic q1w2e3",
        "Authorization : Bearer q1w2e3",
        "X: Authorization: Bearer q1w2e3",
        "Content-Length: 5",
        "Content-Length: 0",
        "Content-Length: 99999999999",
        "Content-Length: -1",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Connection: keep-alive",
        " folded",
    ]);
    let end = pick(&["\r\n", "\r\n", "\r\n", "\n", "\r"]);
    let headers = prop::collection::vec((header, end.clone()), 0..6);
    let body = pick(&[
        "",
        "",
        "hello",
        "5\r\nhello\r\n0\r\n\r\n",
        "POST /opa_update/a HTTP/1.1\r\nHost: me\r\nAuthorization: Bearer q1w2e3\r\n\r\n",
    ]);
    (method, path, version, end, headers, body).prop_map(
        |(method, path, version, end, headers, body)| {
            let headers = headers
                .into_iter()
                .map(|(header, end)| [header, end].concat());
            let headers: String = headers.collect();
            format!("{method} {path} {version}{end}{headers}\r\n{body}").into_bytes()
        },
    )
}

#[test]
fn any_bytes_get_one_valid_answer_or_none_and_call_back_with_the_token_alone() {
    let fixture = Fixture::new();
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let requests = (any_request(), any_edits(), bytes);
    let mut runner = TestRunner::new(ProptestConfig::default());
    let examine = |(request, edits, bytes): (Vec<u8>, Vec<_>, Vec<u8>)| {
        let edited = edited(&request, &edits);
        for request in [request, edited, bytes] {
            let answer = fixture.ask(&request);
            let is_head = request.trim_ascii_start().starts_with(b"HEAD ");
            let code = status(&answer, is_head);
            let shown = String::from_utf8_lossy(&request);
            prop_assert!(code != Some(202) || calls_back(&request), "{}", shown);
        }
        Ok(())
    };
    runner.run(&requests, examine).unwrap();
    // Whatever came, the server behind the gate is still there.
    let answer = fixture.ask(b"GET /health/live HTTP/1.0\r\n\r\n");
    assert_eq!(status(&answer, false), Some(200));
}
