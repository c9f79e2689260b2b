//! Failures of a part of a toggle, or of a toggle, while others go well or fail too.

use super::*;
use crate::plan::Environment;

fn updated(environment: usize, result: Result<(), Failure>) -> Done {
    let part = Part::Environment(environment);
    edited(0, part, result.map(|()| Applied::Done))
}

/// A toggle in two environments, at a target that does not tell its users.
fn unseen() -> Present {
    let environment = Environment {
        in_order: true,
        ..Environment::default()
    };
    Present {
        described: true,
        environments: vec![Ok(environment); 2],
    }
}

/// A toggle at a target that cannot be read, in two environments; its rule allows ann.
fn unreadable() -> Bench {
    let toggle = ToggleTerms {
        batch: None,
        environments: ["production", "test"].map(str::to_owned).into(),
        shares: Vec::new(),
    };
    let mut terms = target_terms(false, &[None]);
    terms.toggles.insert(0, toggle);
    let mut bench = Bench::with_terms(config(vec![opa()], &[0]), Mode::Serve, terms);
    assert_eq!(bench.jobs(), ["query 0", "create 0"]);
    bench.done(created(0, Ok(Applied::Created(unseen()))));
    bench.done(Done::Query(0, Ok(users(&["ann"]).into())));
    assert_eq!(bench.jobs(), ["update 0 ann"]);
    bench
}

fn states(bench: &Bench) -> Vec<State> {
    let environments = bench.engine.toggle(0).environments;
    environments.into_iter().map(|it| it.state).collect()
}

#[test]
fn an_environment_that_does_not_find_the_toggle_is_a_failure_and_not_a_storm() {
    let mut bench = unreadable();
    bench.done(updated(0, Ok(())));
    assert_eq!(bench.jobs(), ["update 0/1 ann"]);
    bench.done(updated(1, Err(failure(Kind::Status(404)))));
    assert_eq!(bench.jobs(), ["create 0"]);
    assert_eq!(states(&bench), [State::Syncing, State::Failing]);
    let found = Observed::Present(unseen());
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
            "query 0" => Some(Done::Query(0, Ok(users(&["ann"]).into()))),
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
fn an_environment_that_timed_out_the_last_time_delays_no_other() {
    let mut bench = unreadable();
    bench.done(updated(0, Err(failure(Kind::Timeout))));
    assert_eq!(bench.jobs(), ["update 0/1 ann"]);
    bench.done(updated(1, Ok(())));
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
    assert_eq!(bench.jobs(), ["update 0 eve", "update 0/1 eve"]);
}

#[test]
fn toggles_of_one_rule_that_are_refused_do_not_set_off_each_others_retries() {
    let mut one_rule = config(vec![opa()], &[0, 0]);
    one_rule.rules.truncate(1);
    one_rule.toggles[1].rule = Some(0);
    let mut bench = Bench::serve(one_rule);
    let mut refused = [0, 0];
    for round in 0..20 {
        let left = bench.answer(|job| {
            let (kind, id) = job.trim_end().split_once(' ')?;
            let id: ToggleId = id.parse().ok()?;
            Some(match kind {
                "query" => Done::Query(id, Ok(users(&[]).into())),
                "read" => read(id, Ok(present(&["eve"]))),
                // The second one is refused later, so that they are not tried again together.
                _ if (round, id) == (0, 1) => return None,
                _ => {
                    refused[id] += 1;
                    assert!(refused[id] < 10, "they are tried again and again");
                    applied(id, Err(failure(Kind::Status(405))))
                }
            })
        });
        bench.millis(100);
        if !left.is_empty() {
            bench.done(applied(1, Err(failure(Kind::Status(405)))));
        }
    }
    // After 0.5 s, and after 1 s more.
    assert_eq!(refused, [3, 2]);
}
