//! What comes in place of a request's head.

use std::io::Write;
use std::time::Duration;

use crossbeam_channel::tick;

use super::*;

/// Sends the same bytes again and again until nobody takes them any more, or so many are sent.
fn flood(client: &mut TcpStream, bytes: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most && client.write_all(bytes).is_ok() {
        sent += bytes.len();
    }
    sent
}

#[test]
fn endless_headers_end_at_the_gate() {
    withstands(|serving| {
        let mut client = serving.send("GET /health HTTP/1.1\r\nHost: me\r\n");
        let header = format!("X-Padding: {}\r\n", "x".repeat(4000));
        let sent = flood(&mut client, header.as_bytes(), 256 << 20);
        assert!(sent < 256 << 20, "all of it was taken");
        client
    });
}

#[test]
fn an_endless_line_ends_at_the_gate() {
    withstands(|serving| {
        let mut client = serving.send("GET /");
        let sent = flood(&mut client, &[b'x'; 8192], 256 << 20);
        assert!(sent < 256 << 20, "all of it was taken");
        client
    });
}

#[test]
fn who_sends_too_large_a_head_is_told() {
    let padding = "x".repeat(9000);
    answers(
        431,
        &format!("GET /health HTTP/1.1\r\nHost: me\r\nX: {padding}\r\n\r\n"),
    );
}

#[test]
fn one_byte_a_second_is_too_slow_for_a_head() {
    withstands(|serving| {
        let mut client = serving.daemon.connect();
        client
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let second = tick(Duration::from_secs(1));
        let mut first = [0];
        for byte in LIVE.bytes() {
            client.write_all(&[byte]).unwrap();
            second.recv().unwrap();
            if client.read(&mut first).is_ok() {
                break;
            }
        }
        assert!(read(&mut client).unwrap().starts_with("TTP/1.1 408 "));
    });
}

#[test]
fn junk_is_refused() {
    answers(400, "\x01\x02\x03 what is this?\r\n\r\n");
}

#[test]
fn tls_is_refused() {
    answers(400, "\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03");
}

#[test]
fn every_byte_at_the_start_is_withstood() {
    withstands(|serving| {
        for byte in 0..=u8::MAX {
            let mut client = serving.send([byte, b'\r', b'\n', byte, b'\r', b'\n', b'\r', b'\n']);
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let answer = read(&mut client).unwrap();
            assert!([0, 400].contains(&status_of(&answer)), "{byte}: {answer}");
        }
    });
}

#[test]
fn http_1_0_is_answered() {
    answers(200, "GET /health/live HTTP/1.0\r\n\r\n");
}

#[test]
fn http_2_0_in_the_request_line_is_refused() {
    answers(505, "GET /health/live HTTP/2.0\r\nHost: me\r\n\r\n");
}

#[test]
fn the_preface_of_http_2_is_refused() {
    answers(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

#[test]
fn head_is_answered_without_a_body() {
    withstands(|serving| {
        for _ in 0..20 {
            let answer = serving.ask("HEAD /health/live HTTP/1.1\r\nHost: me\r\n\r\n");
            assert_eq!(status_of(&answer), 200);
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
    });
}

#[test]
fn an_absent_host_is_refused() {
    answers(400, "GET /health/live HTTP/1.1\r\n\r\n");
}

#[test]
fn a_thousand_requests_in_one_piece_get_one_answer() {
    withstands(|serving| {
        let answer = serving.ask(LIVE.repeat(1000));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert_eq!(status_of(&answer), 200);
    });
}

#[test]
fn endless_pipelining_ends_at_the_gate() {
    withstands(|serving| {
        let mut client = serving.daemon.connect();
        let sent = flood(&mut client, LIVE.repeat(100).as_bytes(), 256 << 20);
        assert!(sent < 256 << 20, "all of it was taken");
        client
    });
}
