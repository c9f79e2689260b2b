use proptest::prelude::*;

use super::*;

fn names<S: AsRef<str>>(names: &[S]) -> Arc<Users> {
    Arc::new(names.iter().map(AsRef::as_ref).collect())
}

fn have(keys: &Arc<Users>) -> Observed {
    Observed::Present(Present::plain(true, Some(Arc::clone(keys))))
}

/// What a target that does as it is told holds after a step.
fn apply(step: Step, truth: &Observed, desired: &Arc<Users>) -> Observed {
    match step {
        Step::Read => truth.clone(),
        Step::Create => present(true, &[], false),
        Step::Describe => {
            let mut truth = truth.clone();
            if let Observed::Present(present) = &mut truth {
                present.described = true;
            }
            truth
        }
        Step::Update => {
            let mut truth = truth.clone();
            truth.set_users(desired);
            truth
        }
    }
}

fn present(described: bool, keys: &[String], in_order: bool) -> Observed {
    let environment = Environment {
        users: Some(names(keys)),
        named: None,
        in_order,
    };
    let other = Environment {
        users: Some(Arc::default()),
        named: None,
        in_order: true,
    };
    Observed::Present(Present {
        described,
        environments: vec![environment, other],
    })
}

fn plain(described: bool, keys: &[&str]) -> Observed {
    Observed::Present(Present::plain(described, Some(names(keys))))
}

#[test]
fn without_users_a_toggle_is_created_and_described_but_its_users_are_left_alone() {
    assert_eq!(Observed::Unknown.steps(None, true), [Step::Read]);
    assert_eq!(Observed::Unknown.steps(None, false), [Step::Create]);
    assert_eq!(Observed::Absent.steps(None, true), [Step::Create]);
    let eve = ["eve"];
    assert_eq!(plain(false, &eve).steps(None, true), [Step::Describe]);
    assert_eq!(plain(true, &eve).steps(None, true), []);
}

#[test]
fn after_a_lost_request_what_can_be_read_is_read_and_the_rest_is_sent_again() {
    let desired = names(&["eve"]);
    for (readable, step) in [(true, Step::Read), (false, Step::Update)] {
        let mut observed = plain(true, &["eve"]);
        observed.forget_users(readable);
        assert_eq!(observed.steps(Some(&desired), readable), [step]);
    }
}

#[test]
fn whoever_comes_or_goes_in_any_environment_counts_once() {
    let users = |keys: &[&str]| Users::clone(&names(keys));
    let change = Change {
        added: users(&["b", "c"]),
        removed: users(&["x", "y"]),
    };
    for (other, expected) in [(Some(&["a", "b", "y"][..]), Some(&change)), (None, None)] {
        let observed = observed(&[(Some(&["a", "x"]), None), (other, None)]);
        let changes = observed.changes_to(&users(&["a", "b", "c"]));
        assert_eq!(Change::of_all(&changes).as_deref(), expected);
    }
}

