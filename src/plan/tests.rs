use super::*;

fn names(names: &[&str]) -> Arc<Users> {
    Arc::new(names.iter().copied().collect())
}

/// Users by name; none where they are not known.
type Known<'a> = Option<&'a [&'a str]>;

/// An environment in which these have the toggle, or are named though it is not known who has it.
fn environment(users: Known, named: Known) -> Environment {
    Environment {
        users: users.map(names),
        named: named.map(names),
        in_order: named.is_none(),
    }
}

/// One in which exactly these have the toggle.
fn has(users: &[&str]) -> Environment {
    Environment::of(names(users))
}

/// Numbers of removed users, and of users.
fn removals(
    observed: &Environment,
    desired: &Users,
    history: &History,
) -> Option<Vec<(usize, usize)>> {
    let known = observed.users.as_ref();
    let change = known.map(|users| desired.change_from(users));
    let removals = observed.removals(desired, change.as_ref(), history)?;
    Some(removals.iter().map(|it| (it.removed, it.of)).collect())
}

/// A past in which the users of an environment went from set to set.
fn sent(sets: &[&[&str]], at: Instant) -> History {
    let mut history = History::default();
    for pair in sets.windows(2) {
        let change = Some(Arc::new(names(pair[1]).change_from(&names(pair[0]))));
        history.sent(&names(pair[1]), change.as_ref(), at);
    }
    history
}

#[test]
fn what_would_be_removed_is_counted_where_it_is_known_who_has_the_toggle() {
    let desired = names(&["a", "z"]);
    let known = [
        (
            environment(Some(&["a", "b", "c"]), None),
            Some(vec![(2, 3)]),
        ),
        (environment(None, None), None),
        (environment(Some(&[]), None), Some(vec![(0, 0)])),
        (environment(None, Some(&["a", "b"])), Some(vec![(1, 2)])),
        (environment(Some(&[]), Some(&["b"])), Some(vec![(1, 1)])),
    ];
    for (environment, expected) in known {
        let found = removals(&environment, &desired, &History::default());
        assert_eq!(found, expected, "{environment:?}");
    }
    let history = sent(&[&[], &["a", "y"]], Instant::now());
    let unknown = environment(None, None);
    assert_eq!(removals(&unknown, &desired, &history), Some(vec![(1, 2)]));
}

#[test]
fn what_was_removed_before_counts_with_what_is_removed_now_until_it_is_old_or_somebody_else_decided()
 {
    let start = Instant::now();
    let mut history = sent(&[&["a", "b", "c", "d"], &["a", "b"]], start);
    let (now, one) = (has(&["a", "b"]), names(&["a"]));
    let both = Some(vec![(1, 2), (3, 4)]);
    assert_eq!(removals(&now, &one, &history), both);
    let nobody_goes = removals(&now, &names(&["a", "b", "e"]), &history);
    assert_eq!(nobody_goes, Some(vec![(0, 2)]));
    let mut later = history.clone();
    later.forget_before(start + std::time::Duration::from_secs(1));
    assert_eq!(removals(&now, &one, &later), Some(vec![(1, 2)]));
    let mut found = history.clone();
    found.seen(&names(&["a", "b"]), start);
    assert_eq!(removals(&now, &one, &found), both, "it is as it was sent");
    found.seen(&names(&["a", "b", "x"]), start);
    let other = removals(&has(&["a", "b", "x"]), &names(&["a", "b"]), &found);
    assert_eq!(other, Some(vec![(1, 3)]));
    // An update that may have been done is ours, whatever is found.
    history.may_have(&one);
    history.seen(&one, start);
    assert_eq!(
        removals(&has(&["a"]), &Users::default(), &history),
        Some(vec![(1, 1), (2, 2), (4, 4)])
    );
}

#[test]
fn users_who_replace_each_other_are_counted_against_those_who_had_the_toggle_at_the_same_time() {
    let sets: [&[&str]; 4] = [&["a"], &["b"], &["c"], &["c", "d", "e", "f"]];
    let history = sent(&sets, Instant::now());
    assert_eq!(
        removals(&has(sets[3]), &names(&["c", "d", "e"]), &history),
        Some(vec![(1, 4), (1, 1), (1, 1)])
    );
}
