//! Passes and callbacks.

use super::*;

#[test]
fn edits_that_come_while_a_write_is_under_way_are_one_job() {
    let terms = TargetTerms {
        at_once: Some(1),
        applies_together: true,
        ..target_terms(true, &[None; 5])
    };
    let mut bench = Bench::with_terms(config(vec![opa()], &[0; 5]), Mode::Serve, terms);
    bench.settle(true);
    bench.callback(0);
    assert_eq!(bench.jobs().len(), 5);
    bench.done(Done::Query(4, Ok(users(&["ann"]).into())));
    assert_eq!(bench.jobs(), ["update 4 ann"]);
    for toggle in 0..4 {
        bench.done(Done::Query(toggle, Ok(users(&["ann"]).into())));
    }
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.done(applied(4, Ok(())));
    let together = "update 0 ann, update 1 ann, update 2 ann, update 3 ann";
    assert_eq!(bench.jobs(), [together]);
    // What becomes of one says nothing of the others.
    let done = |id| match id {
        2 => (id, Part::Environment(0), Err(failure(Kind::Misfit))),
        _ => (id, Part::Environment(0), Ok(Applied::Done)),
    };
    bench.done(Done::Apply(0, (0..4).map(done).collect()));
    let is_failing = |id| !troubles_of(&bench.engine, id).is_empty();
    assert_eq!([0, 1, 2, 3].map(is_failing), [false, false, true, false]);
    bench.millis(500);
    assert_eq!(bench.jobs(), ["read 2"]);
}

/// How many toggles the last pass changed, once it is reported.
fn changed(bench: &mut Bench) -> Option<usize> {
    let mut newest_first = bench.notices().into_iter().rev();
    newest_first.find_map(|notice| match notice {
        News::Pass { changed, .. } => Some(changed),
        _ => None,
    })
}

#[test]
fn a_pass_is_reported_with_its_changes_when_they_have_arrived() {
    let mut bench = Bench::in_sync(1, true);
    assert_eq!(changed(&mut bench), Some(0));
    for (keys, update, count) in [
        (["eve"], Ok(()), 1),
        (["ann"], Err(failure(Kind::Misfit)), 0),
    ] {
        bench.callback(0);
        bench.jobs();
        bench.done(Done::Query(0, Ok(users(&keys).into())));
        assert_eq!(bench.jobs(), [format!("update 0 {}", keys[0])]);
        assert_eq!(changed(&mut bench), None);
        bench.done(applied(0, update));
        assert_eq!(changed(&mut bench), Some(count));
    }
}

#[test]
fn a_source_is_well_when_all_of_a_pass_has_been_answered() {
    let mut bench = Bench::in_sync(2, true);
    let well = bench.engine.source(0).last_success;
    bench.millis(1000);
    let fails = || Err(failure(Kind::Refused));
    let nobody = || Ok(users(&[]));
    for (answers, is_unanswered, last_success) in [
        ([nobody(), fails()], false, well),
        ([fails(), fails()], true, well),
        ([nobody(), nobody()], false, Some(bench.now)),
    ] {
        bench.callback(0);
        bench.jobs();
        for (id, answer) in answers.into_iter().enumerate() {
            bench.done(Done::Query(id, answer.map(Into::into)));
        }
        assert_eq!(bench.engine.source(0).last_success, last_success);
        assert_eq!(bench.engine.sources[0].passes.unanswered, is_unanswered);
    }
}

#[test]
fn a_callback_ends_every_wait_that_nobody_asked_for() {
    for pause in [None, Some(Duration::from_secs(60))] {
        let mut bench = Bench::in_sync(2, false);
        bench.callback(0);
        bench.jobs();
        let refusal = || failure(Kind::Status(503)).pausing(pause);
        bench.done(Done::Query(0, Err(refusal())));
        bench.done(Done::Query(1, Ok(users(&["eve"]).into())));
        assert_eq!(bench.jobs(), ["update 1 eve"]);
        bench.done(applied(1, Err(refusal())));
        bench.millis(400);
        bench.callback(0);
        let (queries, updates) = match pause {
            None => (&["query 0", "query 1"][..], &["update 1 zoe"][..]),
            Some(_) => (&["query 1"][..], &[][..]),
        };
        assert_eq!(bench.jobs(), queries);
        bench.done(Done::Query(1, Ok(users(&["zoe"]).into())));
        assert_eq!(bench.jobs(), updates);
    }
}
