//! The callback token, and callbacks without it.

use std::time::{Duration, Instant};

use crate::support::World;

/// A callback with this token whose body is announced and never comes.
fn bodiless(token: &str) -> String {
    format!(
        "POST /opa_update/main HTTP/1.1\r\nhost: us\r\nauthorization: Bearer {token}\r\n\
         content-length: 1073741824\r\n\r\n"
    )
}

#[test]
fn the_token_has_256_random_bits() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let daemon = world.serve_in_step();
        let authorization = world.opal.authorization();
        tokens.push(authorization.strip_prefix("Bearer ").unwrap().to_owned());
        daemon.terminate().exits(0);
    }
    for (number, token) in tokens.iter().enumerate() {
        assert_eq!(token.len(), 64);
        assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
        // Of 64 digits that were drawn, few are the same at the same place.
        for other in &tokens[number + 1..] {
            let same = token.bytes().zip(other.bytes()).filter(|(a, b)| a == b);
            assert!(same.count() < 24, "two tokens look alike");
        }
    }
}

#[test]
fn callbacks_without_the_token_cost_nothing() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    // The line about the first pass can come after the status.
    world.wait_until("the pass is logged", || {
        daemon.process.stderr().contains(" cause=connected ")
    });
    let (queries, lines) = (world.queries("us"), daemon.process.stderr().lines().count());
    let start = Instant::now();
    for _ in 0..100 {
        let answer = daemon.raw(&bodiless("wrong"));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    // The bodies are not awaited: each could take 5 s.
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!(world.queries("us"), queries, "no pass");
    let logged = daemon.process.stderr().lines().count() - lines;
    assert_eq!(logged, 0, "a client must not fill the log");
    world.change("us", &["bob"]);
    world.wait_for_users("us", &["bob"]);
}
