//! Rules that toggles share, targets, environments and metadata: none waits for another.

use super::*;
use crate::plan::Environment;

/// The terms of a target that can be read, whose toggles are in so many environments.
fn in_environments(
    toggles: impl IntoIterator<Item = ToggleId>,
    environments: usize,
) -> TargetTerms {
    let names = (0..environments).map(|number| format!("env-{number}"));
    let terms = ToggleTerms {
        batch: None,
        environments: names.collect(),
    };
    TargetTerms {
        toggles: toggles.into_iter().map(|id| (id, terms.clone())).collect(),
        ..target_terms(true, &[])
    }
}

/// A toggle that has these users in each environment; none: the target does not have it there.
fn found(described: bool, environments: &[Option<&[&str]>]) -> Observed {
    let environments = environments.iter().map(|keys| match keys {
        Some(keys) => Ok(Environment::of(Arc::new(users(keys)))),
        None => Err(failure(Kind::Misfit)),
    });
    Observed::Present(Present {
        described,
        environments: environments.collect(),
    })
}

fn updated(environment: usize, result: Result<(), Failure>) -> Done {
    let part = Part::Environment(environment);
    edited(0, part, result.map(|()| Applied::Done))
}

/// A toggle in two environments that eve has in both, and the policy allows her no longer.
fn losing_eve(described: bool) -> Bench {
    let terms = in_environments([0], 2);
    let mut bench = Bench::with_terms(config(vec![opa()], &[0]), Mode::Serve, terms);
    assert_eq!(bench.jobs(), ["query 0", "read 0"]);
    let eve = Some(&["eve"][..]);
    bench.done(Done::Query(0, Ok(users(&[]))));
    bench.done(read(0, Ok(found(described, &[eve, eve]))));
    let again = bench.jobs();
    assert_eq!(
        again[0], "query 0",
        "it was asked before the target was read"
    );
    bench.done(Done::Query(0, Ok(users(&[]))));
    bench
}

fn states(bench: &Bench) -> Vec<State> {
    let environments = bench.engine.toggle(0).environments;
    environments.into_iter().map(|it| it.state).collect()
}

#[test]
fn what_one_environment_refuses_is_told_and_holds_back_no_other() {
    for refuses in [0, 1] {
        let mut bench = losing_eve(true);
        assert_eq!(bench.jobs(), ["update 0 "], "one after the other");
        let refused = failure(Kind::Status(405));
        let answer = |number: usize| match number == refuses {
            true => Err(refused.clone()),
            false => Ok(()),
        };
        bench.done(updated(0, answer(0)));
        assert_eq!(bench.jobs(), ["update 0/1 "]);
        bench.done(updated(1, answer(1)));
        let mut expected = [State::InSync, State::InSync];
        expected[refuses] = State::Failing;
        assert_eq!(states(&bench), expected);
        assert_eq!(bench.engine.toggle(0).state, State::Failing);
        assert_eq!(bench.jobs(), [""; 0]);
        // It is read before it is tried again, and the other is not touched.
        bench.millis(500);
        assert_eq!(bench.jobs(), ["read 0"]);
        let mut has = [Some(&[][..]), Some(&[][..])];
        has[refuses] = Some(&["eve"]);
        bench.done(read(0, Ok(found(true, &has))));
        assert_eq!(bench.jobs(), ["query 0"]);
        bench.done(Done::Query(0, Ok(users(&[]))));
        let again = if refuses == 0 {
            "update 0 "
        } else {
            "update 0/1 "
        };
        assert_eq!(bench.jobs(), [again]);
        bench.done(updated(refuses, Ok(())));
        assert!(!bench.is_failing());
    }
}

#[test]
fn an_environment_that_hangs_is_overtaken() {
    let mut bench = losing_eve(true);
    assert_eq!(bench.jobs(), ["update 0 "]);
    bench.millis(999);
    assert_eq!(bench.jobs(), [""; 0]);
    bench.millis(1);
    assert_eq!(bench.jobs(), ["update 0/1 "]);
    bench.done(updated(1, Ok(())));
    // It is expected to hang again.
    bench.millis(9_000);
    bench.done(updated(0, Err(failure(Kind::Timeout))));
    bench.millis(500);
    assert_eq!(bench.jobs(), ["read 0"]);
    bench.done(read(0, Ok(found(true, &[Some(&["eve"]), Some(&[])]))));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["ann"]))));
    assert_eq!(bench.jobs(), ["update 0 ann", "update 0/1 ann"]);
}

