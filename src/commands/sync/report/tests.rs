use super::*;

#[test]
fn names_are_shown_as_they_are_up_to_a_limit() {
    let few: Users = ["ann", "b|c", "d`e", "@team"].into_iter().collect();
    assert_eq!(names('+', &few), "+4: `@team` `ann` `b\\|c` `` d`e ``");
    let many: Vec<String> = (10..40).map(|n| format!("u{n}")).collect();
    let many: Users = many.iter().map(String::as_str).collect();
    assert!(names('−', &many).ends_with("`u29` and 10 more"));
    assert_eq!(names('+', &Users::default()), "");
}
