//! Right files, what they come to, and what they are warned of.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::config::Bind;
use crate::config::check::Checked;

fn read(text: &str) -> Config {
    let (config, problems) = run(text, false);
    assert_eq!(shown(text, &problems), "");
    config.unwrap()
}

fn warned(text: &str) -> Vec<String> {
    let (config, problems) = run(text, true);
    assert!(config.is_some(), "{}", shown(text, &problems));
    lines(text, &problems)
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = read(RIGHT);
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
    let Checked {
        config, problems, ..
    } = check(text, &around, &catalog());
    assert_eq!(shown(text, &problems), "");
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
        let (_, problems) = run(&text, false);
        let known = ["missing-variable", "unreadable-file", "unused-source"];
        let others = problems.iter().filter(|it| !known.contains(&it.code));
        let others: Vec<_> = others.cloned().collect();
        assert_eq!(shown(&text, &others), "");
    }
}

#[test]
fn what_is_right_and_probably_not_meant_is_a_warning() {
    let no_toggles = RIGHT.split("[[toggles]]").next().unwrap();
    for (text, expected) in [
        (no_toggles, "1:1: warning: there are no toggles"),
        (
            &with("localhost:7000", "opal:7000").replace("ann:hunter2@", ""),
            "5:9: warning: `token` travels unencrypted to another host \
             6:22: warning: OPAL on another host cannot reach this `advertised_address`",
        ),
        (
            &format!("{RIGHT}max_removal = \"30%\"\nmeta.http_timeout = 5\nbind = 1\n"),
            "17:1: warning: `max_removal` in a `spec` is not a setting: it is sent to the target \
             18:6: warning: `http_timeout` in a `spec` is not a setting: it is sent to the target",
        ),
        (
            &with("Authorization", "resync_interval = \"1m\", Authorization"),
            "11:19: warning: `resync_interval` in `extra_headers` is not a setting: it is sent to the \
             target",
        ),
        (
            &with("localhost:8080", "0.0.0.0:8080"),
            "6:22: warning: OPAL on another host cannot reach this `advertised_address`",
        ),
        (
            &with("opa_token", "opa_url = \"http://opa\"\nopa_token"),
            "8:13: warning: `opa_token` travels unencrypted to another host",
        ),
        (
            &with("https://flags", "http://u:hunter2@flags"),
            "10:16: warning: the password in `endpoint_url` travels unencrypted to another host \
             11:19: warning: the header `Authorization` travels unencrypted to another host",
        ),
        (
            &with(
                "[target]",
                "[[sources]]\nid = \"b\"\ntype = \"opa\"\nurl = \"http://opa\"\n[target]",
            ),
            "9:6: warning: no toggle uses the source `b`",
        ),
    ] {
        let (config, problems) = run(text, false);
        assert!(config.is_some(), "{text}");
        assert_eq!(lines(text, &problems).join(" "), expected);
        assert!(!shown(text, &problems).contains(SECRET));
    }
}

#[test]
fn a_secret_in_a_file_that_others_can_read_is_a_warning() {
    let where_it_stands = [
        "4:7: warning: the password in `url` stands in a file that others can read",
        "5:9: warning: `token` stands in a file that others can read",
        "11:35: warning: the value of `Authorization` stands in a file that others can read",
    ];
    assert_eq!(warned(RIGHT), where_it_stands);
    let elsewhere = RIGHT.replace(SECRET, "${TOKEN}");
    assert_eq!(warned(&elsewhere), [""; 0]);
}
