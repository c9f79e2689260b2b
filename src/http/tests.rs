//! What a remote can send in place of an answer.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::metrics::Metrics;
use crate::tests::anything::{any_edits, edited};
use crate::tests::canned::Canned;

impl Answer {
    /// An answer as it would be if a remote gave it.
    pub(crate) fn of(status: u16, body: &[u8]) -> Answer {
        Answer {
            status,
            body: body.to_vec(),
            pause: None,
            asked: "GET http://remote/".to_owned(),
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_remote_sends_is_an_answer_or_a_failure_in_one_short_line(
        bytes: Vec<u8>,
        body in "\\PC{0,300}",
        status in 0_u16..700,
        header in prop::sample::select(vec![
            "Content-Length: 3", "Content-Length: 99999999999999999999", "Content-Length: -1",
            "Transfer-Encoding: chunked", "Retry-After: 99999999999999999999", "Retry-After: -1",
            "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", "X-Ratelimit-Reset: 18446744073709551615",
            "X-Ratelimit-Reset: nan", "Location: http://localhost:1/", "Content-Encoding: gzip", "X: y",
        ]),
        edits in any_edits(),
    ) {
        let head = format!("HTTP/1.1 {status} Any\r\n{header}\r\nConnection: close\r\n\r\n{body}");
        for sent in [bytes, edited(head.as_bytes(), &edits)] {
            let canned = Canned::raw(sent);
            let requests = Metrics::new(UNIX_EPOCH).unwrap().requests("remote");
            let client = Client::new(Duration::from_secs(10), 1, &Tls::default(), requests).unwrap();
            let token = Secret::new("q1w2e3");
            let request = Request::new(Method::GET, canned.url().to_string()).authorized(Some(&token));
            let failure = match client.send(request).and_then(Answer::success) {
                Ok(_) => continue,
                Err(failure) => failure,
            };
            let words = failure.to_string();
            prop_assert!(!words.contains(char::is_control), "{:?}", words);
            prop_assert!(words.chars().count() < 3000 && !words.contains("q1w2e3"), "{:?}", words);
        }
    }
}
