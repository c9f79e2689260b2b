//! Valid files, and what they come to.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::config::Bind;

fn read(text: &str) -> Config {
    let (config, report) = run(text, false);
    assert_eq!(report.to_string(), "");
    config.unwrap()
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = read(VALID);
    assert_eq!((&*config.bind.host, config.bind.port), ("", 8080));
    assert_eq!(config.resync_interval, Some(Duration::from_secs(300)));
    assert_eq!(config.http_timeout, Duration::from_secs(10));
    assert_eq!(config.concurrency, 8);
    let opal = &config.sources[0].settings;
    assert_eq!(opal.bool("wait_until_ready"), Ok(&true));
    assert_eq!(opal.text("instance"), Ok("localhost:8080"));
    assert!(opal.address("opa_url").is_err());
    assert_eq!(config.targets[0].settings.bool("read"), Ok(&false));
    let without_bind = read(&with("bind = \":8080\"", ""));
    let host = "0.0.0.0".to_owned();
    assert_eq!(without_bind.bind, Bind { host, port: 8080 });
}

#[test]
fn every_key_reaches_the_configuration() {
    let config = read(
        r#"
        bind = "[::1]:0"
        resync_interval = "0s"
        http_timeout = "1m 30s"
        concurrency = 0x10
        [[sources]]
        id = "a"
        url = "https://opal"
        advertised_address = "https://us/base"
        instance = "one/two"
        opa_url = "http://localhost:8181"
        opa_token = "${TOKEN}"
        wait_until_ready = false
        [[sources]]
        id = "b"
        type = "opa"
        url = "https://opa"
        token = "x-${file:token}"
        poll_interval = "100ms"
        ca_file = "cert.pem"
        cert_file = "/conf/cert.pem"
        key_file = "key.pem"
        [target]
        type = "${TYPE}"
        endpoint_url = "https://flags/"
        extra_headers = { X-A = "", x-b = "$${B}" }
        read = true
        [[toggles]]
        key = "k"
        users_policy = { source = "b", package = 'p["q-r"].s', rule = "t" }
        [[toggles]]
        key = "l"
        users_policy.source = "a"
        users_policy.package = "p"
        users_policy.rule = "t"
        "#,
    );
    let (host, port) = ("::1".to_owned(), 0);
    assert_eq!(config.bind, Bind { host, port });
    assert_eq!(config.resync_interval, None);
    assert_eq!(config.http_timeout, Duration::from_secs(90));
    assert_eq!(config.concurrency, 16);
    let (opal, opa) = (&config.sources[0].settings, &config.sources[1].settings);
    let advertised = opal.address("advertised_address").unwrap();
    assert_eq!(advertised.to_string(), "https://us/base");
    assert_eq!(opal.text("instance"), Ok("one/two"));
    assert_eq!(opal.secret("opa_token").unwrap().expose(), SECRET);
    assert_eq!(opal.bool("wait_until_ready"), Ok(&false));
    assert_eq!(opa.secret("token").unwrap().expose(), "x-hunter2");
    assert_eq!(
        opa.duration("poll_interval"),
        Ok(&Duration::from_millis(100))
    );
    let tls = opa.tls();
    assert_eq!(tls.ca.as_deref(), Some(PAIR.0.as_str()));
    assert_eq!(tls.identity.unwrap().key.expose(), PAIR.1);
    let headers = config.targets[0].settings.headers("extra_headers").unwrap();
    let headers = headers
        .iter()
        .map(|(name, value)| (&**name, value.expose()));
    assert_eq!(headers.collect::<Vec<_>>(), [("X-A", ""), ("x-b", "${B}")]);
    assert_eq!(config.targets[0].settings.bool("read"), Ok(&true));
    let rules = &config.rules;
    assert_eq!(
        (rules[0].source, &*rules[0].package, &*rules[0].rule),
        (1, "p.q-r.s", "t")
    );
    assert_eq!((rules[1].source, &*rules[1].package), (0, "p"));
}

#[test]
fn a_spec_becomes_json_as_it_is() {
    let text = with(
        "name = \"US ${TOKEN}\"",
        "a = \"${TOKEN} $${x}\"\nb = [1, -2.5, true, { c = 2020-01-02 }]\nd.e = 18446744073709551615",
    );
    let expected = json!({
        "a": "hunter2 ${x}",
        "b": [1, -2.5, true, { "c": "2020-01-02" }],
        "d": { "e": u64::MAX },
    });
    assert_eq!(
        serde_json::Value::Object(read(&text).toggles[0].spec.clone()),
        expected
    );
    let without = with("[toggles.spec]\nname = \"US ${TOKEN}\"\n", "");
    assert!(read(&without).toggles[0].spec.is_empty());
}

#[test]
fn the_default_configuration_has_no_problem_once_its_variable_is_set() {
    let text = include_str!("../../../optoggles.toml");
    let around = Surroundings {
        folder: Path::new(""),
        env: &|name| (name == "FLAGS_TOKEN").then(|| "token".into()),
        read: &|_| Err(io::ErrorKind::NotFound.into()),
        open_to_others: true,
    };
    let (config, report) = check(Path::new("o.toml"), text.into(), &around, &catalog());
    assert_eq!(report.to_string(), "");
    assert!(config.is_some());
}

#[test]
fn what_is_commented_out_in_the_default_configuration_is_known_too() {
    let text = include_str!("../../../optoggles.toml");
    let is_setting = |line: &&str| line.contains(" = ") || line.starts_with('[');
    let active: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(is_setting).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    // There is one target, and so one kind of `spec`: the file shows one of each type.
    for choice in 0..3 {
        let mut seen = [0; 2];
        let is_chosen = |block: &&str| {
            let single = ["[target]", "[toggles.spec]"];
            let Some(kind) = single.iter().position(|header| block.starts_with(header)) else {
                return true;
            };
            seen[kind] += 1;
            seen[kind] == choice + 1
        };
        let blocks: Vec<&str> = active.split("\n\n").filter(is_chosen).collect();
        let text = blocks.join("\n\n");
        let (_, report) = run(&text, false);
        let known = ["missing-variable", "unreadable-file", "unused-source"];
        let mut problems = report.problems.iter();
        assert!(problems.all(|it| known.contains(&it.code)), "{report}");
    }
}