/// Users by name; none where they are not known.
type Known<'a> = Option<&'a [&'a str]>;

/// A toggle in environments in which these have it, or are named though it is not known who has it.
fn observed(environments: &[(Known, Known)]) -> Observed {
    let environments = environments.iter().map(|(users, named)| Environment {
        users: users.map(names),
        named: named.map(names),
        in_order: named.is_none(),
    });
    Observed::Present(Present {
        environments: environments.collect(),
        ..Present::plain(true, None)
    })
}

fn removals(observed: &Observed, desired: &Users, history: &History) -> Vec<Option<Removal>> {
    observed.removals(desired, &observed.changes_to(desired), history)
}

fn removal(removed: usize, of: usize) -> Option<Removal> {
    Some(Removal { removed, of })
}

#[test]
fn what_would_be_removed_is_told_for_each_environment_in_which_it_is_known_who_has_the_toggle() {
    let desired = names(&["a", "z"]);
    let known = observed(&[
        (Some(&["a", "b", "c"]), None),
        (None, None),
        (Some(&[]), None),
        (None, Some(&["a", "b"])),
        (Some(&[]), Some(&["b"])),
    ]);
    let all = [
        removal(2, 3),
        None,
        removal(0, 0),
        removal(1, 2),
        removal(1, 1),
    ];
    assert_eq!(removals(&known, &desired, &History::default()), all);
    let mut history = History::of_new();
    history.sent(&names(&["a", "y"]), &[], Instant::now());
    assert_eq!(removals(&known, &desired, &history)[1], removal(1, 2));
    assert_eq!(
        removals(&Observed::Unknown, &desired, &history),
        [removal(1, 2)]
    );
}

#[test]
fn what_was_removed_before_counts_with_what_is_removed_now_until_it_is_old_or_somebody_else_decided()
 {
    let start = Instant::now();
    let (four, two) = (names(&["a", "b", "c", "d"]), names(&["a", "b"]));
    let mut history = History::default();
    history.sent(&two, &have(&four).changes_to(&two), start);
    let (now, one) = (have(&two), names(&["a"]));
    let both = [removal(1, 2), removal(3, 4)];
    assert_eq!(removals(&now, &one, &history), both);
    // Nobody goes now.
    assert_eq!(
        removals(&now, &names(&["a", "b", "e"]), &history),
        [removal(0, 2)]
    );
    let mut later = history.clone();
    later.forget_before(start + std::time::Duration::from_secs(1));
    assert_eq!(removals(&now, &one, &later), [removal(1, 2)]);
    let mut found = history.clone();
    let sees = |history: &mut History, observed: &Observed| match observed {
        Observed::Present(present) => history.seen(&present.environments, start),
        _ => unreachable!(),
    };
    sees(&mut found, &now);
    assert_eq!(removals(&now, &one, &found), both, "it is as it was sent");
    let other = have(&names(&["a", "b", "x"]));
    sees(&mut found, &other);
    assert_eq!(removals(&other, &two, &found), [removal(1, 3)]);
    // An update that may have been done is ours, whatever is found.
    history.may_have(&one);
    sees(&mut history, &have(&one));
    assert_eq!(
        removals(&have(&one), &Users::default(), &history),
        [removal(1, 1), removal(2, 2), removal(4, 4)]
    );
}

#[test]
fn users_who_replace_each_other_are_counted_against_those_who_had_the_toggle_at_the_same_time() {
    let start = Instant::now();
    let sets = ["a", "b", "c"].map(|key| names(&[key]));
    let mut history = History::default();
    for pair in sets.windows(2) {
        history.sent(&pair[1], &have(&pair[0]).changes_to(&pair[1]), start);
    }
    let more = names(&["c", "d", "e", "f"]);
    history.sent(&more, &have(&sets[2]).changes_to(&more), start);
    assert_eq!(
        removals(&have(&more), &names(&["c", "d", "e"]), &history),
        [removal(1, 4), removal(1, 1), removal(1, 1)]
    );
}

#[test]
fn each_environment_has_a_past_of_its_own() {
    let start = Instant::now();
    let before = observed(&[(Some(&["a", "b", "c", "d"]), None), (Some(&["a"]), None)]);
    let two = names(&["a", "b"]);
    let mut history = History::default();
    history.sent(&two, &before.changes_to(&two), start);
    let now = observed(&[(Some(&["a", "b"]), None), (Some(&["a", "b"]), None)]);
    assert_eq!(
        removals(&now, &names(&["a"]), &history),
        [removal(1, 2), removal(3, 4), removal(1, 2)]
    );
}

proptest! {
    #[test]
    fn applying_a_plan_and_planning_again_gives_an_empty_plan(
        desired in prop::collection::vec("[a-d]", 0..4),
        observed in prop::collection::vec("[a-d]", 0..4),
        exists: bool, described: bool, known: bool, in_order: bool,
    ) {
        let desired = names(&desired);
        let truth = if exists { present(described, &observed, in_order) } else { Observed::Absent };
        let mut observed = if known { truth.clone() } else { Observed::Unknown };
        let mut steps = 0;
        let mut truth = truth;
        while let Some(step) = observed.steps(Some(&desired), true).first() {
            truth = apply(*step, &truth, &desired);
            observed = truth.clone();
            steps += 1;
            prop_assert!(steps <= 3, "at most read, create or describe, and update");
        }
        let change = Change::of_all(&truth.changes_to(&desired));
        prop_assert_eq!(change.as_deref(), Some(&Change::default()));
        prop_assert_eq!(observed.steps(Some(&desired), true), []);
    }
}
