//! Features follow the policy.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_feature_lists_its_users_before_it_is_turned_on_and_is_off_where_there_are_none() {
    let flags = Flags::one().build();
    let follow = |users: &[&str]| {
        let first = flags.count("*");
        flags.follow(users).exits(0);
        assert!(flags.is_on_for("us", "development", users, &["eve", ""]));
        let requests = flags.requests_from(first);
        let place = "us/environments/development/";
        let requests = requests.iter().map(|it| it.replace(place, ""));
        requests
            .filter(|it| !it.contains("/api/"))
            .collect::<Vec<_>>()
    };
    let requests = follow(&["ann"]);
    assert_eq!(
        requests,
        ["GET us", "GET us", "POST strategies", "POST on", "GET us"]
    );
    let rewrite = "PUT strategies/00000001-6fd2-4f2a-9d3c-0242ac120002";
    assert_eq!(follow(&["ann", "bob"]), ["GET us", rewrite]);
    assert_eq!(follow(&[]), ["GET us", "POST off"]);
    assert_eq!(
        follow(&["bob"]),
        ["GET us", "GET us", rewrite, "POST on", "GET us"]
    );
    assert_eq!(flags.platform().listed("us", "development"), [["bob"]]);
}

#[test]
fn a_feature_is_described_as_the_spec_says_and_what_it_does_not_mention_is_left_alone() {
    let spec =
        "environments = [\"development\"]\ntype = \"release\"\ndescription = \"set by policy\"";
    let mut flags = Flags::one().spec(spec).build();
    let described = |kind: &str, description: &str| {
        let mut platform = flags.platform();
        let feature = platform.edit("us");
        assert_eq!(
            (&*feature.kind, feature.description.as_deref()),
            (kind, Some(description))
        );
        feature.stale && feature.impression_data
    };
    flags
        .follow(&["ann"])
        .exits(0)
        .reports("us +1 1 user created");
    described("release", "set by policy");
    let mut platform = flags.platform();
    let feature = platform.edit("us");
    (feature.stale, feature.impression_data) = (true, true);
    (feature.kind, feature.description) = ("experiment".into(), None);
    drop(platform);
    flags
        .sync()
        .exits(0)
        .reports("us = 1 user updated (metadata)");
    assert!(described("release", "set by policy"));
    assert_eq!((flags.count("PATCH *"), flags.count("PUT *")), (1, 0));
    let config = flags.program.config().replace("description", "#");
    flags.program.set_config(&config);
    flags.platform().edit("us").description = Some("by hand".into());
    flags.sync().exits(0).reports("us = 1 user unchanged");
}

#[test]
fn keys_are_compared_as_they_are() {
    let keys = [
        "a,b",
        "a b",
        "\"c\"",
        "it's",
        "d\\e",
        "\\\"f",
        "ünï",
        "Ж🦀",
        "[g]",
        "${h}",
        "*",
        "i\nj",
        "k\"",
        "1.0",
        "true",
        &"𝒳".repeat(50),
        "null",
    ];
    let others = [
        "a", "b", "A,B", "c", "\"c", "d", "de", "\"f", "\\f", "uni", "g", "i", "k", "1", "",
    ];
    let field = "environments = [\"development\"]\ncontext_field = \"tenant\"";
    for plan in [Flags::one(), Flags::one().spec(field)] {
        let flags = plan.build();
        flags.follow(&keys).exits(0);
        assert!(flags.is_on_for("us", "development", &keys, &others));
    }
}

#[test]
fn users_stay_in_their_strategies() {
    let flags = Flags::one().build();
    let mut all = users(0..2000);
    let listed = || flags.platform().listed("us", "development");
    let follow = |users: &[String]| {
        let first = flags.count("*");
        flags.follow(&refs(users)).exits(0);
        assert!(BTreeSet::from_iter(listed().concat()) == users.iter().cloned().collect());
        let requests = flags.requests_from(first);
        requests.iter().filter(|it| !it.starts_with("GET")).count()
    };
    assert_eq!(
        follow(&all),
        1 + 8 + 1,
        "the feature, its strategies, and on"
    );
    let before = listed();
    all.push("user00699-b@example.com".to_owned());
    assert_eq!(follow(&all), 1);
    all.remove(5);
    assert_eq!(follow(&all), 1);
    all[1500] = "user01499-b@example.com".to_owned();
    assert!(follow(&all) <= 2);
    for (before, now) in before.iter().zip(listed()) {
        assert!(
            before
                .iter()
                .all(|it| now.contains(it) || !all.contains(it))
        );
    }
}
