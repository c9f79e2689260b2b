//! References to variables and files.

use toml::de::DeValue;

use super::*;
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