#[test]
fn metadata_that_are_refused_hold_back_no_users() {
    let mut bench = losing_eve(false);
    bench.done(described(0, Err(failure(Kind::Status(403)))));
    assert_eq!(bench.jobs(), ["update 0 "]);
    bench.done(updated(0, Ok(())));
    assert_eq!(bench.jobs(), ["update 0/1 "]);
    bench.done(updated(1, Ok(())));
    assert_eq!(states(&bench), [State::InSync, State::InSync]);
    assert!(bench.is_failing());
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["ann"]))));
    assert_eq!(bench.jobs(), ["update 0 ann"]);
}

#[test]
fn an_environment_that_the_target_does_not_have_fails_by_itself() {
    let terms = in_environments([0], 2);
    let mut bench = Bench::with_terms(config(vec![opa()], &[0]), Mode::Serve, terms);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&[]))));
    bench.done(read(0, Ok(found(true, &[None, Some(&["eve"])]))));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&[]))));
    assert_eq!(
        bench.jobs(),
        ["update 0/1 "],
        "before the other is read again"
    );
    bench.done(updated(1, Ok(())));
    assert_eq!(states(&bench), [State::Failing, State::InSync]);
}

/// Two targets, and a toggle at each; both follow one rule.
fn two_targets() -> Bench {
    let mut both = config(vec![opa()], &[0, 0]);
    both.targets.push(crate::config::Target {
        id: "other".to_owned(),
        ..both.targets[0].clone()
    });
    both.rules.truncate(1);
    both.toggles[1].rule = 0;
    both.toggles[1].target = 1;
    let mut terms = with_sources(&both, in_environments([0], 1));
    terms.targets.push(in_environments([1], 1));
    let config = Arc::new(both);
    let mut bench = Bench {
        engine: Engine::new(Arc::clone(&config), Mode::Serve, terms),
        now: Instant::now(),
    };
    bench.engine.start(bench.moment());
    assert_eq!(bench.jobs(), ["query 0", "read 0", "read 1"]);
    bench.done(Done::Read(0, vec![(0, Ok(found(true, &[Some(&[])])))]));
    bench.done(Done::Read(1, vec![(1, Ok(found(true, &[Some(&[])])))]));
    bench.done(Done::Query(0, Ok(users(&[]))));
    assert_eq!(bench.jobs(), [""; 0]);
    bench
}

#[test]
fn toggles_that_follow_the_same_rule_share_its_query() {
    let mut bench = two_targets();
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["ann"]))));
    assert_eq!(bench.jobs(), ["update 0 ann", "update 1 ann"]);
}

#[test]
fn a_target_that_asks_for_a_pause_pauses_no_other() {
    let mut bench = two_targets();
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["ann"]))));
    bench.jobs();
    let limited = failure(Kind::Status(429)).pausing(Some(Duration::from_secs(60)));
    let part = Part::Environment(0);
    bench.done(Done::Apply(0, vec![(0, part, Err(limited))]));
    bench.done(Done::Apply(1, vec![(1, part, Ok(Applied::Done))]));
    assert_eq!(bench.engine.target(0).state, State::Paused);
    assert_eq!(bench.engine.target(1).state, State::Ok);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["eve"]))));
    assert_eq!(bench.jobs(), ["update 1 eve"]);
}

/// A toggle at a target that cannot be read, in two environments; its rule allows ann.
fn unreadable() -> Bench {
    let terms = TargetTerms {
        readable: false,
        ..in_environments([0], 2)
    };
    let mut bench = Bench::with_terms(config(vec![opa()], &[0]), Mode::Serve, terms);
    assert_eq!(bench.jobs(), ["query 0", "create 0"]);
    bench.done(created(0, Ok(Applied::Created(unseen(2)))));
    bench.done(Done::Query(0, Ok(users(&["ann"]))));
    assert_eq!(bench.jobs(), ["update 0 ann"]);
    bench
}

