//! A reload: what the engine of a new configuration knows, and what it waits for.

use super::*;

/// The bench of the next configuration, which has started; and the one before it, retired.
pub(super) fn reload(old: Bench, config: Config) -> (Bench, Bench) {
    let readable = old.engine.targets[0].terms.readable;
    let terms = target_terms(readable, &vec![None; config.toggles.len()]);
    reload_with(old, config, terms)
}

/// The same, with these terms of the target.
pub(super) fn reload_with(mut old: Bench, config: Config, terms: TargetTerms) -> (Bench, Bench) {
    let config = Arc::new(config);
    let terms = with_sources(&config, terms);
    let mut engine = old.engine.succeed(config, Mode::Serve, terms);
    old.engine.hand_over(&mut engine);
    let mut next = Bench {
        engine,
        now: old.now,
    };
    next.engine.start(next.moment());
    (old, next)
}

/// One OPAL source, and two toggles that are in sync with nobody.
fn in_step() -> Bench {
    Bench::settled(config(vec![opal()], &[0, 0]), true)
}

#[test]
fn what_is_the_same_is_not_asked_again_but_for_its_users() {
    let (mut old, mut next) = reload(in_step(), config(vec![opal()], &[0, 0]));
    assert_eq!(old.jobs(), [""; 0]);
    assert!(old.engine.is_idle() && next.engine.is_started());
    assert_eq!(next.jobs(), ["query 0", "query 1"]);
    next.done(Done::Query(0, Ok(users(&[]).into())));
    next.done(Done::Query(1, Ok(users(&["ann"]).into())));
    assert_eq!(next.jobs(), ["update 1 ann"]);
    next.done(applied(1, Ok(())));
    next.millis(30_000);
    assert_eq!(
        next.jobs(),
        ["watch 0", "read 0", "read 1"],
        "once after the start"
    );
    next.done(read(0, Ok(present(&[]))));
    next.done(read(1, Ok(present(&["ann"]))));
    next.wait(Duration::from_secs(300));
    assert!(next.jobs().contains(&"read 0".to_owned()));
    let (_, mut last) = reload(next, config(vec![opal()], &[0, 0]));
    assert!(last.jobs().contains(&"read 0".to_owned()));
}

#[test]
fn a_wait_that_the_target_asked_for_is_kept() {
    let mut before = in_step();
    before.callback(0);
    before.jobs();
    before.done(Done::Query(0, Ok(users(&["ann"]).into())));
    before.jobs();
    let pause = Some(Duration::from_secs(20));
    let failure = failure(Kind::Status(503)).pausing(pause);
    before.done(applied(0, Err(failure)));
    before.millis(5000);
    let (_, mut next) = reload(before, config(vec![opal()], &[0, 0]));
    next.jobs();
    next.done(Done::Query(0, Ok(users(&["eve"]).into())));
    next.millis(14_999);
    assert!(!next.jobs().contains(&"read 0".to_owned()));
    next.millis(1);
    assert!(next.jobs().contains(&"read 0".to_owned()));
}

#[test]
fn a_wait_that_opal_asked_for_is_kept() {
    let mut before = Bench::serve(config(vec![opal()], &[0]));
    assert_eq!(before.jobs(), ["discover 0", "read 0"]);
    let pause = Some(Duration::from_secs(20));
    let failure = failure(Kind::Status(503)).pausing(pause);
    before.done(Done::Discover(0, Err(failure)));
    let (_, mut next) = reload(before, config(vec![opal()], &[0]));
    next.millis(19_999);
    assert!(!next.jobs().contains(&"discover 0".to_owned()));
    next.millis(1);
    assert_eq!(next.jobs(), ["discover 0"]);
}

/// The jobs of each try of a failing request, in many reloads within a moment, and half a second later.
fn tries(mut bench: Bench, request: &str) -> Vec<Vec<String>> {
    let mut tries = Vec::new();
    let mut try_all = |bench: &mut Bench| {
        let is_failing = |job: &&String| job.starts_with(request);
        let jobs = bench.answer(|job| match job.split_once(' ')? {
            ("discover", _) if request != "discover" => Some(Done::Discover(0, Ok(access()))),
            ("register", _) => Some(Done::Register(0, Ok(()))),
            ("query", _) if request != "query" => Some(Done::Query(0, Ok(users(&["ann"]).into()))),
            ("read", _) => Some(read(0, Ok(present(&[])))),
            _ => None,
        });
        let failure = || failure(Kind::Status(500));
        match jobs.iter().find(is_failing).map(|_| request) {
            Some("discover") => bench.done(Done::Discover(0, Err(failure()))),
            Some("query") => bench.done(Done::Query(0, Err(failure()))),
            Some(_) => bench.done(applied(0, Err(failure()))),
            None => {}
        }
        tries.push(jobs);
    };
    try_all(&mut bench);
    for _ in 0..9 {
        (_, bench) = reload(bench, config(vec![opal()], &[0]));
        bench.millis(1);
        try_all(&mut bench);
    }
    bench.millis(500);
    try_all(&mut bench);
    tries
}

#[test]
fn each_of_many_reloads_tries_again_at_once_and_none_lengthens_the_wait() {
    for request in ["discover", "query", "update"] {
        let bench = Bench::serve(config(vec![opal()], &[0]));
        let tries = tries(bench, request);
        let had = |jobs: &&Vec<String>| jobs.iter().any(|job| job.starts_with(request));
        assert_eq!(tries.iter().filter(had).count(), 11, "{request}: {tries:?}");
    }
}
