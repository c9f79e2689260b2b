//! Words that are nearly right.

use super::*;

const KNOWN: &[&str] = &["users_policy", "url", "token", "opa_token"];

#[test]
fn a_word_in_another_spelling_is_named_as_what_to_write() {
    for wrong in ["usersPolicy", "users-policy", "UsersPolicy"] {
        let (near, help) = suggest(wrong, KNOWN);
        assert_eq!(near, Some("users_policy"), "{wrong}");
        assert_eq!(help, "write `users_policy`", "{wrong}");
    }
}

#[test]
fn a_slip_finds_the_nearest_word() {
    assert_eq!(nearest("tokne", KNOWN.iter().copied()), Some("token"));
    assert_eq!(
        nearest("opatoken", KNOWN.iter().copied()),
        Some("opa_token")
    );
    assert_eq!(nearest("", KNOWN.iter().copied()), None);
}

#[test]
fn a_word_far_from_all_gets_the_list_of_them() {
    let (near, help) = suggest("colour", &["url", "token"]);
    assert_eq!(near, None);
    assert_eq!(
        help,
        "remove it, or write one that is known here: `url`, `token`"
    );
}
