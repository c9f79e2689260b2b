//! A reload: what the engine of a new configuration knows, and what it waits for.

use super::*;

/// The bench of the next configuration, which has started; and the one before it, retired.
pub(super) fn reload(mut old: Bench, config: Config) -> (Bench, Bench) {
    let config = Arc::new(config);
    let readable = old.engine.targets[0].terms.readable;
    let terms = target_terms(readable, &vec![None; config.toggles.len()]);
    let terms = with_sources(&config, terms);
    let engine = old.engine.succeed(config, Mode::Serve, terms, old.now);
    old.engine.retire(&engine);
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
    next.done(Done::Query(0, Ok(users(&[]))));
    next.done(Done::Query(1, Ok(users(&["ann"]))));
    assert_eq!(next.jobs(), ["update 1 ann"]);
    // The watch goes on where it was.
    next.done(applied(1, Ok(())));
    next.millis(30_000);
    assert_eq!(next.jobs(), ["watch 0"]);
}

#[test]
fn the_end_of_a_request_that_nobody_waits_for_is_no_news() {
    let (_, mut next) = reload(in_step(), config(vec![opal()], &[0, 0]));
    next.jobs();
    next.done(Done::Query(0, Ok(users(&["ann"]))));
    assert_eq!(next.jobs(), ["update 0 ann"]);
    next.handle(Event::Ended(0, Part::Environment(0)));
    next.callback(0);
    next.done(Done::Query(0, Ok(users(&["eve"]))));
    let jobs = next.jobs();
    assert!(
        !jobs.iter().any(|job| job.starts_with("update 0")),
        "{jobs:?}"
    );
}

#[test]
fn a_wait_that_the_target_asked_for_is_kept() {
    let mut before = in_step();
    before.callback(0);
    before.jobs();
    before.done(Done::Query(0, Ok(users(&["ann"]))));
    before.jobs();
    let pause = Some(Duration::from_secs(20));
    let failure = failure(Kind::Status(503)).pausing(pause);
    before.done(applied(0, Err(failure)));
    before.millis(5000);
    let (_, mut next) = reload(before, config(vec![opal()], &[0, 0]));
    next.jobs();
    next.done(Done::Query(0, Ok(users(&["eve"]))));
    next.millis(14_999);
    assert!(!next.jobs().contains(&"read 0".to_owned()));
    next.millis(1);
    assert!(next.jobs().contains(&"read 0".to_owned()));
}

/// The configuration of two targets with a toggle each, of the same key; these are their addresses.
fn at(addresses: [&str; 2]) -> Config {
    let mut config = config(vec![opal()], &[0, 0]);
    config.toggles[1].key = config.toggles[0].key.clone();
    config.toggles[1].target = 1;
    let target = |(id, url): (usize, &str)| {
        let mut target = config.targets[0].clone();
        target.id = format!("target-{id}");
        let url = Setting::Address(address(url));
        target.settings.set("endpoint_url", url);
        target
    };
    config.targets = addresses.into_iter().enumerate().map(target).collect();
    config
}

#[test]
fn two_targets_that_swap_their_ids_are_the_same_ones() {
    let terms = |config: &Config| {
        let all = target_terms(true, &[None, None]);
        let terms = |id: usize| TargetTerms {
            toggles: all
                .toggles
                .clone()
                .into_iter()
                .filter(|it| it.0 == id)
                .collect(),
            ..all.clone()
        };
        with_targets(config, vec![terms(0), terms(1)])
    };
    let (here, there) = ("http://here", "http://there");
    let before = Arc::new(at([here, there]));
    let now = Instant::now();
    let old = Engine::new(Arc::clone(&before), Mode::Serve, terms(&before));
    let after = Arc::new(at([there, here]));
    let next = old.succeed(Arc::clone(&after), Mode::Serve, terms(&after), now);
    assert_eq!(
        next.counterpart(&old, 0, Part::Whole),
        Some((1, Part::Whole))
    );
    assert_eq!(
        next.counterpart(&old, 1, Part::Whole),
        Some((0, Part::Whole))
    );
}

#[test]
fn a_new_environment_of_a_target_that_cannot_be_read_gets_its_users() {
    let in_both = |names: &[&str]| TargetTerms {
        toggles: [(
            0,
            ToggleTerms {
                batch: None,
                environments: names.iter().map(ToString::to_string).collect(),
            },
        )]
        .into(),
        ..target_terms(false, &[])
    };
    let same = || config(vec![opal()], &[0]);
    let mut before = Bench::with_terms(same(), Mode::Serve, in_both(&["test"]));
    before.settle(false);
    let terms = with_sources(&same(), in_both(&["production", "test"]));
    let engine = before
        .engine
        .succeed(Arc::new(same()), Mode::Serve, terms, before.now);
    let mut next = Bench {
        engine,
        now: before.now,
    };
    next.engine.start(next.moment());
    assert_eq!(next.jobs(), ["query 0"]);
    next.done(Done::Query(0, Ok(users(&[]))));
    assert_eq!(next.jobs(), ["update 0 "]);
}
