//! References to variables and files.

use toml::de::DeValue;

use super::*;
use crate::config::tables::check;
use crate::peers::catalog;

/// A string as it is filled, and whether all of it was in the file; else the messages.
fn fill(text: &str) -> Result<(String, bool), Vec<String>> {
    let around = Surroundings {
        folder: Path::new("/etc/optoggles"),
        env: &|name| match name {
            "TOKEN" => Some("s3".into()),
            "NESTED" => Some("${TOKEN}\"".into()),
            _ => None,
        },
        read: &|path, _| match path.to_str() {
            Some("/etc/optoggles/token") => Ok(b"one\ntwo\r\n".to_vec()),
            Some("/run/two-lines") => Ok(b"x\n\n".to_vec()),
            Some("/run/binary") => Ok(vec![0xff]),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        open_to_others: false,
        unset: Severity::Error,
    };
    let catalog = catalog();
    let mut cx = Context::new(&around, &catalog, &[]);
    let (value, place) = (&DeValue::String(text.into()), Place::default());
    let filled = cx.text(&Node { value, place }, "");
    let messages = cx.problems.into_iter().map(|problem| problem.message);
    let messages: Vec<String> = messages.collect();
    filled
        .map(|it| (it.value.clone(), it.is_inline()))
        .ok_or(messages)
}

#[test]
fn references_are_replaced_and_not_looked_at_again_and_other_dollars_stay() {
    for (text, value, inline) in [
        ("Bearer ${TOKEN}!", "Bearer s3!", false),
        ("${TOKEN}${TOKEN}", "s3s3", false),
        ("${NESTED}", "${TOKEN}\"", false),
        ("${file:token}", "one\ntwo", false),
        ("${file:/run/two-lines}", "x\n", false),
        ("5$", "5$", true),
        ("$TOKEN $$", "$TOKEN $$", true),
        ("$${TOKEN}", "${TOKEN}", true),
        ("$$${TOKEN}", "$${TOKEN}", true),
        ("é$", "é$", true),
    ] {
        assert_eq!(fill(text), Ok((value.to_owned(), inline)));
    }
}

#[test]
fn everything_that_is_missing_is_named_and_no_default_value_repeated() {
    let messages = fill("${ONE} ${file:two} ${TOKEN:-three} ${file:/run/binary} ${").unwrap_err();
    assert_eq!(
        messages,
        [
            "the environment variable `ONE` is not set",
            "cannot read `two`: no such file",
            "this is not a reference to an environment variable or a file",
            "cannot read `/run/binary`: it is not UTF-8 text",
            "`${` without a closing `}`",
        ]
    );
}

#[test]
fn what_references_bring_in_is_hidden_unless_it_is_part_of_a_name() {
    let text = r#"bind = "127.0.0.1:${PORT}"
http_timeout = "${TIMEOUT}"
[[sources]]
id = "${ID}"
type = "opa"
url = "${URL}"
[target]
type = "restapi"
endpoint_url = "http://${USER}:x@${HOST}:${PORT}/v1${PART}/a"
[[toggles]]
key = "us-${KEY}"
users_policy = { source = "${ID}", package = "app", rule = "us" }
spec = { name = "${KEY}", of = ["in ${PORT}", "${REGION}", "${NAME}"], a = "${TIMEOUT}" }
"#;

    let around = Surroundings {
        folder: Path::new(""),
        env: &|name| {
            Some(match name {
                "URL" => "http://opa:8181/base/p%40th".into(),
                "PORT" => "7000".into(),
                "TIMEOUT" => "1500ms".into(),
                "REGION" => "eu".into(),
                _ => format!("{}-5d1c", name.to_lowercase()),
            })
        },
        read: &|_, _| Err(io::ErrorKind::NotFound.into()),
        open_to_others: false,
        unset: Severity::Error,
    };
    let (config, report) = check(Path::new("o.toml"), text.into(), &around, &catalog());
    let secrets = config.unwrap_or_else(|| panic!("{report}")).secrets;
    for (text, shown) in [
        (
            "http://opa:8181/base/p%40th/v1",
            "http://opa:8181/[redacted:URL]/v1",
        ),
        ("of p@th", "of [redacted:URL]"),
        ("user-5d1c@host-5d1c:7000", "[redacted:USER]@host-5d1c:7000"),
        ("/v1part-5d1c/a", "/v1[redacted:PART]/a"),
        ("part-5d1c/a", "[redacted:PART]/a"),
        (
            "id-5d1c us-key-5d1c key-5d1c",
            "id-5d1c us-key-5d1c key-5d1c",
        ),
        ("within 1500ms", "within [redacted:TIMEOUT]"),
        ("eu", "[redacted:REGION]"),
        ("in eu, in 7000", "in eu, in 7000"),
        ("name-5d1c", "[redacted:NAME]"),
    ] {
        assert_eq!(secrets.redact(text), shown);
    }
}
