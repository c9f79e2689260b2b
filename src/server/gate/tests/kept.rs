//! Connections that are kept, because evaluations are asked for on them.

use std::net::Shutdown;
use std::thread::JoinHandle;

use crate::config::tests::configured;

use super::*;

const ALICE: &str = r#"{"context":{"targetingKey":"alice"}}"#;

const DEFINITION: &str = "GET /flagd/flags.json HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A gate at which the toggle `us` is on for alice.
fn fixture(places: usize) -> Fixture {
    Fixture::with(places, places, evaluations(""))
}

fn evaluations(more: &str) -> Arc<Evaluations> {
    let config = configured(&format!(
        "bind = \"localhost:8080\"\n[[sources]]\nid = \"opa\"\ntype = \"opa\"\nurl = \"https://opa\"\n\
         [target]\ntype = \"openfeature\"\n{more}\n[[toggles]]\nkey = \"us\"\n\
         users_policy = {{ source = \"opa\", package = \"app\", rule = \"us\" }}\n"
    ));
    let evaluations = nothing_to_evaluate();
    evaluations.show(&config);
    evaluations.set("us", &Arc::new(["alice"].into_iter().collect()));
    evaluations
}

/// The head of an evaluation, with more headers and the blank line.
fn head(key: &str, headers: &str) -> String {
    format!("POST /ofrep/v1/evaluate/flags/{key} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

fn evaluate(key: &str, body: &str) -> String {
    head(key, &format!("Content-Length: {}\r\n", body.len())) + body
}

/// One answer, byte by byte, so that nothing of the next one is lost.
#[track_caller]
fn answer(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut more = |count: usize| {
        let from = answer.len();
        answer.resize(from + count, 0);
        client.read_exact(&mut answer[from..]).unwrap();
        String::from_utf8(answer.clone()).unwrap()
    };
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head = more(1);
    }
    let length = head.split("Content-Length: ").nth(1);
    let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    more(length.unwrap_or(0))
}

#[track_caller]
fn exchange(client: &mut TcpStream, request: impl AsRef<[u8]>) -> String {
    client.write_all(request.as_ref()).unwrap();
    answer(client)
}

/// Whether the client may send another request.
fn is_kept(answer: &str) -> bool {
    !answer.contains("\r\nConnection: close\r\n")
}

#[test]
fn a_connection_answers_any_number_of_evaluations() {
    let fixture = fixture(64);
    let mut client = fixture.send("");
    let requests = [
        (evaluate("us", ALICE), "200"),
        (evaluate("us", "{}"), "400"),
        (evaluate("other", ALICE), "404"),
        (head("us", "").replace("POST", "PUT"), "405"),
        (DEFINITION.to_owned(), "200"),
    ];
    for (request, status) in requests.iter().cycle().take(100) {
        let answer = exchange(&mut client, request);
        assert!(status_is(&answer, status) && is_kept(&answer), "{answer}");
    }
}

fn status_is(answer: &str, wanted: &str) -> bool {
    status(answer) == wanted
}

#[test]
fn evaluations_that_are_sent_at_once_are_answered_in_their_order() {
    let fixture = fixture(64);
    let mut client = fixture.send("");
    let mut sender = client.try_clone().unwrap();
    let requests: String = (0..1000)
        .map(|key| evaluate(&key.to_string(), ALICE))
        .collect();
    let sending = thread::spawn(move || sender.write_all(requests.as_bytes()).unwrap());
    for key in 0..1000 {
        let answer = answer(&mut client);
        assert!(
            answer.contains(&format!("\"key\":\"{key}\"")),
            "{key}: {answer}"
        );
    }
    sending.join().unwrap();
}

#[test]
fn a_body_is_what_its_length_says_however_it_comes() {
    let fixture = fixture(64);
    let mut client = fixture.send("");
    let padded = ALICE.to_owned() + &" ".repeat(65536 - ALICE.len());
    for body in [ALICE, &padded] {
        let request = evaluate("us", body);
        for pieces in [1, 2, 30] {
            let size = request.len().div_ceil(pieces);
            let sent = request.as_bytes().chunks(size);
            sent.for_each(|piece| client.write_all(piece).unwrap());
            let answer = answer(&mut client);
            assert!(
                answer.ends_with("\"variant\":\"on\"}") && is_kept(&answer),
                "{answer}"
            );
        }
    }
}

#[test]
fn what_follows_a_body_is_the_next_request_and_what_is_in_it_is_none() {
    let fixture = fixture(64);
    let hidden = evaluate("hidden", "");
    let requests = evaluate("us", &hidden) + &evaluate("us", ALICE) + GET + &hidden;
    let answers = fixture.ask(requests);
    let heads: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).collect();
    let statuses: Vec<&str> = heads.iter().map(|head| &head[..3]).collect();
    // The last one is not of the kind after which there can be another.
    assert_eq!(statuses, ["400", "200", "200"], "{answers}");
    assert!(answers.ends_with("\r\n\r\nGET /"), "{answers}");
}

