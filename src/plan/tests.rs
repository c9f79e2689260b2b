use proptest::prelude::*;

use super::*;

fn users(keys: &[String]) -> Arc<Users> {
    Arc::new(keys.iter().map(String::as_str).collect())
}

/// What a target that does as it is told holds after a step.
fn apply(step: Step, truth: &There, wanted: &Arc<Users>) -> There {
    match step {
        Step::Read => truth.clone(),
        Step::Create => present(true, &[], false),
        Step::Describe => {
            let mut truth = truth.clone();
            if let There::Present(present) = &mut truth {
                present.described = true;
            }
            truth
        }
        Step::Update => {
            let mut truth = truth.clone();
            truth.set_users(wanted);
            truth
        }
    }
}

fn present(described: bool, keys: &[String], in_order: bool) -> There {
    let environment = Environment {
        users: Some(users(keys)),
        in_order,
    };
    let other = Environment::of(Arc::default());
    There::Present(Present {
        described,
        environments: vec![environment, other],
        memo: Memo::default(),
    })
}

fn plain(described: bool, keys: &[String]) -> There {
    There::Present(Present::plain(described, Some(users(keys))))
}

#[test]
fn without_users_a_toggle_is_created_and_described_but_its_users_are_left_alone() {
    assert_eq!(There::Unknown.next_step(None, true), Some(Step::Read));
    assert_eq!(There::Unknown.next_step(None, false), Some(Step::Create));
    assert_eq!(There::Absent.next_step(None, true), Some(Step::Create));
    let eve = ["eve".to_owned()];
    assert_eq!(
        plain(false, &eve).next_step(None, true),
        Some(Step::Describe)
    );
    assert_eq!(plain(true, &eve).next_step(None, true), None);
}

#[test]
fn after_a_lost_request_what_can_be_read_is_read_and_the_rest_is_sent_again() {
    let wanted = users(&["eve".to_owned()]);
    let mut readable = plain(true, &["eve".to_owned()]);
    readable.forget_users(true);
    assert_eq!(readable.next_step(Some(&wanted), true), Some(Step::Read));

    let mut blind = plain(true, &["eve".to_owned()]);
    blind.forget_users(false);
    assert_eq!(blind.next_step(Some(&wanted), false), Some(Step::Update));
}

#[test]
fn a_resync_of_what_cannot_be_read_sends_metadata_and_users_again() {
    let mut blind = plain(true, &[]);
    blind.forget(false);
    assert_eq!(blind, There::Present(Present::plain(false, None)));
}

#[test]
fn whoever_comes_or_goes_in_any_environment_counts_once() {
    let names = |names: &[&str]| -> Users { names.iter().copied().collect() };
    let environment = |keys: &[&str]| Environment::of(Arc::new(names(keys)));
    let mut there = Present {
        environments: vec![environment(&["a", "x"]), environment(&["a", "b", "y"])],
        ..Present::plain(true, None)
    };
    let change = Change {
        added: names(&["b", "c"]),
        removed: names(&["x", "y"]),
    };
    let wanted = names(&["a", "b", "c"]);
    assert_eq!(
        There::Present(there.clone()).change_to(&wanted),
        Some(change)
    );
    there.environments[1].users = None;
    assert_eq!(There::Present(there).change_to(&wanted), None);
}

#[test]
fn what_would_be_removed_is_told_for_each_environment_in_which_it_is_known_who_has_the_toggle() {
    let names = |names: &[&str]| -> Users { names.iter().copied().collect() };
    let there = |users: &[Option<&[&str]>]| {
        let environments = users.iter().map(|users| Environment {
            users: users.map(|users| Arc::new(names(users))),
            in_order: true,
        });
        There::Present(Present {
            environments: environments.collect(),
            ..Present::plain(true, None)
        })
    };
    let removal = |removed, of| Some(Removal { removed, of });
    let wanted = names(&["a", "z"]);
    let known = there(&[Some(&["a", "b", "c"]), None, Some(&[])]);
    let all = [removal(2, 3), None, removal(0, 0)];
    assert_eq!(known.removals(&wanted, None), all);
    let last = names(&["a", "y"]);
    let all = [removal(2, 3), removal(1, 2), removal(0, 0)];
    assert_eq!(known.removals(&wanted, Some(&last)), all);
    assert_eq!(
        There::Unknown.removals(&wanted, Some(&last)),
        [removal(1, 2)]
    );
    assert_eq!(There::Absent.removals(&wanted, None), [None]);
}

proptest! {
    #[test]
    fn applying_a_plan_and_planning_again_gives_an_empty_plan(
        wanted in prop::collection::vec("[a-d]", 0..4),
        there in prop::collection::vec("[a-d]", 0..4),
        exists: bool, described: bool, known: bool, in_order: bool,
    ) {
        let wanted = users(&wanted);
        let truth = if exists { present(described, &there, in_order) } else { There::Absent };
        let mut there = if known { truth.clone() } else { There::Unknown };
        let mut steps = 0;
        let mut truth = truth;
        while let Some(step) = there.next_step(Some(&wanted), true) {
            truth = apply(step, &truth, &wanted);
            there = truth.clone();
            steps += 1;
            prop_assert!(steps <= 3, "at most read, create or describe, and update");
        }
        prop_assert_eq!(truth.change_to(&wanted), Some(Change::default()));
        prop_assert_eq!(there.next_step(Some(&wanted), true), None);
    }
}
