//! `sync`: when a pass is over.

use super::*;

#[test]
fn a_toggle_that_has_failed_for_good_does_not_wait_for_its_other_half() {
    let refused = || failure(Kind::Refused);
    let halves = |query, create| {
        let mut bench = Bench::new(config(vec![opa()], &[0]), once(false), false);
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
    let troubles = bench.engine.outcome(0).troubles;
    assert_eq!(troubles.len(), 2, "both are told");
    assert!(!halves(refused(), refused()).engine.is_finished());
}

#[test]
fn a_toggle_that_has_failed_for_good_does_not_wait_for_a_source_that_is_tried_again() {
    let mut bench = Bench::new(config(vec![opal()], &[0]), once(false), true);
    bench.jobs();
    bench.done(read(0, Err(failure(Kind::Status(401)))));
    assert!(!bench.engine.is_finished());
    bench.done(Done::Discover(0, Err(failure(Kind::Refused))));
    assert!(bench.engine.is_finished());
}

#[test]
fn a_429_without_a_time_ends_a_pass_that_has_no_time_for_the_window() {
    for (seconds, is_over) in [(9, true), (20, false)] {
        let mode = Mode::Once {
            until: Instant::now() + Duration::from_secs(seconds),
            dry_run: false,
            force: false,
        };
        let mut bench = Bench::new(config(vec![opa()], &[0, 0]), mode, true);
        assert_eq!(bench.jobs(), ["query 0", "query 1", "read 0", "read 1"]);
        bench.done(read(1, Ok(present(&[]))));
        bench.done(read(0, Err(failure(Kind::Status(429)))));
        bench.done(Done::Query(0, Ok(users(&["ann"]).into())));
        bench.done(Done::Query(1, Ok(users(&["ann"]).into())));
        assert_eq!(bench.jobs(), ["query 1"]);
        bench.done(Done::Query(1, Ok(users(&["ann"]).into())));
        bench.millis(9_000);
        assert_eq!(bench.jobs(), [""; 0]);
        assert_eq!(bench.engine.is_finished(), is_over);
    }
}
