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
fn what_is_commented_out_in_the_default_configuration_is_known_too() {
    let text = include_str!("../../../optoggles.toml");
    let is_setting = |line: &&str| line.contains(" = ") || line.starts_with('[');
    let active: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(is_setting).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    // The file shows one `spec` of each type, and both forms of targets.
    for (choice, target) in ["", "launchdarkly", "unleash", "files"].iter().enumerate() {
        let mut specs = 0;
        let is_chosen = |block: &&str| {
            let is_spec = block.starts_with("[toggles.spec]");
            specs += usize::from(is_spec);
            match (is_spec, block.split_once('\n')) {
                (true, _) => specs == choice + 1,
                (_, Some(("[target]", _))) => choice == 0,
                (_, Some(("[[targets]]", _))) => choice > 0,
                _ => true,
            }
        };
        let blocks: Vec<&str> = active.split("\n\n").filter(is_chosen).collect();
        let text = blocks.join("\n\n");
        let text = match choice {
            0 => text.replace("\ntarget = ", "\n# "),
            _ => text.replace("target = \"launchdarkly\"", &format!("target = {target:?}")),
        };
        let (_, report) = run(&text, false);
        let known = [
            "missing-variable",
            "unreadable-file",
            "unused-source",
            "unused-target",
        ];
        let mut problems = report.problems.iter();
        assert!(problems.all(|it| known.contains(&it.code)), "{report}");
    }
}

/// Targets and toggles, each beneath the one source.
fn with_targets(rest: &str) -> String {
    let source = "[[sources]]\nid = \"opa\"\ntype = \"opa\"\nurl = \"https://opa\"\n";
    let toggles = rest.replace(
        "us_users",
        "users_policy = { source = \"opa\", package = \"app\", rule = \"us\" }",
    );
    format!("{source}{toggles}")
}

#[test]
fn targets_at_one_place_can_share_a_key_if_they_may_be_two_accounts() {
    const REST: &str = "type = \"restapi\"\nendpoint_url = \"https://flags/api\"";
    const LD: &str = "type = \"launchdarkly\"\ntoken = \"a\"";
    let header = "\nextra_headers = { X-Account = \"a\" }";
    let rest = [
        REST.replace("//", "//ann:secret@"),
        REST.to_owned() + header,
    ];
    let account = LD.replace("\"a\"", "\"b\"");
    let rest = rest.iter().map(|other| [(REST, "p"), (other, "p")]);
    let ld = [(LD, "q"), (&account, "p")].map(|other| [(LD, "p"), other]);
    for twins in rest.chain(ld) {
        let tables = twins.iter().enumerate().map(|(id, (target, project))| {
            format!(
                "[[targets]]\nid = \"{id}\"\n{target}\n[[toggles]]\nkey = \"us\"\ntarget = \"{id}\"\nus_users\n\
                 [toggles.spec]\nname = \"US\"\nproj_key = \"{project}\"\nenvironments = [\"test\"]\n"
            )
        });
        assert_eq!(
            read(&with_targets(&tables.collect::<String>()))
                .toggles
                .len(),
            2
        );
    }
}

fn of_two_targets() -> Config {
    let toggle = |target: &str, key: &str| {
        format!("[[toggles]]\nkey = \"{key}\"\ntarget = \"{target}\"\nus_users\n")
    };
    let target =
        |id: &str| format!("[[targets]]\nid = \"{id}\"\ntype = \"flagd\"\npath = \"{id}.json\"\n");
    let toggles = [("a", "us"), ("b", "us"), ("b", "a/us"), ("b", "x/us-tax")];
    let toggles = toggles.map(|(id, key)| toggle(id, key)).concat();
    read(&with_targets(&(target("a") + &target("b") + &toggles)))
}

/// The names of the toggles that are left, where each of these may be that of several, or of one alone.
fn only(config: Config, names: &[&str], one_each: bool) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let config = config.only(&names, one_each, false)?;
    let ids = 0..config.toggles.len();
    Ok(ids.map(|id| config.name_of(id).to_owned()).collect())
}

#[test]
fn a_toggle_is_named_with_its_target_or_by_its_key_and_keeps_its_name_alone() {
    for (names, expected) in [
        (&["us"][..], &["a/us", "b/us"][..]),
        (&["b/us"], &["b/us"]),
        (&["a/us"], &["a/us"]),
        (&["b/a/us"], &["b/a/us"]),
        (&["x/us-tax", "a/us"], &["a/us", "b/x/us-tax"]),
        (&[], &["a/us", "b/us", "b/a/us", "b/x/us-tax"]),
    ] {
        assert_eq!(only(of_two_targets(), names, false).unwrap(), expected);
    }
    for (name, hint) in [
        ("other", "it has: a/us, b/us, b/a/us, b/x/us-tax"),
        ("b/x/us-tx", "did you mean `b/x/us-tax`?"),
        ("x/us-tx", "did you mean `x/us-tax`?"),
    ] {
        let expected = format!("the configuration has no toggle `{name}`: {hint}");
        assert_eq!(only(of_two_targets(), &[name], false), Err(expected));
    }
}

#[test]
fn a_key_at_the_only_target_that_looks_like_a_name_with_a_target_is_told_apart() {
    let config = || {
        let toggle = |key: &str| format!("[[toggles]]\nkey = \"{key}\"\nus_users\n");
        let target = "[target]\ntype = \"flagd\"\npath = \"flags.json\"\n".to_owned();
        read(&with_targets(
            &(target + &toggle("us") + &toggle("flagd/us")),
        ))
    };
    let all = ["us", "flagd/flagd/us"];
    assert_eq!(only(config(), &[], true).unwrap(), all);
    for (name, expected) in [("us", "us"), ("flagd/us", "us"), (all[1], all[1])] {
        assert_eq!(only(config(), &[name], true).unwrap(), [expected]);
    }
}
