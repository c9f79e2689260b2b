//! What a report shows of a file, and what it does not.

use std::path::Path;

use proptest::prelude::*;
use toml::de::DeTable;

use super::*;
use crate::config::check::check;
use crate::config::interpolate::Surroundings;
use crate::config::report::Report;

/// What must never show.
const SECRET: &str = "hunter2";

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
whatever = ["hunter2", 'hunter2']
[target.extra_headers]
Authorization = "Bearer hunter2"
X-Other = """hunter2
hunter2"""
[[toggles]]
key = "us"
users_policy = { source = "a", package = "app.rbac", rule = "us_users" }
[toggles.spec]
name = "US"
api_key = { inner = "hunter2" }
"#;

fn masked(text: &str) -> Masked {
    let (tree, _) = DeTable::parse_recoverable(text);
    let pieces = pieces(tree.get_ref(), |span| span);
    Masked::new(text, &cuts(text, &pieces, &[]))
}

fn report(text: &str) -> Report {
    let around = Surroundings {
        folder: Path::new("/"),
        env: &|_| None,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        open_to_others: true,
    };
    let checked = check(text, &around);
    Report::new(
        "o.toml".into(),
        text.into(),
        checked.problems,
        &checked.cuts,
    )
}

#[test]
fn values_that_may_be_secrets_and_comments_are_cut_and_nothing_else() {
    let expected = r#"
bind = ":8080"
sources = [
  { id = "a", url = "http://[redacted]@opal:7000", token = "[redacted]", advertised_address = "x:1" },
]
[target]
type = "restapi"
endpoint_url = "https://flags.example.com/?[redacted]"
tokens = "[redacted]"
whatever = ["[redacted]", '[redacted]']
[target.extra_headers]
Authorization = "[redacted]"
X-Other = """[redacted]
[redacted]"""
[[toggles]]
key = "us"
users_policy = { source = "a", package = "app.rbac", rule = "us_users" }
[toggles.spec]
name = "US"
api_key = { inner = "[redacted]" }
"#;
    assert_eq!(masked(FILE).text(), expected);
}

#[test]
fn a_place_is_found_again_after_what_was_cut() {
    let masked = masked(FILE);
    for piece in ["endpoint_url", "\"app.rbac\"", "key =", "\"x:1\""] {
        let start = FILE.find(piece).unwrap();
        let span = masked.span(&(start..start + piece.len()));
        assert_eq!(&masked.text()[span], piece);
    }
    let start = FILE.find("hunter2@").unwrap();
    let span = masked.span(&(start + 2..start + 4));
    assert_eq!(&masked.text()[span], "[redacted]");
}

#[test]
fn a_file_that_was_not_parsed_shows_what_is_plainly_harmless() {
    let text = "id = \"a\"\ntoken = \"hunter2\"\nhunter2\n";
    let masked = Masked::new(text, &cuts(text, &[], &[]));
    assert_eq!(
        masked.text(),
        "id = \"a\"\ntoken = [redacted]\n[redacted]\n"
    );
}

#[test]
fn a_text_among_tables_has_strayed_there_and_does_not_show() {
    let text = "sources = [\n  { id = \"a\" },\n  \"hunter2\", ['hunter2'], 5\n]\n";
    let expected = "sources = [\n  { id = \"a\" },\n  \"[redacted]\", ['[redacted]'], 5\n]\n";
    assert_eq!(masked(text).text(), expected);
}

/// Pieces with which people break a file.
const PIECES: &[&str] = &[
    "",
    "\n",
    " ",
    "=",
    "\"",
    "\"\"\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "#",
    ":",
    "é",
    "\\",
    "5",
    "x",
    "[[sources]]\n",
    "[target]\n",
];

proptest! {
    /// What has become another value, which may be shown, cannot be told from it. So there are
    /// deletions within a line only, no query, no comment that ends amid what was a line, and a
    /// password has its `:` or its `@`.
    #[test]
    fn a_broken_file_shows_no_secret(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0_usize..4, prop::sample::select(PIECES)),
            1..4,
        ),
    ) {
        let file = FILE.replace("?q=hunter2", "");
        let mut text: Vec<char> = file.chars().collect();
        let pieces: Vec<char> = edits.iter().flat_map(|(_, _, piece)| piece.chars()).collect();
        for (at, removed, piece) in edits {
            let start = at.index(text.len() + 1);
            let rest = text[start..].iter().take(removed);
            let end = start + rest.take_while(|c| **c != '\n').count();
            text.splice(start..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        prop_assume!(!(pieces.contains(&'#') && pieces.contains(&'\n')));
        prop_assume!(text.contains(":hunter2") || text.contains("hunter2@"));
        let shown = report(&text).to_string();
        prop_assert!(!shown.contains(SECRET), "{shown}");
    }
}
