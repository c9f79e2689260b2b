//! Addresses to listen at.

use super::*;

#[test]
fn an_address_to_listen_at_is_a_host_and_a_port() {
    for (text, host, port) in [
        (":8080", "", 8080),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:80", "::1", 80),
        ("localhost:65535", "localhost", 65535),
    ] {
        let host = host.to_owned();
        assert_eq!(parse_bind(text), Some(Bind { host, port }), "{text}");
    }
    for wrong in [
        "",
        "8080",
        "host",
        "host:",
        "host:+80",
        "host:65536",
        "::1:80",
        "[::1]",
        "[host]:80",
        "*:80",
        "http://host:80",
    ] {
        assert_eq!(parse_bind(wrong), None, "{wrong}");
    }
}
