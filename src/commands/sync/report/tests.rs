use super::*;

#[test]
fn names_are_shown_as_they_are_up_to_a_limit() {
    let few: Users = ["ann", "b|c", "d`e", "@team"].into_iter().collect();
    assert_eq!(names('+', &few, 20), "+4: `@team` `ann` `b\\|c` `` d`e ``");
    let many: Vec<String> = (10..40).map(|n| format!("u{n}")).collect();
    let many: Users = many.iter().map(String::as_str).collect();
    assert!(names('−', &many, 20).ends_with("`u29` and 10 more"));
    assert_eq!(names('−', &many, 0), "−30");
    assert_eq!(names('+', &Users::default(), 20), "");
}

/// A report of so many toggles, each of which gains 30 users with names of this length.
fn report(toggles: usize, length: usize) -> Report {
    let users: Vec<String> = (0..30)
        .map(|n| format!("{n:02}{}", "€".repeat(length)))
        .collect();
    let users: Users = users.iter().map(String::as_str).collect();
    let row = |id| {
        let change = users.change_from(&Users::default());
        let sent = Sent::Change(Arc::new(change));
        Row {
            key: format!("toggle-{id}"),
            target: "flags".to_owned(),
            outcome: Outcome {
                result: Verdict::Updated,
                users: Some(30),
                counts: Counts {
                    added: Some(30),
                    removed: Some(0),
                },
                created: false,
                described: false,
                sent,
                troubles: Vec::new(),
                environments: Vec::new(),
            },
            named: None,
            error: None,
            environments: Vec::new(),
            name: format!("toggle-{id}"),
            errors: Vec::new(),
        }
    };
    let toggles: Vec<Row> = (0..toggles).map(row).collect();
    Report {
        dry_run: true,
        seconds: 0.1,
        summary: Summary::of(&toggles),
        toggles,
        errors: Vec::new(),
    }
}

#[test]
fn a_table_has_no_more_characters_than_a_comment_and_says_what_it_leaves_out() {
    for (toggles, length, shown, named) in [
        (10, 50, 10, 20),
        (100, 50, 100, 5),
        (400, 50, 400, 0),
        (1, 100_000, 1, 0),
        (5000, 50, 1194, 0),
    ] {
        let text = report(toggles, length).markdown() + "\n";
        assert!(text.chars().count() <= 60_000, "{}", text.chars().count());
        assert_eq!(text.matches("| `toggle-").count(), shown);
        assert_eq!(text.matches('€').count(), shown * named * length);
        let note = match (named, toggles - shown) {
            (0, 0) => "\nNames are left out: a comment holds no more.\n".to_owned(),
            (0, left) => format!("\nNames and {left} more toggles are left out: a comment"),
            _ => String::new(),
        };
        assert_eq!(text.contains("left out"), !note.is_empty());
        assert!(text.contains(&note) && text.contains("would be updated (0.10s)"));
    }
}

#[test]
fn what_others_wrote_stays_within_its_cell_as_text() {
    let users: Users = ["``x`` @org [a](http://b) <img>"].into_iter().collect();
    let shown = "+1: ``` ``x`` @org [a](http://b) <img> ```";
    assert_eq!(names('+', &users, 1), shown);
    let said = "422: @org [a](http://b) <b>|`c` d_e";
    let shown = "422: @\u{200b}org [a\\](http://b) &lt;b>\\|\\`c\\` d\\_e";
    assert_eq!(plain(said), shown);
}

#[test]
fn what_has_failed_is_not_left_out_of_a_table() {
    let mut report = report(1_500, 0);
    report.toggles[1_499].outcome.result = Verdict::Failed;
    assert!(report.markdown().contains("| `toggle-1499` |"));
    assert!(!report.markdown().contains("| `toggle-1498` |"));
}
