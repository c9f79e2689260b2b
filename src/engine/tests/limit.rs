//! The removal limit.

use super::super::{State, Verdict};
use super::*;
use crate::config::MaxRemoval;

pub(super) fn with_limit(limit: MaxRemoval) -> Config {
    let mut config = config(vec![opa()], &[0]);
    config.toggles[0].max_removal = limit;
    config
}

/// One toggle with a limit, which the target says these have.
fn limited(limit: MaxRemoval, observed: &[&str]) -> Bench {
    let mut bench = Bench::serve(with_limit(limit));
    assert_eq!(bench.jobs(), ["query 0", "read 0"]);
    bench.done(read(0, Ok(present(observed))));
    bench
}

/// What follows when the rule allows these: it is asked again where the target was looked at since.
fn allow(bench: &mut Bench, keys: &[&str]) -> Vec<String> {
    loop {
        bench.done(Done::Query(0, Ok(users(keys).into())));
        let jobs = bench.jobs();
        if jobs != ["query 0"] {
            return jobs;
        }
    }
}

fn state(bench: &Bench) -> State {
    bench.engine.toggle(0).state
}

const HALF: MaxRemoval = MaxRemoval::Percent(50.0);

#[test]
fn what_the_target_has_counts_and_not_what_the_rule_had() {
    let mut bench = limited(MaxRemoval::Users(1), &["a", "b"]);
    allow(&mut bench, &["a", "b"]);
    bench.callback(0);
    bench.jobs();
    assert_eq!(allow(&mut bench, &["a"]), ["update 0 a"]);
    bench.done(applied(0, Ok(())));
    bench.wait(Duration::from_secs(300));
    bench.answer(|job| match job {
        "read 0" => Some(read(0, Ok(present(&["a", "y", "z"])))),
        _ => Some(Done::Query(0, Ok(users(&["a"]).into()))),
    });
    assert_eq!(state(&bench), State::Held);
}

#[test]
fn limits_are_shares_or_numbers_and_an_empty_set_removes_everybody() {
    let observed = ["a", "b", "c", "d"];
    for (limit, desired, held) in [
        (MaxRemoval::Percent(25.0), &["a", "b", "c"][..], false),
        (MaxRemoval::Percent(24.9), &["a", "b", "c"], true),
        (MaxRemoval::Percent(99.0), &[], true),
        (MaxRemoval::Percent(100.0), &[], false),
        (MaxRemoval::Percent(0.0), &["a", "b", "c", "d", "e"], false),
        (MaxRemoval::Users(1), &["a", "b", "c"], false),
        (MaxRemoval::Users(1), &["a", "b"], true),
        (MaxRemoval::Users(3), &[], true),
        (MaxRemoval::Users(4), &[], true),
        (MaxRemoval::Unset, &[], false),
        (MaxRemoval::Off, &[], false),
    ] {
        let mut bench = limited(limit, &observed);
        let jobs = allow(&mut bench, desired);
        assert_eq!(jobs.is_empty(), held, "{limit} {desired:?}");
        assert_eq!(state(&bench) == State::Held, held, "{limit} {desired:?}");
    }
}

/// Whether one pass ends with its toggle held, at a target that finds it like this.
fn is_held_in_the_end(dry_run: bool, found: &Observed, desired: &[&str]) -> bool {
    let mut bench = Bench::new(with_limit(HALF), once(dry_run), *found != Observed::Unknown);
    bench.answer(|job| {
        Some(match job.split(' ').next()? {
            "query" => Done::Query(0, Ok(users(desired).into())),
            "read" => read(0, Ok(found.clone())),
            "create" if *found == Observed::absent() => created(0, Ok(new_toggle(true))),
            "create" => {
                let unread = Present::plain(true, None);
                created(0, Ok(Applied::Found(Observed::Present(unread))))
            }
            "describe" => described(0, Ok(())),
            _ => applied(0, Ok(())),
        })
    });
    assert!(bench.engine.is_finished());
    bench.engine.outcome(0).result == Verdict::Held
}

#[test]
fn a_dry_run_holds_what_a_real_run_holds() {
    let has = |described, keys: &[&str]| {
        let present = Present::plain(described, Some(Arc::new(users(keys))));
        Observed::Present(present)
    };
    let four = ["a", "b", "c", "d"];
    for (found, desired, held) in [
        (has(true, &four), &["a"][..], true),
        (has(false, &four), &["a"], true),
        (has(false, &four), &["a", "b"], false),
        (has(false, &[]), &[], false),
        (Observed::absent(), &[], false),
        (Observed::absent(), &["a"], false),
        (Observed::Unknown, &[], true),
        (Observed::Unknown, &["a"], false),
    ] {
        for dry_run in [false, true] {
            let is_held = is_held_in_the_end(dry_run, &found, desired);
            assert_eq!(is_held, held, "{found:?} {desired:?} dry={dry_run}");
        }
    }
}
