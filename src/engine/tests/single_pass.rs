//! `sync --once`: when a pass is over.

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
