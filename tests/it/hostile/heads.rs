//! What comes in place of a request's head.

use std::io::Write;
use std::time::Duration;

use crossbeam_channel::tick;

use super::*;

#[test]
fn what_never_ends_ends_at_the_gate() {
    const MOST: usize = 256 << 20;
    let header = format!("X-Padding: {}\r\n", "x".repeat(4000));
    for (start, more) in [
        ("GET /health HTTP/1.1\r\nHost: me\r\n", header),
        ("GET /", "x".repeat(8192)),
        ("", LIVE.repeat(100)),
    ] {
        withstands(|serving| {
            let mut client = serving.send(start);
            let most = MOST / more.len();
            let taken = (0..most).take_while(|_| client.write_all(more.as_bytes()).is_ok());
            assert!(taken.count() < most, "all of it was taken");
            client
        });
    }
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
fn a_thousand_requests_in_one_piece_get_one_answer() {
    withstands(|serving| {
        let answer = serving.ask(LIVE.repeat(1000));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert_eq!(status_of(&answer), 200);
    });
}
