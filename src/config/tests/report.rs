//! How problems are shown.

use super::*;
use crate::config::problem::Related;

fn report(text: &str, problems: Vec<Problem>) -> Report {
    Report::new("optoggles.toml".into(), text.into(), problems, &[])
}

fn problem() -> Problem {
    Problem {
        severity: Severity::Error,
        code: "duplicate-id",
        message: "there are two".into(),
        help: "take one away".into(),
        span: 6..7,
        related: Some(Related {
            message: "the first one is here".into(),
            span: 0..1,
        }),
        key: "b".into(),
    }
}

#[test]
fn positions_count_lines_and_characters_from_one() {
    let report = report("\u{feff}a = 'é'\r\nbc = 1\n", Vec::new());
    for (offset, line, column) in [
        (0, 1, 1),
        (3, 1, 1),
        (8, 1, 6),
        (9, 1, 6),
        (10, 1, 7),
        (13, 2, 1),
        (15, 2, 3),
        (20, 3, 1),
        (999, 3, 1),
    ] {
        assert_eq!(
            report.position(offset),
            Position { line, column },
            "{offset}"
        );
    }
}

#[test]
fn a_problem_is_shown_with_its_line_its_help_and_what_has_to_do_with_it() {
    let warning = Problem {
        severity: Severity::Warning,
        related: None,
        span: 4..5,
        ..problem()
    };
    assert_eq!(
        report("a = 1\nb = 2\n", vec![warning, problem()]).to_string(),
        "\
optoggles.toml:1:5: warning: there are two
  |
1 | a = 1
  |     ^
  |
  = help: take one away

optoggles.toml:2:1: error: there are two
  |
1 | a = 1
  | - the first one is here
2 | b = 2
  | ^
  |
  = help: take one away

optoggles.toml: 1 error, 1 warning"
    );
}

#[test]
fn a_problem_of_the_whole_file_is_shown_without_a_line() {
    let problem = Problem {
        span: 0..0,
        related: None,
        ..problem()
    };
    assert_eq!(
        report("a = 1\n", vec![problem]).to_string(),
        "\
optoggles.toml:1:1: error: there are two
 |
 = help: take one away

optoggles.toml: 1 error"
    );
}

#[test]
fn a_strict_report_has_no_warnings() {
    let warning = Problem {
        severity: Severity::Warning,
        ..problem()
    };
    let report = report("a = 1\nb = 2\n", vec![warning, problem()]).strict();
    assert!(report.to_string().ends_with("2 errors"));
    assert!(report.entries().all(|entry| entry.severity == "error"));
}

#[test]
fn colours_change_nothing_but_the_colours() {
    let report = report("a = 1\nb = 2\n", vec![problem()]);
    let colored = report.colored();
    assert!(colored.contains('\u{1b}'));
    let mut plain = String::new();
    for (index, part) in colored.split("\u{1b}[").enumerate() {
        let text = if index == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        };
        plain.push_str(text);
    }
    assert_eq!(plain, report.to_string());
}

#[test]
fn programs_get_the_same_with_every_place_in_numbers() {
    let entries: Vec<Entry> = report("a = 1\nb = 2\n", vec![problem()])
        .entries()
        .collect();
    let expected = Entry {
        help: Some("take one away".into()),
        file: Some("optoggles.toml".into()),
        line: Some(2),
        column: Some(1),
        end_line: Some(2),
        end_column: Some(2),
        key: Some("b".into()),
        ..Entry::new(
            "error",
            "duplicate-id",
            "there are two (the first one is here: line 1)".into(),
        )
    };
    assert_eq!(entries, [expected]);
}
