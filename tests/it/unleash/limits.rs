//! How much Unleash keeps, and what it cannot keep.

use super::*;

#[test]
fn users_that_do_not_fit_are_an_error_but_lose_no_removal() {
    let flags = Flags::one().build();
    flags.platform().limits = Limits {
        values: 3,
        strategies: 2,
    };
    flags.follow(&["a", "b", "c", "d", "e", "f"]).exits(0);
    let words = "feature us of project default: 7 users do not fit: Unleash allows 2 strategies in an environment, with \
                 3 values each, and bodies of 100000 bytes: raise its UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT or \
                 UNLEASH_CONSTRAINT_VALUES_LIMIT";
    flags
        .follow(&["b", "c", "d", "e", "g", "h", "i"])
        .exits(1)
        .says(words);
    assert!(flags.is_on_for("us", "development", &["b", "c", "d", "e"], &["a", "f", "g"]));
    flags
        .follow(&["g", "h", "i", "j", "k", "l", "m"])
        .exits(1)
        .says("7 users do not fit");
    assert!(flags.is_on_for("us", "development", &[], &["b", "c", "g"]));
}

#[test]
fn a_raised_limit_is_noticed() {
    let flags = Flags::one().setting("resync_interval = \"1s\"").build();
    flags.platform().limits = Limits {
        values: 1,
        strategies: 1,
    };
    flags.opa.allow("us", &["ann"]);
    let daemon = flags.serve_in_step();
    flags.change("us", &["ann", "bob"]);
    daemon.wait_failing();
    flags.platform().limits.values = 2;
    flags.stage.wait_until("bob has it", || {
        flags.is_on_for("us", "development", &["ann", "bob"], &[])
    });
    daemon.wait_healthy();
}

#[test]
fn where_unleash_does_not_tell_its_limits_the_defaults_hold() {
    let flags = Flags::one().build();
    flags.unleash.http.always(
        "GET /api/admin/ui-config",
        crate::support::Fault::status(404),
    );
    flags.follow(&refs(&users(0..251))).exits(0);
    let listed = flags.platform().listed("us", "development");
    assert_eq!(listed.iter().map(Vec::len).collect::<Vec<_>>(), [250, 1]);
}

#[test]
fn long_keys_fill_no_body_beyond_what_unleash_takes() {
    let flags = Flags::one().build();
    flags.platform().limits.values = 5000;
    let keys: Vec<String> = (0..1500)
        .map(|number| format!("{number:04}{}", "\"".repeat(96)))
        .collect();
    flags.follow(&refs(&keys)).exits(0);
    assert_eq!(
        flags.platform().listed("us", "development").concat().len(),
        1500
    );
}

#[test]
fn keys_that_cannot_be_kept_are_an_error_and_all_others_follow() {
    let flags = Flags::one().build();
    let (long, wide) = ("x".repeat(101), "𝒳".repeat(51));
    for key in [
        " zoe",
        "zoe\t",
        "\u{feff}zoe",
        "z\0e",
        "zoe\\",
        &long,
        &wide,
    ] {
        flags.follow(&["ann", "bob"]).exits(0);
        let words = "1 user key cannot be kept in Unleash: none may begin or end with a blank, end with a backslash, hold \
                     NUL, or have more than 100 characters";
        flags.follow(&["bob", "dan", key]).exits(1).says(words);
        assert!(flags.is_on_for("us", "development", &["bob", "dan"], &["ann", "zoe", key]));
    }
}
