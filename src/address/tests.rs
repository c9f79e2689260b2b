//! Addresses in every spelling.

use super::*;

#[test]
fn the_password_is_found_in_what_was_made_of_it() {
    for (user, secret, found) in [("ann", "s3:4", Some("s3:4")), ("t0ken", "", Some("t0ken"))] {
        assert_eq!(password(basic(user, secret).expose()).as_deref(), found);
    }
    assert_eq!(password("Bearer s3"), None);
    assert_eq!(password("Basic !"), None);
}

#[test]
fn a_path_is_joined_with_one_slash_and_encoded() {
    for base in ["http://flags:8000/api", "http://flags:8000/api/"] {
        let address = Address::parse(base).unwrap();
        assert_eq!(
            address.join(["a/b c", "é"]),
            "http://flags:8000/api/a%2Fb%20c/%C3%A9"
        );
    }
    let root = Address::parse("https://flags.example.com").unwrap();
    assert_eq!(root.join([".."]), "https://flags.example.com/%2E%2E");
}

#[test]
fn one_address_can_be_spelled_in_many_ways() {
    let one = |text: &str| Address::parse(text).unwrap().spelled_alike().to_string();
    for spelling in [
        "https://flags.example.com/api",
        "https://flags.example.com/api/",
        "https://Flags.Example.COM:443/api",
        "https://ann:secret@flags.example.com/api",
    ] {
        assert_eq!(one(spelling), "https://flags.example.com/api");
    }
    assert_eq!(one("http://flags:80"), "http://flags");
    for other in ["https://flags:80", "http://flags:443", "http://flags/A"] {
        assert_eq!(one(other), other);
    }
}

#[test]
fn a_password_travels_as_a_header_and_never_prints() {
    let address = Address::parse("http://ann:s%3Acret@flags/api").unwrap();
    assert_eq!(address.to_string(), "http://flags/api");
    assert!(!format!("{address:?}").contains("cret"));
    let header = address.authorization().unwrap().expose();
    assert_eq!(header, "Basic YW5uOnM6Y3JldA==");
}

#[test]
fn what_is_no_address_is_refused_without_quoting_it() {
    for wrong in [
        "flags:8000",
        "ftp://flags",
        "http://",
        "http://flags:99999",
        "http://flags:0",
        "http://u:p@",
        "http://flags/a b",
        "http://flags/?token=hidden",
        "http://flags/#hidden",
    ] {
        let error = Address::parse(wrong).unwrap_err();
        assert!(!error.contains("hidden"), "{wrong}: {error}");
    }
}

#[test]
fn loopback_hosts_are_known_in_every_spelling() {
    for (url, loopback) in [
        ("http://localhost:1", true),
        ("http://127.0.0.2", true),
        ("http://[::1]:8181", true),
        ("http://[::ffff:127.0.0.1]", true),
        ("http://opa:8181", false),
        ("http://10.0.0.1", false),
    ] {
        assert_eq!(
            Address::parse(url).unwrap().is_loopback(),
            loopback,
            "{url}"
        );
    }
}
