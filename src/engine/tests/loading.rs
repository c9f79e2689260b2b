use super::super::loading::{Loading, PROOF, Verdict};
use super::*;
use crate::job::{Load, Writes};

fn evidence(process: Option<&str>, says: Option<bool>, writes: Option<(u64, u64)>) -> Evidence {
    Evidence {
        process: process.map(str::to_owned),
        says,
        writes: writes.map(|(data, lists)| Writes {
            data,
            policies: 1,
            lists,
        }),
    }
}

/// An OPA that has loaded everything.
fn loaded(process: Option<&str>) -> (Loading, Instant) {
    let (mut loading, now) = (Loading::default(), Instant::now());
    let told = evidence(process, None, Some((10, 1)));
    assert_eq!(loading.judge(&told, now), Verdict::Ready);
    (loading, now)
}

#[test]
fn an_opa_without_data_is_not_ready_whatever_its_health_policy_says() {
    for says in [None, Some(true), Some(false)] {
        let (mut loading, now) = (Loading::default(), Instant::now());
        let empty = evidence(Some("a"), says, Some((0, 1)));
        assert_eq!(loading.judge(&empty, now), Verdict::NotReady);
        assert_eq!(loading.judge(&empty, now), Verdict::NotReady);
        let full = evidence(Some("a"), Some(true), Some((1, 1)));
        assert_eq!(loading.judge(&full, now), Verdict::Ready);
    }
}

#[test]
fn a_failure_to_tell_is_no_answer_once_it_has_told() {
    let (mut loading, now) = loaded(None);
    let silent = evidence(None, Some(true), None);
    assert_eq!(loading.judge(&silent, now), Verdict::Silent);
    let (mut loading, now) = self::loaded(Some("a"));
    assert_eq!(loading.judge(&silent, now), Verdict::Silent);
    let another = evidence(Some("b"), Some(true), None);
    assert_eq!(loading.judge(&another, now), Verdict::Silent);
    // At another address is another OPA.
    loading.moved();
    assert_eq!(loading.judge(&another, now), Verdict::Restarted);
}

#[test]
fn a_restarted_opa_is_ready_after_two_whole_loads_and_no_number_of_single_changes() {
    for (before, after) in [(Some("a"), Some("b")), (None, None)] {
        let (mut loading, now) = loaded(before);
        let told = |data| evidence(after, Some(true), Some((data, 2)));
        let first = evidence(after, Some(true), Some((1, 0)));
        assert_eq!(loading.judge(&first, now), Verdict::Restarted);
        assert_eq!(loading.judge(&told(9), now), Verdict::NotReady);
        for load in [Load::Policy, Load::Data, Load::Data, Load::Nothing] {
            assert!(loading.wants_load());
            loading.reported(load);
            assert_eq!(loading.judge(&told(9), now), Verdict::NotReady);
        }
        loading.reported(Load::Policy);
        assert!(!loading.wants_load());
        assert_eq!(loading.judge(&told(9), now), Verdict::Ready);
        assert_eq!(loading.judge(&told(10), now), Verdict::Ready);
    }
}

#[test]
fn an_opa_that_is_restarted_again_meanwhile_needs_one_load_more() {
    let (mut loading, now) = loaded(Some("a"));
    let told = |process| evidence(Some(process), None, Some((5, 3)));
    let new = |process| evidence(Some(process), None, Some((5, 0)));
    assert_eq!(loading.judge(&new("b"), now), Verdict::Restarted);
    assert_eq!(loading.judge(&new("c"), now), Verdict::Restarted);
    for _ in 0..3 {
        assert_eq!(loading.judge(&told("c"), now), Verdict::NotReady);
        loading.reported(Load::Data);
        loading.reported(Load::Policy);
    }
    assert_eq!(loading.judge(&told("c"), now), Verdict::Ready);
    assert_eq!(
        loading.judge(&told("a"), now),
        Verdict::Ready,
        "it was known"
    );
}

