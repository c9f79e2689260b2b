//! What a report shows of a file, and what it does not.

use super::*;
use crate::config::keys::{TARGET, TARGETS};
use crate::peers::catalog;

/// Secrets wherever the file has a place for one.
const FILE: &str = r#"# was hunter2
bind = ":8080" # everywhere
sources = [
  { id = "a", url = "http://ann:hunter2@opal:7000", token = "hunter2", advertised_address = "x:1" },
]
[target]
type = "restapi"
endpoint_url = "https://flags.example.com/?q=hunter2"
tokens = "hunter2"
whatever = ["hunter2", 'hunter2', 5]
[target.extra_headers]
Authorization = "Bearer hunter2"
X-Other = """hunter2
hunter2"""
[[toggles]]
key = "us"
users_policy = { source = "a", rule = "us_users", input = { a = ["hunter2"], b = "hunter2" } }
[toggles.spec]
api_key = { inner = "hunter2" }
"#;

fn cuts_of(text: &str) -> Vec<Cut> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    assert_eq!(errors, []);
    let form = if text.contains("[[targets]]") {
        &TARGETS
    } else {
        &TARGET
    };
    cuts(text, tree.get_ref(), &catalog().groups(form))
}

#[test]
fn values_of_known_keys_are_shown_and_no_others_and_no_comments() {
    let expected = r#"
bind = ":8080"
sources = [
  { id = "a", url = "http://[redacted]@opal:7000", token = "[redacted]", advertised_address = "x:1" },
]
[target]
type = "restapi"
endpoint_url = "https://flags.example.com/[redacted]"
tokens = "[redacted]"
whatever = ["[redacted]", '[redacted]', [redacted]]
[target.extra_headers]
Authorization = "[redacted]"
X-Other = """[redacted]
[redacted]"""
[[toggles]]
key = "us"
users_policy = { source = "a", rule = "us_users", input = { a = ["[redacted]"], b = "[redacted]" } }
[toggles.spec]
api_key = { inner = "[redacted]" }
"#;
    assert_eq!(masked(FILE, 0..FILE.len(), &cuts_of(FILE)), expected);
    let one_of_several = |text: &str| text.replace("[target]", "[[targets]]\nid = \"b\"");
    let file = one_of_several(&FILE.replace("[target.", "[targets."));
    let expected = one_of_several(&expected.replace("[target.", "[targets."));
    assert_eq!(masked(&file, 0..file.len(), &cuts_of(&file)), expected);
}

#[test]
fn a_place_within_a_cut_is_all_of_what_is_shown_instead() {
    let cuts = cuts_of(FILE);
    let start = FILE.find("hunter2@").unwrap();
    let wide = widened(&(start + 2..start + 4), &cuts);
    assert_eq!(masked(FILE, wide, &cuts), "[redacted]");
}

#[test]
fn of_a_file_that_was_not_parsed_known_keys_are_shown_and_nothing_else() {
    for (line, expected) in [
        ("id = \"a\"", "id = …"),
        ("  users_policy.source=1", "  users_policy.source= …"),
        ("hunter2 = \"a\"", "…"),
        ("\"id\" = \"a\"", "…"),
        ("[[sources]] # hunter2", "[[sources]] …"),
        (" [toggles.spec", "…"),
        ("[toggles.hunter2]", "…"),
        ("[target]", "[target]"),
        ("hunter2==", "…"),
        ("# hunter2", "…"),
        ("", ""),
    ] {
        let cuts = cuts_of_unparsed(line, &catalog().groups(&TARGETS));
        assert_eq!(masked(line, 0..line.len(), &cuts), expected);
    }
}

#[test]
fn of_an_address_scheme_host_port_and_path_are_shown() {
    for (value, expected) in [
        ("http://opal:7000/x", "http://opal:7000/x"),
        ("opal:7000", "opal:7000"),
        ("http://ann:s3@opal", "http://…@opal"),
        ("ann:s3@opal:1", "…@opal:1"),
        ("http://a:p@ss/w@opal/?token=s3", "http://…@opal/…"),
        ("http://opal/#s3", "http://opal/…"),
        ("http://ann:s3opal:7000", "http://…"),
        ("http://[::1]:7000/a", "http://[::1]:7000/a"),
        ("http://${H}:${P}/${A}/b", "http://${H}:${P}/${A}/b"),
        ("http://opal/${A:-s 3}", "http://…"),
        ("ftp://ann:s3", "…"),
        ("http://opal s3", "http://…"),
        ("s3", "…"),
    ] {
        let mut shown = value.to_owned();
        let parts = hidden(value, 0..value.len(), Show::Address);
        let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        for part in parts.into_iter().rev() {
            shown.replace_range(part, "…");
        }
        assert_eq!(shown, expected);
    }
}
