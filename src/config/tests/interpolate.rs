//! References to variables and files.

use super::*;

fn fill(text: &str) -> Result<Filled, Vec<Fault>> {
    interpolate(
        text,
        &Surroundings {
            folder: Path::new("/etc/optoggles"),
            env: &|name| match name {
                "TOKEN" => Some("s3".into()),
                "NESTED" => Some("${TOKEN}\"".into()),
                _ => None,
            },
            read: &|path| match path.to_str() {
                Some("/etc/optoggles/token") => Ok(b"one\ntwo\r\n".to_vec()),
                Some("/run/two-lines") => Ok(b"x\n\n".to_vec()),
                Some("/run/binary") => Ok(vec![0xff]),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            open_to_others: false,
        },
    )
}

#[test]
fn references_are_replaced_and_not_looked_at_again() {
    for (text, value) in [
        ("Bearer ${TOKEN}!", "Bearer s3!"),
        ("${TOKEN}${TOKEN}", "s3s3"),
        ("${NESTED}", "${TOKEN}\""),
        ("${file:token}", "one\ntwo"),
        ("${file:/run/two-lines}", "x\n"),
    ] {
        let filled = fill(text).unwrap();
        assert_eq!((filled.value.as_str(), filled.from_outside), (value, true));
    }
}

#[test]
fn dollars_that_are_no_references_stay() {
    for (text, value) in [
        ("5$", "5$"),
        ("$TOKEN $$", "$TOKEN $$"),
        ("$${TOKEN}", "${TOKEN}"),
        ("$$${TOKEN}", "$${TOKEN}"),
        ("é$", "é$"),
    ] {
        let filled = fill(text).unwrap();
        assert_eq!((filled.value.as_str(), filled.from_outside), (value, false));
    }
}

#[test]
fn everything_that_is_missing_is_named() {
    let faults = fill("${ONE} ${file:two} ${TOKEN:-three} ${file:/run/binary} ${").unwrap_err();
    let messages: Vec<&str> = faults.iter().map(|fault| &*fault.message).collect();
    assert_eq!(
        messages,
        [
            "the environment variable `ONE` is not set",
            "cannot read `two`: there is no such file",
            "`${TOKEN:…}` is not a reference: there are no default values",
            "cannot read `/run/binary`: it is not UTF-8 text",
            "`${` without a closing `}`",
        ]
    );
}
