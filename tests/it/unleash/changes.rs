//! Features follow the policy.

use super::*;

#[test]
fn a_feature_lists_its_users_before_it_is_turned_on_and_is_off_where_there_are_none() {
    let flags = Flags::one().build();
    let follow = |users: &[&str]| {
        let first = flags.count("*");
        flags.follow(users).exits(0);
        assert!(flags.is_on_for("us", "development", users, &["eve", ""]));
        flags.requests_from(first)
    };
    let strategy = |requests: &[String]| requests.to_vec();
    assert_eq!(strategy(&follow(&["ann"])), [""]);
    assert_eq!(strategy(&follow(&["ann", "bob"])), [""]);
    assert_eq!(strategy(&follow(&[])), [""]);
    assert_eq!(strategy(&follow(&["bob"])), [""]);
}
