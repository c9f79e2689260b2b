//! What comes in place of a request.

use super::*;

fn short() -> Limits {
    Limits {
        head_time: Duration::from_millis(150),
        ..Limits::default()
    }
}

/// Writes one byte after the other until the gate answers.
fn drip(client: &mut TcpStream) -> String {
    client
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let start = Instant::now();
    let mut first = [0; 1];
    let mut bytes = GET.trim_end().bytes().chain(std::iter::repeat(b'x'));
    while start.elapsed() < PATIENCE {
        client.write_all(&[bytes.next().unwrap()]).unwrap();
        if client.read(&mut first).is_ok() {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            return format!("{}{}", first[0] as char, read(client).unwrap());
        }
    }
    panic!("no answer");
}

#[test]
fn what_is_no_request_is_refused_in_json() {
    let fixture = Fixture::new(Limits::default());
    for (wanted, request) in [
        ("400", "junk\r\n\r\n"),
        ("400", "\x16\x03\x01\x02\0\x01\0\x01"),
        ("400", "GET / HTTP/1.1\r\n\r\n"),
        ("400", "GET /a\nb HTTP/1.1\r\nHost: me\r\n\r\n"),
        ("400", "GET /a\x1b[2J HTTP/1.1\r\nHost: me\r\n\r\n"),
        ("505", "GET / HTTP/2.0\r\nHost: me\r\n\r\n"),
    ] {
        let answer = fixture.ask(request);
        assert_eq!(status(&answer), wanted, "{request:?}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = format!("\r\nContent-Length: {}\r\n", body.len());
        assert!(head.contains(&length), "{answer}");
        assert!(
            head.contains("\r\nContent-Type: application/json\r\n"),
            "{answer}"
        );
        assert!(head.ends_with("\r\nConnection: close"), "{answer}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(json["error"].is_string(), "{answer}");
    }
}

#[test]
fn a_header_of_100_kilobytes_is_too_large() {
    let fixture = Fixture::new(Limits::default());
    let request = format!(
        "GET / HTTP/1.1\r\nHost: me\r\nA: {}\r\n\r\n",
        "a".repeat(100 * 1024)
    );
    assert_eq!(status(&fixture.ask(request)), "431");
}

#[test]
fn a_head_that_just_fits_is_answered() {
    let fixture = Fixture::new(Limits::default());
    let rest = "GET / HTTP/1.0\r\nA: \r\n\r\n".len();
    for (wanted, length) in [("200", 8 * 1024), ("431", 8 * 1024 + 1)] {
        let request = format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "a".repeat(length - rest));
        assert_eq!(status(&fixture.ask(request)), wanted);
    }
}

#[test]
fn one_byte_at_a_time_does_not_extend_the_time_for_a_head() {
    let fixture = Fixture::new(short());
    let start = Instant::now();
    let answer = drip(&mut fixture.connect());
    assert_eq!(status(&answer), "408", "{answer}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_client_that_says_nothing_is_told_that_it_is_late() {
    let fixture = Fixture::new(short());
    assert_eq!(status(&fixture.ask("")), "408");
}

#[test]
fn a_thousand_requests_in_one_piece_get_one_answer() {
    let fixture = Fixture::new(Limits::default());
    let answer = fixture.ask(GET.repeat(1000));
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(status(&answer), "200");
}

#[test]
fn a_client_that_resets_before_it_is_accepted_harms_nobody() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..10 {
        let client = connect(address).unwrap();
        let now = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&client, now).unwrap();
    }
    let (inner, inner_listener) = Inner::bind().unwrap();
    let fixture = Fixture::behind(listener, inner, Some(inner_listener), Limits::default());
    assert_eq!(status(&fixture.ask(GET)), "200");
}