#[test]
fn where_no_proof_comes_the_removal_limit_has_to_do_after_a_minute() {
    let (mut loading, now) = loaded(Some("a"));
    let told = evidence(Some("b"), None, Some((5, 1)));
    loading.reported(Load::Periodic);
    assert_eq!(loading.judge(&told, now), Verdict::Restarted);
    for load in [Load::Data, Load::Data, Load::Policy, Load::Policy] {
        loading.reported(load);
    }
    assert_eq!(
        loading.judge(&told, now),
        Verdict::NotReady,
        "entries are loaded apart"
    );
    assert!(!loading.is_unproven(now));
    let later = now + PROOF;
    assert!(loading.is_unproven(later));
    assert_eq!(loading.judge(&told, later), Verdict::Unproven);
}

#[test]
fn reports_of_loads_into_the_process_before_prove_nothing() {
    let (mut loading, now) = loaded(Some("a"));
    let told = |lists| evidence(Some("b"), Some(true), Some((5, lists)));
    assert_eq!(loading.judge(&told(0), now), Verdict::Restarted);
    for load in [Load::Data, Load::Data, Load::Policy, Load::Policy] {
        loading.reported(load);
    }
    assert_eq!(loading.judge(&told(1), now), Verdict::NotReady);
    assert_eq!(loading.judge(&told(2), now), Verdict::Ready);
}

#[test]
fn processes_that_answer_in_turn_are_not_waited_for_for_ever() {
    let (mut loading, now) = loaded(Some("a"));
    let mut verdicts = Vec::new();
    for second in 0..70 {
        let id = if second % 2 == 0 { "b" } else { "c" };
        let told = evidence(Some(id), Some(true), Some((9, 1)));
        verdicts.push(loading.judge(&told, now + Duration::from_secs(second)));
    }
    let (early, late) = (&verdicts[..60], &verdicts[61..]);
    assert!(early.iter().all(|verdict| *verdict != Verdict::Unproven));
    assert!(late.iter().all(|verdict| *verdict == Verdict::Unproven));
}

#[test]
fn an_opa_that_is_restarted_again_and_again_is_held_each_time() {
    for has_id in [true, false] {
        let (mut loading, now) = loaded(has_id.then_some("a"));
        for restart in 0..9 {
            let id = format!("process {restart}");
            let told = evidence(has_id.then_some(&*id), Some(true), Some((9 - restart, 1)));
            let later = now + Duration::from_secs(20 * restart);
            assert_ne!(loading.judge(&told, later), Verdict::Unproven, "{restart}");
        }
    }
}

#[test]
fn an_opa_that_certainly_lacks_something_is_not_ready_however_long_that_takes() {
    let lacks_data = evidence(Some("b"), Some(true), Some((0, 1)));
    let lacks_policy = evidence(Some("b"), Some(true), Some((3, 0)));
    let says_so = evidence(Some("b"), Some(false), Some((3, 1)));
    for told in [lacks_data, lacks_policy, says_so] {
        let (mut loading, now) = loaded(Some("a"));
        assert_eq!(loading.judge(&told, now), Verdict::Restarted);
        assert_eq!(loading.judge(&told, now + 2 * PROOF), Verdict::NotReady);
    }
}

#[test]
fn an_opal_that_loads_no_data_needs_to_load_none() {
    let (mut loading, now) = (Loading::default(), Instant::now());
    assert_eq!(
        loading.judge(&evidence(Some("a"), Some(true), None), now),
        Verdict::Ready
    );
    let told = evidence(Some("b"), Some(true), Some((0, 2)));
    let new = evidence(Some("b"), Some(true), Some((0, 0)));
    for is_told in [true, false] {
        let mut loading = loading.clone();
        assert_eq!(loading.judge(&new, now), Verdict::Restarted);
        match is_told {
            true => loading.loads_no_data(),
            false => (0..2).for_each(|_| loading.reported(Load::Nothing)),
        }
        (0..2).for_each(|_| loading.reported(Load::Policy));
        assert_eq!(loading.judge(&told, now), Verdict::Ready);
    }
}
