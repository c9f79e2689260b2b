//! What holds whatever the file says.

use proptest::prelude::*;

use super::*;
use crate::config::report::Severity;

/// Pieces of TOML and of what a configuration says, right and wrong, from which files are made.
const PIECES: &[&str] = &[
    "\n",
    " ",
    "=",
    "\"",
    "\"\"\"",
    "'",
    "[",
    "]",
    "[[",
    "{",
    "}",
    ",",
    ".",
    "#",
    "é\u{feff}",
    "\\",
    "-1",
    "1e9999",
    "nan",
    "2020-01-01",
    "true",
    "99999999999999999999s",
    "\"${TOKEN}\"",
    "\"${file:/dev/null}${\"",
    "http://",
    "@",
    ":",
    "/",
    "[[sources]]\n",
    "[target]\n",
    "[[toggles]]\n",
    "[toggles.spec]\n",
    "id = \"b\"\n",
    "type = \"opa\"\n",
    "ca_file = \"key.pem\"\n",
    "usersPolicy = {}\n",
    "a.b.c.d = [[{}]]\n",
];

proptest! {
    #[test]
    fn a_broken_file_is_reported_and_never_a_panic(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(PIECES)),
            0..5,
        ),
        open_to_others: bool,
    ) {
        let mut text: Vec<char> = RIGHT.chars().collect();
        for (at, removed, piece) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, piece.chars());
        }
        examine(&text.into_iter().collect::<String>(), open_to_others);
    }

    #[test]
    fn no_text_at_all_is_a_panic(text in "\\PC{0,60}") {
        examine(&text, false);
    }

    #[test]
    fn no_value_at_all_is_a_panic(
        key in prop::sample::select(&["bind", "http_timeout", "url", "advertised_address", "app.rbac"]),
        value in "(\\PC|[0-9smy:@/.\\[\\]]){0,30}",
    ) {
        let text = if key == "app.rbac" {
            with("\"app.rbac\"", &format!("{value:?}"))
        } else {
            with("opa_token", &format!("{key} = {value:?}\nopa_token"))
        };
        examine(&text, false);
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
        let (config, problems) = run(&format!("{line}\n").repeat(2_000), false);
        assert!(config.is_none() && !problems.is_empty(), "{line}");
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
    let (_, problems) = run(&text, false);
    assert!(problems.len() >= 5_000, "{}", problems.len());
}

fn examine(text: &str, open_to_others: bool) {
    let (config, problems, report) = run_to_report(text, open_to_others);
    assert_eq!(report.to_string().is_empty(), problems.is_empty());
    let has_errors = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    assert_eq!(config.is_none(), has_errors, "{text}");
    assert!(
        problems.is_sorted_by_key(|problem| problem.span.start),
        "{text}"
    );
    for problem in &problems {
        let spans = [
            Some(&problem.span),
            problem.related.as_ref().map(|related| &related.span),
        ];
        for span in spans.into_iter().flatten() {
            assert!(text.get(span.clone()).is_some(), "{span:?} of {text}");
        }
        assert!(!problem.message.ends_with('.'), "{problem:?}");
        assert!(!problem.message.contains('\n'), "{problem:?}");
        let help = &problem.help;
        assert!(!help.is_empty() && !help.ends_with('.'), "{problem:?}");
        assert!(!help.contains('\n'), "{problem:?}");
    }
    shown(text, &problems);
}
