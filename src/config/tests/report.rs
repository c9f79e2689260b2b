//! How a problem is shown to people and to programs.

use super::*;

fn report() -> Report {
    let at = |span| Place {
        span,
        ..Place::default()
    };
    let problem = Problem {
        first: Some(0..1),
        ..Problem::error("duplicate-id", &at(6..7), "there are two", "remove one")
    };
    Report::new(
        Path::new("o.toml"),
        "a = 1\nb = 2\n".into(),
        vec![problem],
        Vec::new(),
    )
}

#[test]
fn colours_change_nothing_but_the_colours() {
    let colored = report().render(true);
    let mut parts = colored.split("\u{1b}[");
    let mut plain = parts.next().unwrap().to_owned();
    assert_ne!(plain, colored);
    for part in parts {
        plain += part.split_once('m').unwrap().1;
    }
    assert_eq!(plain, report().to_string());
}

#[test]
fn programs_get_the_place_of_the_first_of_two_in_the_message() {
    let entry = report().entries().next().unwrap();
    assert_eq!(
        entry.message,
        "there are two (the first one is here: line 1)"
    );
    assert_eq!(
        (entry.line, entry.end_column, entry.key),
        (Some(2), Some(2), None)
    );
}