#[test]
fn a_request_whose_end_is_not_certain_is_the_last_one() {
    let fixture = fixture(64);
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (wanted, headers) in [
        ("411", chunked.to_owned()),
        ("400", format!("Content-Length: 0\r\n{chunked}")),
        ("400", "Content-Length: 0\r\nContent-Length: 5\r\n".into()),
        ("400", "Content-Length: 0, 0\r\n".into()),
        ("400", "Content-Length : 0\r\n".into()),
        ("400", "Content-Length: 0x0\r\n".into()),
        ("413", "Content-Length: 65537\r\n".into()),
        ("413", "Content-Length: 18446744073709551615\r\n".into()),
    ] {
        // On a new connection, and on one that is kept.
        for before in ["", &evaluate("us", ALICE)] {
            let smuggled = evaluate("us", ALICE);
            let answers = fixture.ask(before.to_owned() + &head("us", &headers) + &smuggled);
            let answers: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).collect();
            assert_eq!(
                answers.len(),
                1 + usize::from(!before.is_empty()),
                "{answers:?}"
            );
            let last = answers.last().unwrap();
            assert!(
                last.starts_with(wanted) && !is_kept(last),
                "{headers}: {last}"
            );
        }
    }
    // The body is not wanted, so it is not read.
    for request in [DEFINITION, &head("us", "").replace("POST", "PUT")] {
        let request = request.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello");
        let answers = fixture.ask(request + GET);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        assert!(!is_kept(&answers), "{answers}");
    }
}

#[test]
fn half_a_body_is_not_evaluated() {
    let fixture = fixture(64);
    let whole = evaluate("us", ALICE);
    let mut client = fixture.send(&whole[..whole.len() - 1]);
    client.shutdown(Shutdown::Write).unwrap();
    let answer = read(&mut client);
    assert!(status_is(&answer, "408") && !is_kept(&answer), "{answer}");
}

#[test]
fn who_asks_before_sending_a_body_is_told_to_send_it() {
    let fixture = fixture(64);
    let mut client = fixture.send("");
    let expects = |length: usize| {
        head(
            "us",
            &format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"),
        )
    };
    for _ in 0..2 {
        let answer = exchange(&mut client, expects(ALICE.len()));
        assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
        let answer = exchange(&mut client, ALICE);
        assert!(status_is(&answer, "200") && is_kept(&answer), "{answer}");
    }
    // Who does not wait is not told.
    let answer = exchange(&mut client, expects(ALICE.len()) + ALICE);
    assert!(status_is(&answer, "200") && is_kept(&answer), "{answer}");
    let answer = exchange(&mut client, expects(65537));
    assert!(status_is(&answer, "413") && !is_kept(&answer), "{answer}");
}

#[test]
fn who_does_not_want_a_kept_connection_gets_none() {
    let fixture = fixture(64);
    for request in [
        evaluate("us", ALICE).replace("HTTP/1.1", "HTTP/1.0"),
        evaluate("us", ALICE).replace("Host", "Connection: Keep-Alive, Close\r\nHost"),
        evaluate("us", ALICE).replace("HTTP/1.1\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n"),
    ] {
        let answer = fixture.ask(request.clone() + &request);
        assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{answer}");
        assert!(!is_kept(&answer), "{answer}");
    }
}

