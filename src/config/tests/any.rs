//! What holds whatever became of a file: no panic, one help a problem, and no secret in anything said.

use proptest::prelude::*;
use proptest::sample::Index;
use toml::de::{DeTable, DeValue};

use super::*;

/// A valid file with a secret in every kind of place that may hold one.
const FILE: &str = r#"# was hunter2
bind = ":8080" # not hunter2
[[sources]]
id = "opal"
url = "http://ann:hunter2@localhost:7000"
token = "hunter2"
advertised_address = "localhost:8080"
opa_token = 'hunter2'
[[sources]]
id = "opa"
type = "opa" # "hunter2"
url = "https://opa"
token = "${TOKEN}"
[target]
type = "restapi"
endpoint_url = "https://hunter2:@flags.example.com/api"
extra_headers = { A = "Bearer hunter2", "X-K" = "hunter2", X-L = 'hunter2' }
[[toggles]]
key = "us"
users_policy = { source = "opal", package = "app.rbac", rule = "us_users" }
[toggles.spec]
name = "US"
inner = { password = "hunter2", "to whom" = "hunter2" }
notes = """
hunter2
hunter2 """
anything = ["a", "hunter2", { b = "hunter2" }] # x = "hunter2"
[[toggles]]
key = "tax"
target = "restapi"
[toggles.users_policy]
source = "opa"
package = "app.rbac"
rule = "tax_users"
input = { token = "hunter2", "a" = ["${TOKEN}", 'hunter2', 5] }
"#;

/// Pieces with which people break a file, between bars.
const PIECES: &str = "\n| |=|\"|\"\"\"|'|'''|[|]|{|}|,|.|#|:|é|\u{feff}|\\|5|x|@|/|${|\
    -1|1e9999|nan|2020-01-01|99999999999999999999s|\"${TOKEN}\"|\
    [[sources]]\n|[target]\n|[[targets]]\n|target = |input = |[[toggles]]\n|[toggles.spec]\n|spec = |name = |type = \"opa\"\n|\
    ca_file = \"key.pem\"\n|usersPolicy = {}\n|a.b.c.d = [[{}]]\n";

