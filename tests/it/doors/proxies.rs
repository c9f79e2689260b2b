//! The proxies of the environment are for other hosts, never for this machine.

use super::{House, opa_source};
use crate::support::port::listen_anywhere;
use crate::support::program::Program;
use crate::support::proxy::Proxy;
use crate::support::tls::{Authority, Door, Front};

/// A name that only the proxy knows.
const HOST: &str = "opa.of.the.tests.example";
/// A name that no resolver has to be asked for: its label is too long.
const NOWHERE: &str = "not-to-be-found-because-a-label-has-63-characters-at-most-xxxxxxx.example";
const PASSWORD: &str = "password-of-the-proxy-4c";

/// One pass with these arguments only, so that what fails does so soon.
const ONCE: [&str; 3] = ["sync", "--timeout", "100ms"];

fn proxied(house: &House, url: &str, env: &[(&str, &str)]) -> Program {
    house.program(&opa_source(url, ""), env)
}

/// The first line of each request that a proxy got.
fn asked(proxy: &Proxy) -> Vec<String> {
    let heads = proxy.heads();
    let line = |head: &String| head.lines().next().unwrap_or_default().to_owned();
    heads.iter().map(line).collect()
}

#[test]
fn a_host_that_is_not_this_machine_is_asked_through_the_proxy() {
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let (house, proxy) = (House::new(), Proxy::start());
        proxy.lead(&format!("{HOST}:8181"), house.opa.http.address());
        let url = format!("http://{HOST}:8181");
        house.stage.add_secret(PASSWORD);
        let value = format!("http://ann:{PASSWORD}@{}", proxy.authority());
        let program = proxied(&house, &url, &[(variable, &value)]);
        program.run(&["-vv", "sync"]).exits(0);
        assert!(house.store.has("us", &["ann"]), "{variable}");
        // The target is on this machine.
        let line = format!("CONNECT {HOST}:8181 HTTP/1.1");
        assert_eq!(asked(&proxy), [line], "{variable}");
        let head = proxy.heads()[0].to_ascii_lowercase();
        assert!(head.contains("proxy-authorization: basic "), "{head}");
        assert!(!head.contains("\r\nauthorization:"), "no token is for it");
    }
}

#[test]
fn tls_goes_through_the_proxy_from_end_to_end() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let (house, proxy, authority) = (House::new(), Proxy::start(), Authority::new());
        let front = Front::open(&house.opa.http, &Door::of(&authority.certify(HOST)));
        proxy.lead(&format!("{HOST}:443"), front.address());
        let source = opa_source(&format!("https://{HOST}"), "ca_file = \"ca.pem\"");
        let program = house.program(&source, &[(variable, &proxy.authority())]);
        program.write("ca.pem", &authority.pem);
        program.run(&ONCE).exits(0);
        assert!(house.store.has("us", &["ann"]), "{variable}");
        assert_eq!(asked(&proxy), [format!("CONNECT {HOST}:443 HTTP/1.1")]);
    }
}

#[test]
fn a_proxy_that_fails_is_named_and_its_password_is_not() {
    let (house, proxy) = (House::new(), Proxy::start());
    house.stage.add_secret(PASSWORD);
    let url = format!("http://{HOST}:8181");
    let with_password = |authority: &str| format!("http://ann:{PASSWORD}@{authority}");
    let authority = proxy.authority();
    let fails = |value: &str| {
        let program = proxied(&house, &url, &[("HTTP_PROXY", value)]);
        program.run(&[&["-vv"][..], &ONCE].concat()).exits(1)
    };
    // It does not know the host.
    let output = fails(&with_password(&authority));
    output
        .says(&format!("the proxy {authority} (HTTP_PROXY): no tunnel"))
        .says("403")
        .says("NO_PROXY");
    drop(proxy);
    let output = fails(&with_password(&authority));
    output.says(&format!(
        "the proxy {authority} (HTTP_PROXY): connection refused"
    ));
    let output = fails(&with_password(&format!("{NOWHERE}:3128")));
    output.says("(HTTP_PROXY): host not found");
    let env = [("HTTP_PROXY", NOWHERE), ("NO_PROXY", "10.0.0.0/33,opal")];
    let output = proxied(&house, &url, &env).run(&ONCE).exits(1);
    output.complains("entries of NO_PROXY are invalid, and ignored: \"10.0.0.0/33\"");
    let entries = format!("10.0.0.0/33,http://ann:{PASSWORD},{PASSWORD}@host");
    let env = [("HTTP_PROXY", NOWHERE), ("NO_PROXY", entries.as_str())];
    let output = proxied(&house, &url, &env).run(&ONCE).exits(1);
    output.complains("and ignored: 3 (hidden: an `@` can follow a password)");
    for unusable in [
        format!("socks5://ann:{PASSWORD}@{authority}"),
        format!("{PASSWORD}://x"),
    ] {
        let output = fails(&unusable);
        output.says("invalid proxy in HTTP_PROXY: write `http://HOST:PORT`");
    }
    assert_eq!(house.opa.http.count("*"), 0);
}

#[test]
fn a_peer_that_accepts_and_does_not_answer_ends_at_http_timeout() {
    let house = House {
        timeout: "300ms",
        ..House::new()
    };
    // The system accepts connections for it, which are never read.
    let silent = listen_anywhere();
    let address = silent.local_addr().unwrap();
    let proxy = address.to_string();
    let program = proxied(&house, &format!("http://{HOST}"), &[("HTTP_PROXY", &proxy)]);
    let output = program.run(&ONCE).exits(1);
    output.says(&format!(
        "no answer within 300ms (http_timeout), through the proxy {proxy} (HTTP_PROXY)"
    ));
    let program = proxied(&house, &format!("https://{address}"), &[]);
    let output = program.run(&ONCE).exits(1);
    output.says("no answer within 300ms (http_timeout)");
}

#[test]
fn health_names_the_proxy() {
    let (house, proxy) = (House::new(), Proxy::start());
    let value = format!("http://{}", proxy.authority());
    let program = proxied(&house, &format!("http://{HOST}"), &[("HTTP_PROXY", &value)]);
    let daemon = program.serve(&[]);
    house.wait_for_reason(&daemon, "the proxy failed");
    proxy.lead(&format!("{HOST}:80"), house.opa.http.address());
    daemon.wait_healthy();
}
