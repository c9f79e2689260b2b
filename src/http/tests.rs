//! Requests to remotes that do everything wrong, and what stands between.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::config::tests::configured;
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

fn config() -> Config {
    configured(
        "[[sources]]\nid = \"a\"\ntype = \"file\"\npath = \"a\"\n\
         [target]\ntype = \"flagd\"\npath = \"flags.json\"\n",
    )
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
            let client = Client::new(&config(), 1, &Tls::default(), requests).unwrap();
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

#[test]
fn what_fails_on_our_side_is_not_blamed_on_the_remote() {
    let requests = Metrics::new(UNIX_EPOCH).unwrap().requests("remote");
    let client = Client::new(&config(), 1, &Tls::default(), requests).unwrap();
    let canned = Canned::raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let token = Secret::new("\u{feff}q1w2e3");
    let request = Request::new(Method::GET, canned.url().to_string(), Some(&token));
    let failure = client.send(request).map(drop).unwrap_err();
    assert_eq!(failure.kind, Kind::Setup);
    assert!(
        failure
            .to_string()
            .ends_with("the Authorization header holds more than ASCII")
    );

    let system = |code| io::Error::from_raw_os_error(code);
    let (emfile, eagain) = (24, 11);
    for (error, kind) in [
        (ureq::Error::Io(system(emfile)), Kind::System),
        (
            ureq::Error::Other(Box::new(lookup::Lost::NoThread(system(eagain)))),
            Kind::System,
        ),
        (
            ureq::Error::Other(Box::new(lookup::Lost::Failed(system(emfile).into()))),
            Kind::System,
        ),
        (
            ureq::Error::Other(Box::new(lookup::Lost::Late)),
            Kind::Lookup,
        ),
        (ureq::Error::TlsRequired, Kind::Setup),
        (ureq::Error::LargeResponseHeader(2, 1), Kind::Answer),
    ] {
        let words = format!("{error:?}");
        let failure = failure::describe("GET http://remote/", error, Duration::MAX, None);
        assert_eq!(failure.kind, kind, "{words}");
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
    let names = "opal, .svc,*.example.com example.org. 10.0.0.1,fd00::1\t[fd00::2],flags:8443,\
                 [fd00::3]:80,10.1.2.3/16,fd01::/32,127.0.0.1:80";
    let direct = [
        "opal",
        "OPAL:8181",
        "a.opal",
        "opa.team.svc",
        "flags.example.com",
        "example.org",
        "example.org.",
        "10.0.0.1:80",
        "[fd00::1]",
        "[fd00::2]:8080",
        "flags:8443",
        "a.flags:8443",
        "[fd00::3]",
        "10.1.255.255",
        "[::ffff:10.1.0.1]",
        "[fd01:0:ffff::1]",
    ];
    let proxied = [
        "noopal",
        "opa.team.svcs",
        "10.0.0.2",
        "flags",
        "[fd00::3]:81",
        "10.2.0.1",
        "[fd01:1::1]",
    ];
    for (hosts, expected) in [(&direct[..], None), (&proxied, Some("ALL_PROXY"))] {
        for host in hosts {
            let found = way(&[all, ("no_proxy", names)], &format!("http://{host}/"));
            assert_eq!(found, expected, "{host}");
        }
    }
    let url = "https://flags.example/";
    assert_eq!(way(&[all, ("NO_PROXY", "*")], url), None);
    assert_eq!(way(&[all, ("NO_PROXY", ",")], url), Some("ALL_PROXY"));
    assert_eq!(way(&[all, ("NO_PROXY", ".example:443")], url), None);
    assert_eq!(way(&[all, ("NO_PROXY", "*.example")], url), None);
    let below = way(&[all, ("NO_PROXY", "*.flags.example")], url);
    assert_eq!(below, Some("ALL_PROXY"), "the names below it alone");
}

#[test]
fn what_is_not_understood_in_no_proxy_is_told_and_excepts_no_host() {
    let odd = "10.0.0.0/33,fd00::/x,10.0.*,http://opa,opa:http,:80,*.,10.0.0.0/8:80";
    let env = |name: &str| match name {
        "ALL_PROXY" => Some("http://proxy:3128".to_owned()),
        "NO_PROXY" => Some(format!("{odd},opal")),
        _ => None,
    };
    let proxies = Proxies::read(&env, &|_| Agent::new_with_defaults());
    assert_eq!(proxies.unknown.join(","), odd);
    let all = ["http://10.0.0.1/", "http://opa/", "http://x/"];
    assert!(
        all.iter()
            .all(|url| proxies.on_the_way_to(&url.parse().unwrap()).is_some())
    );
    assert!(
        proxies
            .on_the_way_to(&"http://opal/".parse().unwrap())
            .is_none()
    );
}

/// The pause that these headers ask for at a moment, in seconds.
fn pause(status: u16, headers: &str, now: u64) -> Option<f64> {
    let headers = headers.lines().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse().unwrap(), value.parse().unwrap())
    });
    let headers = http::HeaderMap::from_iter(headers);
    let now = UNIX_EPOCH + Duration::from_secs(now);
    answer::pause_asked_for(status, &headers, now).map(|pause| pause.as_secs_f64())
}

#[test]
fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
    // The example of RFC 9110, and the moment a minute before it.
    let (date, now) = ("Retry-After: Sun, 06 Nov 1994 08:50:37 GMT", 784_111_777);
    for (status, headers, now, expected) in [
        (429, "Retry-After: 120", now, Some(120.0)),
        (429, "Retry-After: 2.5", now, Some(2.5)),
        (503, date, now, Some(60.0)),
        (503, date, now + 61, None),
        // A clock that is behind: schedule.rs caps the pause.
        (503, date, now - 86_400, Some(86_460.0)),
        (503, date, 0, Some(784_111_837.0)),
        (503, "Retry-After: soon", now, None),
        (503, "Retry-After: inf", now, None),
        (503, "Retry-After: -3", now, None),
        (503, "Retry-After: 0", now, None),
        (
            503,
            "Retry-After: 99999999999999999999",
            now,
            Some(Duration::MAX.as_secs_f64()),
        ),
        (429, "X-Ratelimit-Reset: 784111779500", now, Some(2.5)),
        (429, "X-Ratelimit-Reset: 784111770000", now, None),
        (409, "X-Ratelimit-Reset: 784111779500", now, None),
        (
            429,
            "X-Ratelimit-Auth-Token-Reset: 784111781000\nX-Ratelimit-Reset: 784111779500",
            now,
            Some(4.0),
        ),
        (409, "X-Ratelimit-Auth-Token-Reset: 784111781000", now, None),
        (
            429,
            "Retry-After: 2\nX-Ratelimit-Reset: 784111780000",
            now,
            Some(3.0),
        ),
    ] {
        let found = pause(status, headers, now);
        assert_eq!(found, expected, "{status} {headers}");
    }
}

#[test]
fn a_pause_does_not_depend_on_our_clock_where_the_remote_tells_the_time() {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\n";
    let until = "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT";
    for now in [0, 784_111_777, 999_999_999] {
        let reset = format!("{date}X-Ratelimit-Reset: 784111779500");
        assert_eq!(pause(429, &reset, now), Some(2.5));
        assert_eq!(pause(503, &format!("{date}{until}"), now), Some(60.0));
    }
    assert_eq!(
        pause(503, &format!("Date: today\n{until}"), 784_111_777),
        Some(60.0)
    );
}