/// A toggle that is as it should be, as far as its target tells.
fn unseen(environments: usize) -> Present {
    let environment = Environment {
        in_order: true,
        ..Environment::default()
    };
    Present {
        described: true,
        environments: vec![Ok(environment); environments],
    }
}

#[test]
fn an_environment_that_does_not_find_the_toggle_is_a_failure_and_not_a_storm() {
    let mut bench = unreadable();
    bench.done(updated(0, Ok(())));
    assert_eq!(bench.jobs(), ["update 0/1 ann"]);
    bench.done(updated(1, Err(failure(Kind::Status(404)))));
    assert_eq!(bench.jobs(), ["create 0"]);
    let found = Observed::Present(unseen(2));
    bench.done(created(0, Ok(Applied::Found(found))));
    assert_eq!(bench.jobs(), ["update 0 ann"]);
    bench.done(updated(0, Ok(())));
    assert_eq!(bench.jobs(), [""; 0], "it is tried again later");
    assert_eq!(states(&bench), [State::InSync, State::Failing]);
}

#[test]
fn a_lost_update_is_sent_once_more_although_another_environment_fails() {
    let mut bench = unreadable();
    bench.done(updated(0, Err(failure(Kind::Timeout))));
    let answer = |bench: &mut Bench, wait: u64| {
        bench.millis(wait);
        bench.answer(|job| match job {
            "query 0" => Some(Done::Query(0, Ok(users(&["ann"])))),
            "update 0/1 ann" => Some(updated(1, Err(failure(Kind::Status(405))))),
            _ => None,
        })
    };
    assert_eq!(answer(&mut bench, 500), ["update 0 ann"]);
    bench.done(updated(0, Ok(())));
    assert_eq!(answer(&mut bench, 29_999), [""; 0]);
    assert_eq!(
        answer(&mut bench, 1),
        ["update 0 ann"],
        "it may be applied late"
    );
}

#[test]
fn what_waits_for_the_end_of_a_pause_is_in_line_once() {
    let mut bench = Bench::in_sync(2, true);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["ann"]))));
    bench.jobs();
    let limited = failure(Kind::Status(429)).pausing(Some(Duration::from_secs(60)));
    bench.done(applied(0, Err(limited)));
    bench.done(Done::Query(1, Ok(users(&[]))));
    for key in ["ann", "eve", "zoe"] {
        bench.callback(0);
        assert_eq!(bench.jobs(), ["query 0", "query 1"]);
        bench.done(Done::Query(0, Ok(users(&[key]))));
        bench.done(Done::Query(1, Ok(users(&[key]))));
    }
    assert_eq!(bench.engine.targets[0].changes.len(), 1);
}

#[test]
fn an_environment_of_a_toggle_that_was_deleted_is_not_in_sync() {
    let mut bench = losing_eve(true);
    assert_eq!(bench.jobs(), ["update 0 "]);
    bench.done(updated(0, Ok(())));
    assert_eq!(bench.jobs(), ["update 0/1 "]);
    bench.done(updated(1, Err(failure(Kind::Status(404)))));
    assert_eq!(bench.jobs(), ["create 0"]);
    assert_eq!(states(&bench), [State::Syncing, State::Syncing]);
}

#[test]
fn toggles_of_one_rule_that_are_refused_do_not_set_off_each_others_retries() {
    let mut one_rule = config(vec![opa()], &[0, 0]);
    one_rule.rules.truncate(1);
    one_rule.toggles[1].rule = 0;
    let mut bench = Bench::serve(one_rule);
    let mut refused = 0;
    for _ in 0..20 {
        bench.answer(|job| {
            let (kind, id) = job.trim_end().split_once(' ')?;
            let id = id.parse().ok()?;
            Some(match kind {
                "query" => Done::Query(id, Ok(users(&[]))),
                "read" => read(id, Ok(present(&["eve"]))),
                _ => {
                    refused += 1;
                    assert!(refused < 20, "they are tried again and again");
                    applied(id, Err(failure(Kind::Status(405))))
                }
            })
        });
        bench.millis(100);
    }
    assert!(
        refused >= 4,
        "each at once, after 0.5 s and after 1 s more: {refused}"
    );
}