#[derive(Clone, Debug)]
enum Edit {
    DeleteLine(Index),
    MoveLine(Index, Index),
    SwapLines(Index, Index),
    Replace(Index, usize, &'static str),
}

impl Edit {
    fn apply(&self, text: &mut String) {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        match self {
            Edit::Replace(at, removed, piece) => {
                let mut chars: Vec<char> = text.chars().collect();
                let start = at.index(chars.len() + 1);
                let end = (start + removed).min(chars.len());
                chars.splice(start..end, piece.chars());
                *text = chars.into_iter().collect();
                return;
            }
            _ if lines.is_empty() => return,
            Edit::DeleteLine(at) => drop(lines.remove(at.index(lines.len()))),
            Edit::MoveLine(from, to) => {
                let line = lines.remove(from.index(lines.len()));
                lines.insert(to.index(lines.len() + 1), line);
            }
            Edit::SwapLines(one, other) => {
                let count = lines.len();
                lines.swap(one.index(count), other.index(count));
            }
        }
        *text = lines.concat();
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let pieces: Vec<_> = PIECES.split('|').collect();
    prop_oneof![
        any::<Index>().prop_map(Edit::DeleteLine),
        any::<(Index, Index)>().prop_map(|(from, to)| Edit::MoveLine(from, to)),
        any::<(Index, Index)>().prop_map(|(one, other)| Edit::SwapLines(one, other)),
        (any::<Index>(), 0_usize..4, prop::sample::select(pieces))
            .prop_map(|(at, removed, piece)| Edit::Replace(at, removed, piece)),
    ]
}

/// Keys whose values may be shown.
const SHOWN: &str =
    "bind id type key target source package rule url endpoint_url advertised_address";

/// Whether valid TOML says that the secret is a key, or the plain value of a key that holds none:
/// then it is no secret.
fn is_given_away(text: &str) -> bool {
    fn within(key: &str, value: &DeValue) -> bool {
        match value {
            DeValue::Table(table) => table.iter().any(|(key, value)| {
                key.get_ref().contains(SECRET) || within(key.get_ref(), value.get_ref())
            }),
            DeValue::Array(array) => array.iter().any(|element| within(key, element.get_ref())),
            DeValue::String(text) => {
                let is_odd = |c: char| c.is_control() || "\"'=#@?".contains(c);
                text.contains(SECRET)
                    && SHOWN.split(' ').any(|it| it == key)
                    && !text.contains(is_odd)
                    || text.contains(&format!("${{{SECRET}"))
            }
            _ => false,
        }
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    errors.is_empty() && within("", &DeValue::Table(tree.into_inner()))
}

/// All that people and programs are told of a file, each problem of which is as it has to be.
fn said(text: &str) -> String {
    let (config, report) = run(text, true);
    let problems = &report.problems;
    assert_eq!(report.to_string().is_empty(), problems.is_empty());
    assert_eq!(config.is_none(), report.has_errors(), "{text}");
    assert!(
        problems.is_sorted_by_key(|problem| problem.span.start),
        "{text}"
    );
    for problem in problems {
        for span in [&problem.span].into_iter().chain(&problem.first) {
            assert!(text.get(span.clone()).is_some(), "{span:?} of {text}");
        }
        for words in [&problem.message, &problem.help] {
            assert!(!words.is_empty() && !words.ends_with('.'), "{problem:?}");
            assert!(!words.contains('\n'), "{problem:?}");
        }
    }
    let entries: Vec<_> = report.entries().collect();
    let json = serde_json::to_string(&entries).unwrap();
    assert!(!format!("{config:?}").contains("Bearer"));
    format!("{report}{}{json}{problems:?}", report.render(true))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn an_edited_file_is_reported_without_a_panic_and_without_a_secret(
        edits in prop::collection::vec(edit(), 0..6),
    ) {
        let mut text = FILE.to_owned();
        for edit in &edits {
            edit.apply(&mut text);
        }
        let said = said(&text);
        prop_assume!(!is_given_away(&text));
        prop_assert!(!said.contains(SECRET), "{said}\n--- of\n{text}");
    }
}

proptest! {
    #[test]
    fn no_text_at_all_is_a_panic(text in "\\PC{0,60}") {
        said(&text);
    }

    #[test]
    fn no_value_at_all_is_a_panic(
        key in prop::sample::select(&["bind", "http_timeout", "url", "advertised_address", "app.rbac"]),
        value in "(\\PC|[0-9smy:@/.\\[\\]]){0,30}",
    ) {
        said(&if key == "app.rbac" {
            with("\"app.rbac\"", &format!("{value:?}"))
        } else {
            with("opa_token", &format!("{key} = {value:?}\nopa_token"))
        });
    }
}

#[test]
fn a_secret_that_once_showed_does_not() {
    let headers =
        "extra_headers = { A = \"Bearer hunter2\", \"X-K\" = \"hunter2\", X-L = 'hunter2' }\n";
    for text in [
        FILE.replace(headers, "") + "[toggles.spec]\n" + headers,
        FILE.replace(
            "[toggles.spec]\n",
            &format!("[toggles.spec]\n{headers}resync_interval = 1e999\n"),
        ),
        FILE.replace("bind = \":8080\" #", "bind = \":8080 #"),
        FILE.replace("type = \"opa\" # \"", "type = \"opa # "),
    ] {
        let said = said(&text);
        assert!(!said.contains(SECRET), "{said}\n--- of\n{text}");
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
            let said = said(&VALID.replace(value, reference));
            assert!(!said.contains(SECRET), "{reference} for {value}: {said}");
        }
    }
}

#[test]
fn what_a_key_file_holds_never_shows() {
    for key in ["ca_file", "cert_file", "key_file", "token"] {
        let line = format!("{key} = \"${{file:key.pem}}\"\nopa_token");
        let said = said(&with("opa_token", &line));
        assert!(!said.contains(SECRET), "{key}: {said}");
    }
}

#[test]
fn garbage_and_what_is_never_closed_take_no_ages() {
    for line in [
        "garbage",
        "a = [",
        "a = \"",
        "[[",
        "a: b",
        "}",
        "[a",
        "a = \"\"\"",
    ] {
        let (config, report) = run(&format!("{line}\n").repeat(2_000), false);
        assert!(config.is_none() && report.has_errors(), "{line}");
    }
}

#[test]
fn tables_within_tables_end_before_the_stack_does() {
    let (dots, brackets) = ("a.".repeat(10_000), "[".repeat(10_000));
    for deep in [
        with("name", &format!("{dots}name")),
        with("[toggles.spec]", &format!("[toggles.spec.{dots}a]")),
        with("name", &format!("a = {brackets}\nname")),
        with("name", &format!("a = {}\nname", "{a=".repeat(10_000))),
    ] {
        let (config, _) = run(&deep, false);
        assert_eq!(config, None);
    }
}

#[test]
fn a_large_file_that_is_none_of_ours_takes_no_ages() {
    let text = "x = y\n".repeat(5_000) + &"z = 1\n".repeat(5_000);
    let (_, report) = run(&text, false);
    let count = report.problems.len();
    assert!(count >= 5_000, "{count}");
}
