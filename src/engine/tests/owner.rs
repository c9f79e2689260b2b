//! The search for toggles that have left the configuration.

use super::reload::reload_with;
use super::*;
use crate::job::Marked;

/// A target that finds marked toggles.
fn terms(config: &Config) -> TargetTerms {
    TargetTerms {
        finds_marked: true,
        ..target_terms(true, &vec![None; config.toggles.len()])
    }
}

fn bench(mode: Mode) -> Bench {
    let config = config(vec![opa()], &[0]);
    let terms = terms(&config);
    Bench::with_terms(config, mode, terms)
}

/// Answers everything but the search.
fn settle(bench: &mut Bench) -> Vec<String> {
    bench.answer(|job| {
        Some(match job {
            "query 0" => Done::Query(0, Ok(users(&["ann"]).into())),
            "read 0" => read(0, Ok(present(&["ann"]))),
            _ => return None,
        })
    })
}

fn found(keys: &[&str]) -> Done {
    Done::Find(0, Ok(keys.iter().map(|key| Marked::plain(key)).collect()))
}

/// The next engine, for this configuration.
fn go_on(bench: Bench, config: Config) -> Bench {
    let terms = terms(&config);
    reload_with(bench, config, terms).1
}

/// The next engine, if the search has found what this one does not know.
fn retire(bench: &mut Bench) -> Option<Config> {
    bench.engine.take_found()
}

#[test]
fn the_search_comes_after_all_else_and_again_at_each_resync() {
    let mut bench = bench(Mode::Serve);
    assert_eq!(bench.jobs(), ["query 0", "read 0", "find 0"]);
    assert_eq!(settle(&mut bench), [""; 0]);
    bench.done(found(&[]));
    assert!(retire(&mut bench).is_none());
    bench.wait(Duration::from_secs(300));
    assert!(bench.jobs().contains(&"find 0".to_owned()));
}

#[test]
fn a_wait_that_the_target_asks_the_search_for_ends() {
    for mode in [Mode::Serve, once(false)] {
        let mut bench = bench(mode);
        assert_eq!(settle(&mut bench), ["find 0"]);
        let asked = failure(Kind::Status(503)).pausing(Some(Duration::from_secs(20)));
        bench.done(Done::Find(0, Err(asked)));
        bench.millis(19_999);
        let is_search = |job: &String| job == "find 0";
        assert!(!settle(&mut bench).iter().any(is_search));
        assert!(!bench.engine.is_finished());
        bench.millis(1);
        assert!(settle(&mut bench).iter().any(is_search));
        bench.done(found(&[]));
        assert_eq!(bench.engine.is_finished(), mode != Mode::Serve);
    }
}

#[test]
fn what_was_found_is_turned_off_by_the_next_engine_which_does_not_look_again() {
    let mut before = bench(Mode::Serve);
    settle(&mut before);
    before.done(found(&["gone"]));
    let config = retire(&mut before).unwrap();
    assert!(retire(&mut before).is_none());
    let mut next = go_on(before, config);
    assert!(next.engine.is_started());
    let has = |job: &str| match job {
        "query 0" => Some(Done::Query(0, Ok(users(&["ann"]).into()))),
        "read 0" => Some(read(0, Ok(present(&["ann"])))),
        "read 1" => Some(read(1, Ok(present(&["bob"])))),
        "update 1 " => Some(applied(1, Ok(()))),
        _ => None,
    };
    assert_eq!(next.answer(has), [""; 0]);
    assert_eq!(next.engine.toggle(1).state, State::Retired);
    assert_eq!(next.engine.toggle(0).state, State::InSync);
    // At the resync it is looked at again, and is no news.
    next.wait(Duration::from_secs(300));
    assert_eq!(next.answer(has), ["find 0"]);
    next.done(found(&["gone"]));
    assert!(retire(&mut next).is_none());
}

#[test]
fn a_search_that_a_reload_interrupts_is_made_again() {
    // In flight, waiting for a slot, and done for toggles that the reload has forgotten.
    for stage in 0..3 {
        let mut before = bench(Mode::Serve);
        match stage {
            0 => drop(settle(&mut before)),
            1 => {
                let busy = failure(Kind::Status(429)).pausing(Some(Duration::from_secs(5)));
                for job in ["query 0", "read 0"] {
                    let next = before.engine.next_job(before.moment());
                    assert_eq!(short(&next.unwrap()), job);
                }
                before.done(read(0, Err(busy)));
            }
            _ => {
                settle(&mut before);
                before.done(found(&["gone"]));
                let config = retire(&mut before).unwrap();
                before = go_on(before, config);
                before.jobs();
            }
        }
        let mut next = go_on(before, config(vec![opa()], &[0]));
        next.millis(5000);
        let jobs = settle(&mut next);
        assert!(jobs.contains(&"find 0".to_owned()), "{stage}: {jobs:?}");
    }
}
