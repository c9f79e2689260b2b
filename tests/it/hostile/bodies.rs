//! Bodies that nobody wants, or that never come.

use super::*;

/// So many bytes that the standard server would allocate, or fail to.
const HUGE: [&str; 2] = ["99999999999", "9223372036854775808"];

#[test]
fn a_huge_body_that_is_announced_and_never_sent_is_not_waited_for() {
    withstands(|serving| {
        let requests = HUGE.map(|length| {
            format!("GET /health/live HTTP/1.1\r\nHost: me\r\nContent-Length: {length}\r\n\r\n")
        });
        requests.map(|request| {
            (0..10).for_each(|_| assert_eq!(status_of(&serving.ask(&request)), 200));
            (0..10).map(|_| serving.send(&request)).collect::<Vec<_>>()
        })
    });
}

#[test]
fn a_callback_with_a_huge_body_that_never_comes_is_answered() {
    withstands(|serving| {
        HUGE.map(|length| {
            let request = serving.callback(&format!("Content-Length: {length}\r\n"));
            // More than there are places for.
            let owing = (0..40).map(|_| {
                let mut client = serving.send(&request);
                let mut start = [0; 12];
                client.read_exact(&mut start).unwrap();
                assert_eq!(&start, b"HTTP/1.1 202");
                client
            });
            owing.collect::<Vec<_>>()
        })
    });
}

#[test]
fn a_body_that_nobody_wants_is_not_kept() {
    withstands(|serving| {
        let head = "GET /health/live HTTP/1.1\r\nHost: me\r\nContent-Length: 268435456\r\n\r\n";
        let mut client = serving.send(head);
        let taken = (0..256).filter(|_| client.write_all(&[b'x'; 1 << 20]).is_ok());
        assert!(taken.count() < 256, "all of it was taken");
        client
    });
}

#[test]
fn who_sends_a_small_body_that_nobody_wants_reads_its_answer() {
    withstands(|serving| {
        let head = "GET /health/live HTTP/1.1\r\nHost: me\r\nContent-Length: 65536\r\n\r\n";
        for _ in 0..20 {
            let answer = serving.ask(head.to_owned() + &"x".repeat(65536));
            assert_eq!(status_of(&answer), 200, "{answer}");
        }
    });
}

#[test]
fn a_callback_in_chunks_or_in_an_encoding_that_does_not_exist_is_taken() {
    withstands(|serving| {
        for encoding in ["chunked", "no-such-thing"].repeat(20) {
            let head = serving.callback(&format!("Transfer-Encoding: {encoding}\r\n"));
            let answer = serving.ask(head + "5\r\nhello\r\n0\r\n\r\n");
            assert_eq!(status_of(&answer), 202, "{answer}");
        }
    });
}

#[test]
fn who_asks_before_sending_its_body_is_answered_at_once() {
    withstands(|serving| {
        let head = serving.callback("Content-Length: 5000\r\nExpect: 100-continue\r\n");
        for _ in 0..20 {
            let answer = serving.ask(&head);
            assert_eq!(status_of(&answer), 202, "{answer}");
        }
        // Some do not wait for the answer that they asked for.
        let answer = serving.ask(head + &"x".repeat(5000));
        assert_eq!(status_of(&answer), 202, "{answer}");
    });
}
