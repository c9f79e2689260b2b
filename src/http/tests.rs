//! Requests to remotes that do everything wrong, and what stands between.

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
            let client = Client::new(Duration::from_secs(10), 1, &Tls::default(), requests, &Arc::default()).unwrap();
            let token = Secret::new("q1w2e3");
            let request = Request::new(Method::GET, canned.url().to_string(), Some(&token));
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

/// The variable of the proxy on the way to a URL, in this environment.
fn way(env: &[(&str, &str)], url: &str) -> Option<&'static str> {
    let value = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let proxies = Proxies::read(&value, &|_| Agent::new_with_defaults());
    let proxy = proxies.on_the_way_to(&url.parse().unwrap());
    proxy.map(|proxy| proxy.variable)
}

#[test]
fn each_scheme_has_its_proxy_and_there_is_one_for_all() {
    let http = ("HTTP_PROXY", "http://proxy:3128");
    let https = ("https_proxy", "proxy:3128");
    let all = ("ALL_PROXY", "http://proxy:1");
    let (plain, secure) = ("http://opa:8181/", "https://flags.example/");
    assert_eq!(way(&[http, https, all], plain), Some("HTTP_PROXY"));
    assert_eq!(way(&[http, https, all], secure), Some("https_proxy"));
    assert_eq!(way(&[http, all], secure), Some("ALL_PROXY"));
    assert_eq!(way(&[http], secure), None);
    assert_eq!(way(&[("HTTP_PROXY", " "), all], plain), Some("ALL_PROXY"));
    assert_eq!(way(&[], plain), None);
}

#[test]
fn this_machine_and_what_no_proxy_names_are_asked_directly() {
    let all = ("ALL_PROXY", "http://proxy:3128");
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
        assert_eq!(way(&[all], &format!("http://{host}:8181/")), None, "{host}");
    }
    let names = "opal, .svc,*.example.com,10.0.0.1,fd00::1";
    let direct = [
        "opal",
        "OPAL",
        "a.opal",
        "opa.team.svc",
        "flags.example.com",
        "10.0.0.1",
        "[fd00::1]",
    ];
    let proxied = ["noopal", "opa.team.svcs", "10.0.0.2"];
    for (hosts, expected) in [(&direct[..], None), (&proxied, Some("ALL_PROXY"))] {
        for host in hosts {
            let found = way(&[all, ("no_proxy", names)], &format!("http://{host}/"));
            assert_eq!(found, expected, "{host}");
        }
    }
    let url = "https://flags.example/";
    assert_eq!(way(&[all, ("NO_PROXY", "*")], url), None);
    assert_eq!(way(&[all, ("NO_PROXY", ",")], url), Some("ALL_PROXY"));
}

/// The pause that a header asks for at a moment, in seconds.
fn pause(status: u16, name: &'static str, value: &str, now: u64) -> Option<f64> {
    let headers = http::HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
    let now = UNIX_EPOCH + Duration::from_secs(now);
    answer::pause_asked_for(status, &headers, now).map(|pause| pause.as_secs_f64())
}

#[test]
fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
    // The example of RFC 9110, and the moment a minute before it.
    let (date, now) = ("Sun, 06 Nov 1994 08:50:37 GMT", 784_111_777);
    for (status, name, value, now, expected) in [
        (429, "retry-after", "120", now, Some(120.0)),
        (503, "retry-after", date, now, Some(60.0)),
        (503, "retry-after", date, now + 61, None),
        // A clock that is behind: schedule.rs caps the pause.
        (503, "retry-after", date, now - 86_400, Some(86_460.0)),
        (503, "retry-after", date, 0, Some(784_111_837.0)),
        (503, "retry-after", "soon", now, None),
        (503, "retry-after", "0", now, None),
        (429, "x-ratelimit-reset", "784111779500", now, Some(2.5)),
        (429, "x-ratelimit-reset", "784111770000", now, None),
        (409, "x-ratelimit-reset", "784111779500", now, None),
    ] {
        let found = pause(status, name, value, now);
        assert_eq!(found, expected, "{status} {name}: {value}");
    }
}
