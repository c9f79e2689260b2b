//! A secret beside every kind of mistake, and nothing of it in what is said.

use super::*;

/// Where a secret can stand: each piece of `RIGHT` that holds one.
const HOLDERS: &[&str] = &[
    "\"http://ann:hunter2@localhost:7000\"",
    "\"hunter2\"",
    "\"${TOKEN}\"",
    "\"Bearer hunter2\"",
    "\"US ${TOKEN}\"",
];

/// What people make of such a value.
const MANGLED: &[&str] = &[
    "hunter2",
    "hunter2 hunter2",
    "\"hunter2",
    "hunter2\"",
    "'hunter2",
    "\"\"\"hunter2",
    "\"hunter2\" hunter2",
    "\"hunter2\\q\"",
    "\"hunter2\\u0000\"",
    "\"hunter2\n\"",
    "\n\"hunter2\"",
    "\nhunter2",
    "\nhunter2==",
    "= \"hunter2\"",
    "[\"hunter2\"]",
    "[\"hunter2\"",
    "{ a = \"hunter2\" }",
    "{ a = \"hunter2\"",
    "{ hunter2 }",
    "\"hunter2 ${MISSING}\"",
    "\"hunter2 ${hunter\"",
    "\"hunter2 ${file:missing}\"",
    "\"${TOKEN} ${LINES}\"",
    "\"ftp://${TOKEN}\"",
    "\"http://a:hunter2@b:c\"",
    "\"http://a:hunter2@\"",
    "\"http://a/?hunter2\"",
    "\"${TOKEN:-hunter2}\"",
    "\"${hunter2!}\"",
    "${TOKEN:-hunter2}",
    "“hunter2”",
    "\n- hunter2",
    "\nhunter2: hunter2",
    "\nid: hunter2!",
    "\nexport hunter2",
    "\n[hunter2",
    "\n[[hunter2]",
    "7, \"hunter2\"",
];

#[test]
fn a_mangled_secret_never_shows() {
    for holder in HOLDERS {
        for mangled in MANGLED {
            let text = with(holder, mangled);
            let (_, problems) = run(&text, true);
            let shown = format!("{}{problems:?}", shown(&text, &problems));
            assert!(!shown.contains(SECRET), "{mangled} for {holder}: {shown}");
        }
    }
}

#[test]
fn what_was_interpolated_never_shows_wherever_it_is_wrong() {
    for value in [
        "us\"",
        "opal\"",
        "restapi",
        ":8080",
        "app.rbac",
        "us_users",
        "localhost:8080",
    ] {
        for reference in ["${TOKEN}", "${LINES}", "${file:token}", "${TOKEN}/${TOKEN}"] {
            let text = RIGHT.replace(value, reference);
            let (config, problems) = run(&text, true);
            let shown = format!("{}{problems:?}", shown(&text, &problems));
            assert!(!shown.contains(SECRET), "{reference} for {value}: {shown}");
            assert!(!format!("{config:?}").contains("Bearer"), "{config:?}");
        }
    }
}

#[test]
fn what_a_key_file_holds_never_shows() {
    for key in ["ca_file", "cert_file", "key_file", "token"] {
        let text = with(
            "opa_token",
            &format!("{key} = \"${{file:key.pem}}\"\nopa_token"),
        );
        let (_, problems) = run(&text, true);
        let shown = format!("{}{problems:?}", shown(&text, &problems));
        assert!(!shown.contains(SECRET), "{key}: {shown}");
    }
}