#[test]
fn the_answer_to_head_has_no_body_and_another_one_can_follow() {
    let fixture = fixture(64);
    let whole = fixture.ask(DEFINITION.replace("Host", "Connection: close\r\nHost"));
    let (expected, _) = whole.split_once("\r\n\r\n").unwrap();
    let expected = expected.replace("Connection: close\r\n", "");
    let request = DEFINITION.replace("GET", "HEAD");
    let refused = head("us", "").replace("POST", "HEAD");
    let answers = fixture.ask(request + &refused + GET);
    let heads: Vec<&str> = answers.split("\r\n\r\n").collect();
    assert_eq!(heads[0], expected);
    assert!(status_is(heads[1], "405"), "{answers}");
    assert_eq!(heads[3], "GET /", "{answers}");
}

#[test]
fn a_refused_head_gets_no_body_even_after_line_breaks() {
    let fixture = fixture(8);
    for before in ["", "\n", "\r\n\r\n"] {
        let answer = fixture.ask(format!("{before}HEAD / HTTP/1.1\r\n\r\n"));
        assert!(status_is(&answer, "400"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{before:?}: {answer}");
    }
}

#[test]
fn half_of_the_places_are_kept_at_most() {
    let fixture = fixture(32);
    let ask = || {
        let mut client = fixture.send(evaluate("us", ALICE));
        let answer = answer(&mut client);
        assert_eq!(status(&answer), "200");
        (client, is_kept(&answer))
    };
    let mut kept: Vec<_> = (0..16).map(|_| ask()).collect();
    assert!(kept.iter().all(|(_, is_kept)| *is_kept));
    assert!((0..8).all(|_| !ask().1), "more are kept");
    kept.pop();
    let start = Instant::now();
    while !ask().1 {
        assert!(start.elapsed() < PATIENCE, "its permission is lost");
    }
}

#[test]
fn who_does_not_present_the_token_is_not_kept() {
    let fixture = Fixture::with(64, 64, evaluations("token = \"s3cret\""));
    for request in [DEFINITION.to_owned(), head("us", "Content-Length: 0\r\n")] {
        let answer = fixture.ask(request);
        assert!(status_is(&answer, "401") && !is_kept(&answer), "{answer}");
    }
}

/// A kept connection whose next request is always there already, until it ends.
fn flood(fixture: &Fixture) -> [JoinHandle<()>; 2] {
    let mut client = loop {
        let mut client = fixture.send(evaluate("us", ALICE));
        // Another one may still have the thread that it needs.
        if is_kept(&answer(&mut client)) {
            break client;
        }
    };
    let mut sender = client.try_clone().unwrap();
    let requests = evaluate("us", ALICE).repeat(100);
    [
        thread::spawn(move || while sender.write_all(requests.as_bytes()).is_ok() {}),
        thread::spawn(move || drop(io::copy(&mut client, &mut io::sink()))),
    ]
}

#[test]
fn where_threads_run_out_none_waits_for_a_connection_that_is_kept() {
    let fixture = Fixture::with(64, 1, evaluations(""));
    let start = Instant::now();
    let mut kept = fixture.send("");
    assert!(is_kept(&exchange(&mut kept, evaluate("us", ALICE))));
    // It has the only thread.
    assert_eq!(status(&fixture.ask(GET)), "200");
    assert_eq!(read(&mut kept), "");
    let busy = flood(&fixture);
    assert_eq!(status(&fixture.ask(GET)), "200");
    assert!(start.elapsed() < PATIENCE);
    busy.into_iter().for_each(|it| it.join().unwrap());
}

#[test]
fn a_gate_that_closes_ends_kept_connections_whether_they_are_idle_or_not() {
    let is_prompt = |_| {
        let fixture = fixture(64);
        let mut idle = fixture.send("");
        assert!(is_kept(&exchange(&mut idle, evaluate("us", ALICE))));
        // Several, so that not all of them happen to be idle.
        let busy = [(); 4].map(|()| flood(&fixture));
        let start = Instant::now();
        fixture.gate.close();
        let took = start.elapsed();
        assert_eq!(read(&mut idle), "");
        busy.into_iter().flatten().for_each(|it| it.join().unwrap());
        took < CLOSING
    };
    // However slow the machine is, it is not so each time.
    assert!((0..2).any(is_prompt), "kept connections delay it");
}
