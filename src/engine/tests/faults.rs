//! What faults and odd answers of the others must not do.

use super::*;

/// The longest pause that a remote can ask for: a jump of the wall clock looks like one, too.
const AGES: Duration = Duration::from_secs(u64::MAX);

fn pausing(kind: Kind) -> Failure {
    failure(kind).pausing(Some(AGES))
}

/// A daemon of one OPAL source, with one toggle that is in sync with nobody.
fn registered() -> Bench {
    let config = Config {
        resync_interval: None,
        ..config(vec![opal()], &[0])
    };
    Bench::settled(config, false)
}

fn lasting(seconds: f64) -> Origin {
    Origin::Opa(Access {
        expires_in: Duration::try_from_secs_f64(seconds).ok(),
        ..Access::bearer(address("http://opa:8181"), None)
    })
}

#[test]
fn a_pause_without_end_narrows_a_target_that_counts_requests_for_five_minutes() {
    let mut bench = Bench::reading(4, &[None; 3]);
    let reads = |jobs: Vec<String>| jobs.iter().filter(|job| job.starts_with("read")).count();
    assert_eq!(reads(bench.jobs()), 3);
    bench.done(read(0, Err(pausing(Kind::Status(429)))));
    for toggle in [1, 2] {
        bench.done(read(toggle, Err(failure(Kind::Status(500)))));
    }
    bench.millis(299_999);
    assert_eq!(reads(bench.jobs()), 0);
    bench.millis(1);
    assert_eq!(reads(bench.jobs()), 3, "and not one at a time for ages");
}

#[test]
fn an_authorization_is_renewed_neither_in_a_loop_nor_never_whatever_its_lifetime() {
    for (lifetime, renewed) in [(0.0, 1000), (1e19, 86_400_000 * 9 / 10)] {
        let mut bench = registered();
        bench.callback(0);
        assert_eq!(bench.jobs(), ["query 0"]);
        bench.done(Done::Query(0, Err(failure(Kind::Status(401)))));
        assert_eq!(bench.jobs(), ["discover 0"]);
        bench.done(Done::Discover(0, Ok(lasting(lifetime))));
        let discovers = |jobs: Vec<String>| jobs.contains(&"discover 0".to_owned());
        bench.millis(renewed - 1);
        assert!(!discovers(bench.jobs()), "{lifetime} is renewed too early");
        bench.millis(1);
        assert!(discovers(bench.jobs()), "{lifetime} is not renewed");
    }
}

#[test]
fn opal_is_asked_for_opa_where_somebody_else_answers_at_its_address() {
    for kind in [
        Kind::Refused,
        Kind::Status(302),
        Kind::Status(404),
        Kind::Answer,
    ] {
        let mut bench = registered();
        bench.callback(0);
        assert_eq!(bench.jobs(), ["query 0"]);
        bench.done(Done::Query(0, Err(failure(kind))));
        assert_eq!(bench.jobs(), ["discover 0"], "{kind:?}");
        bench.done(Done::Discover(0, Ok(opa_at("http://other:8181"))));
        assert_eq!(bench.jobs(), ["query 0"]);
    }
}

#[test]
fn nothing_but_the_farewell_is_sent_after_the_stop() {
    let mut bench = registered();
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.handle(Event::Stop);
    assert_eq!(bench.jobs(), ["leave 0"]);
    // A failure of this kind has OPAL asked where OPA is.
    bench.done(Done::Query(0, Err(failure(Kind::Refused))));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.millis(60_000);
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.done(Done::Leave(0, Ok(())));
    assert!(bench.engine.is_idle());
}

#[test]
fn a_registration_is_not_made_once_it_is_leaving() {
    let mut bench = Bench::serve(config(vec![opal()], &[0]));
    bench.jobs();
    bench.done(Done::Discover(0, Ok(access())));
    assert_eq!(bench.jobs(), ["register 0"]);
    bench.done(Done::Register(0, Err(failure(Kind::Status(500)))));
    bench.handle(Event::Stop);
    assert_eq!(bench.jobs(), ["leave 0"]);
    bench.millis(60_000);
    assert_eq!(bench.jobs(), Vec::<String>::new());
}
