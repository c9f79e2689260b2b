use super::*;

fn status(head: &str) -> &'static str {
    match parse(head.as_bytes()) {
        Ok(None) => "more",
        Ok(Some(_)) => "good",
        Err(Refusal(status, _)) => status.split_once(' ').unwrap().0,
    }
}

#[test]
fn of_a_clients_words_only_the_needed_ones_go_on() {
    let head = "POST /opa_update/a?b HTTP/1.1\r\nhost: me:8080\r\nX-Other: 1\r\n\
                authorization: Bearer abc\r\ncontent-length: 12\r\nExpect: 100-continue\r\n\
                Connection: keep-alive, upgrade\r\n\r\nhello";
    let request = parse(head.as_bytes()).unwrap_or(None).unwrap();
    assert_eq!(
        request.clean,
        "POST /opa_update/a?b HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n"
    );
    assert_eq!(request.path, "/opa_update/a");
    assert!(request.is("POST"));
}

#[test]
fn what_is_left_of_a_body_is_known() {
    for (headers, rest) in [
        ("\r\nhello", Some(0)),
        ("Content-Length: 5\r\n\r\n", Some(5)),
        ("Content-Length: 5\r\n\r\nhel", Some(2)),
        ("Content-Length: 5\r\n\r\nhello, all", Some(0)),
        ("Content-Length: 9223372036854775808\r\n\r\n", Some(1 << 63)),
        ("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", None),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello", None),
    ] {
        let head = format!("POST / HTTP/1.0\r\n{headers}");
        let request = parse(head.as_bytes()).unwrap_or(None).unwrap();
        assert_eq!(request.rest(), rest, "{headers:?}");
    }
}

#[test]
fn a_target_that_is_a_whole_url_goes_on_as_its_path() {
    for (target, path) in [
        ("http://me/a?b", "/a?b"),
        ("HTTPS://me:80/", "/"),
        ("http://me", "/"),
        ("http://me?b", "/?b"),
        ("/a?b=http://me/c", "/a?b=http://me/c"),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        let request = parse(head.as_bytes()).unwrap_or(None).unwrap();
        assert_eq!(request.clean, format!("GET {path} HTTP/1.1\r\n\r\n"));
    }
}

#[test]
fn heads_are_refused_for_what_is_wrong_with_them() {
    for (wanted, head) in [
        ("more", ""),
        ("more", "GET / HTTP/1.1\r\nHost: me\r\n"),
        ("good", "GET / HTTP/1.1\r\nHost: me\r\n\r\n"),
        ("good", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        ("good", "GET / HTTP/1.0\r\n\r\n"),
        (
            "good",
            "GET / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        ),
        ("400", "GET / HTTP/1.1\r\n\r\n"),
        ("400", "GET / HTTP/1.1\r\nHost: me\r\nHost: me\r\n\r\n"),
        ("400", "GET / HTTP/1.1\r\nHost: m\u{e9}\r\n\r\n"),
        ("400", "GET / HTTP/1.0\r\nAuthorization: a\tb\r\n\r\n"),
        (
            "400",
            "GET / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ),
        ("400", "GET / HTTP/1.0\r\nContent-Length: -1\r\n\r\n"),
        ("400", "GET / HTTP/1.0\r\nContent-Length: +1\r\n\r\n"),
        ("400", "GET / HTTP/1.0\r\nContent-Length: \r\n\r\n"),
        (
            "400",
            "GET / HTTP/1.0\r\nContent-Length: 18446744073709551616\r\n\r\n",
        ),
        (
            "400",
            "GET / HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",
        ),
        ("400", "GET / HTTP/1.0\r\nA: b\r\n folded\r\n\r\n"),
        ("400", "GET /a\nb HTTP/1.0\r\n\r\n"),
        ("400", "GET /a\x1b[2J HTTP/1.0\r\n\r\n"),
        ("400", "GET /\u{e9} HTTP/1.0\r\n\r\n"),
        ("good", "GET http://me/ HTTP/1.0\r\n\r\n"),
        ("400", "GET http://me/ HTTP/1.1\r\n\r\n"),
        ("400", "GET http://m\u{e9}/ HTTP/1.0\r\n\r\n"),
        ("400", "GET http:///a HTTP/1.0\r\n\r\n"),
        ("400", "GET ftp://me/a HTTP/1.0\r\n\r\n"),
        ("400", "GET me:80 HTTP/1.0\r\n\r\n"),
        ("400", "OPTIONS * HTTP/1.0\r\n\r\n"),
        ("400", "GET /\r\n\r\n"),
        ("400", "GET / FTP/1.0.0\r\n\r\n"),
        ("400", "\x16\x03\x01\x02"),
        ("505", "GET / HTTP/2.0\r\n\r\n"),
        ("505", "GET / HTTP/1.2\r\n\r\n"),
        ("505", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        assert_eq!(status(head), wanted, "{head:?}");
    }
    let many = format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
    assert_eq!(status(&many), "431");
}
