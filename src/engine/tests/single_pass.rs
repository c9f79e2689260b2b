//! `sync --once` and `--dry-run`.

use super::super::{Outcome, Sent};
use super::*;
use crate::users::Change;

fn once(dry_run: bool, readable: bool) -> Bench {
    let now = Instant::now();
    let until = now + Duration::from_secs(60);
    let mode = Mode::Once {
        until,
        dry_run,
        force: false,
    };
    Bench::started_at(now, config(vec![opa()], &[0]), mode, readable)
}

/// What was done, or would be, and how many users there are then.
fn done(bench: &Bench) -> (Outcome, usize) {
    let (outcome, result) = bench.engine.outcome(0);
    (outcome, result.unwrap())
}

#[test]
fn a_single_pass_ends_when_everything_is_in_sync() {
    let mut bench = once(false, true);
    assert_eq!(bench.jobs(), ["query 0", "read 0"]);
    bench.done(Done::Query(0, Ok(users(&["bob", "eve"]))));
    bench.done(read(0, Ok(present(&["eve", "zoe"]))));
    assert!(!bench.engine.is_finished());
    assert_eq!(bench.jobs(), ["query 0"]);
    assert!(!bench.engine.is_finished());
    bench.done(Done::Query(0, Ok(users(&["bob", "eve"]))));
    assert_eq!(bench.jobs(), ["update 0 bob eve"]);
    bench.done(applied(0, Ok(())));
    assert!(bench.engine.is_finished());
    let change = Change {
        added: users(&["bob"]),
        removed: users(&["zoe"]),
    };
    let outcome = Outcome {
        sent: Sent::Change(Arc::new(change)),
        ..Outcome::default()
    };
    assert_eq!(done(&bench), (outcome, 2));
}

#[test]
fn a_dry_run_reads_and_does_nothing_else() {
    let mut bench = once(true, true);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["eve"]))));
    bench.done(read(0, Ok(Observed::Absent)));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    assert!(bench.engine.is_finished());
    let (outcome, count) = done(&bench);
    assert!(outcome.created && matches!(outcome.sent, Sent::Change(_)) && count == 1);

    let mut blind = once(true, false);
    assert_eq!(blind.jobs(), ["query 0"]);
    blind.done(Done::Query(0, Ok(users(&["eve"]))));
    assert!(blind.engine.is_finished());
    assert_eq!(done(&blind).0.sent, Sent::Whole);
}

#[test]
fn what_will_not_pass_by_itself_fails_at_once() {
    let mut bench = once(false, true);
    bench.jobs();
    bench.done(read(0, Ok(present(&["eve"]))));
    bench.done(Done::Query(0, Err(failure(Kind::Undefined))));
    assert!(bench.engine.is_finished());
    let troubles = bench.engine.outcome(0).1.unwrap_err();
    assert_eq!(troubles[0].failure.kind, Kind::Undefined);
}

#[test]
fn what_may_pass_is_retried_until_the_timeout_and_not_later() {
    let mut bench = once(false, true);
    bench.jobs();
    bench.done(read(0, Ok(present(&["eve"]))));
    let mut queries = 1;
    bench.done(Done::Query(0, Err(failure(Kind::Refused))));
    while !bench.engine.is_finished() {
        bench.millis(500);
        if bench.jobs() == ["query 0"] {
            queries += 1;
            bench.done(Done::Query(0, Err(failure(Kind::Refused))));
        }
    }
    // At 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 and 47.5 s; the next would be at 63.5 s.
    assert_eq!(queries, 8);
}

#[test]
fn a_pause_beyond_the_timeout_ends_the_pass() {
    let mut bench = once(false, false);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["eve"]))));
    let busy = failure(Kind::Status(429)).pausing(Some(Duration::from_secs(90)));
    bench.done(created(0, Err(busy)));
    assert!(bench.engine.is_finished());
    assert!(bench.engine.outcome(0).1.is_err());
}

#[test]
fn a_source_that_cannot_be_discovered_fails_its_toggles() {
    let now = Instant::now();
    let mode = Mode::Once {
        until: now,
        dry_run: false,
        force: false,
    };
    let mut bench = Bench::started_at(now, config(vec![opal()], &[0]), mode, true);
    bench.jobs();
    bench.done(read(0, Ok(present(&["eve"]))));
    bench.done(Done::Discover(0, Err(failure(Kind::Refused))));
    assert!(bench.engine.is_finished());
    assert!(!bench.engine.outcome(0).1.unwrap_err().is_empty());
}

#[test]
fn a_toggle_that_has_failed_for_good_does_not_wait_for_its_other_half() {
    let refused = || failure(Kind::Refused);
    let halves = |query, create| {
        let mut bench = once(false, false);
        assert_eq!(bench.jobs(), ["query 0", "create 0"]);
        bench.done(Done::Query(0, Err(query)));
        assert!(
            !bench.engine.is_finished(),
            "what is in flight is waited for"
        );
        bench.done(created(0, Err(create)));
        bench
    };
    let bench = halves(failure(Kind::Undefined), refused());
    assert!(bench.engine.is_finished());
    let bench = halves(refused(), failure(Kind::Status(403)));
    assert!(bench.engine.is_finished());
    let troubles = bench.engine.outcome(0).1.unwrap_err();
    assert_eq!(troubles.len(), 2, "both are told");
    assert!(!halves(refused(), refused()).engine.is_finished());
}

#[test]
fn a_toggle_that_has_failed_for_good_does_not_wait_for_a_source_that_is_tried_again() {
    let now = Instant::now();
    let mode = Mode::Once {
        until: now + Duration::from_secs(60),
        dry_run: false,
        force: false,
    };
    let mut bench = Bench::started_at(now, config(vec![opal()], &[0]), mode, true);
    bench.jobs();
    bench.done(read(0, Err(failure(Kind::Status(401)))));
    assert!(!bench.engine.is_finished());
    bench.done(Done::Discover(0, Err(failure(Kind::Refused))));
    assert!(bench.engine.is_finished());
}
