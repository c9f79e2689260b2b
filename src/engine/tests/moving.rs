//! An OPA that is not where it was.

use super::connecting::{connected, waiting_opal};
use super::*;

#[test]
fn what_another_opa_answers_after_the_source_has_moved_is_never_applied() {
    for old in [Ok(users(&["mallory"])), Err(failure(Kind::Lost))] {
        let mut bench = Bench::settled(config(vec![opal()], &[0, 0]), true);
        bench.callback(0);
        assert_eq!(bench.jobs(), ["query 0", "query 1"]);
        bench.done(Done::Query(0, Err(failure(Kind::Refused))));
        assert_eq!(bench.jobs(), ["discover 0"]);
        bench.done(Done::Discover(0, Ok(opa_at("http://other:8181"))));
        bench.millis(25);
        assert_eq!(bench.jobs(), ["query 0"]);
        bench.done(Done::Query(1, old.map(Into::into)));
        assert_eq!(bench.jobs(), ["query 1"], "it is asked where it is now");
        bench.done(Done::Query(1, Ok(users(&[]).into())));
        bench.done(Done::Query(0, Ok(users(&[]).into())));
        assert_eq!(bench.jobs(), Vec::<String>::new());
        assert!(!bench.is_failing());
    }
}

#[test]
fn another_opa_is_not_believed_to_be_ready_because_the_one_before_was() {
    let mut bench = connected(waiting_opal());
    assert_eq!(bench.jobs(), ["ready 0"]);
    bench.millis(30_000);
    assert_eq!(bench.jobs(), ["watch 0"]);
    bench.done(Done::Watch(0, Ok(false)));
    assert_eq!(bench.jobs(), ["discover 0"]);
    bench.done(Done::Discover(0, Ok(opa_at("http://other:8181"))));
    bench.done(Done::Ready(0, Ok(ready(Some(true)))));
    assert_eq!(bench.jobs(), ["register 0", "ready 0"]);
}

#[test]
fn an_opa_that_stays_away_is_not_looked_for_at_every_query() {
    let config = config(vec![opal()], &[0; 50]);
    let mut bench = Bench::serve(Config {
        concurrency: 50,
        ..config
    });
    bench.connect();
    bench.jobs();
    let mut discoveries = 0;
    for id in 0..50 {
        bench.done(Done::Query(id, Err(failure(Kind::Refused))));
        if bench.jobs().contains(&"discover 0".to_owned()) {
            discoveries += 1;
            bench.done(Done::Discover(0, Ok(access())));
        }
    }
    assert_eq!(discoveries, 1);
}
