//! Passes and callbacks.

use super::*;

#[test]
fn edits_that_come_while_a_write_is_under_way_are_one_job() {
    let terms = TargetTerms {
        readable: true,
        at_once: Some(1),
        batches: vec![None; 5],
        applies_together: true,
    };
    let mut bench = Bench::with_terms(config(vec![opa()], &[0; 5]), Mode::Serve, terms);
    bench.settle(true);
    bench.callback(0);
    assert_eq!(bench.jobs().len(), 5);
    bench.done(Done::Query(4, Ok(users(&["ann"]))));
    assert_eq!(bench.jobs(), ["update 4 ann"]);
    for toggle in 0..4 {
        bench.done(Done::Query(toggle, Ok(users(&["ann"]))));
    }
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.done(applied(4, Ok(())));
    let together = "update 0 ann, update 1 ann, update 2 ann, update 3 ann";
    assert_eq!(bench.jobs(), [together]);
    // What becomes of one says nothing of the others.
    let done = |id| match id {
        2 => (id, Err(failure(Kind::Misfit))),
        _ => (id, Ok(Applied::Done)),
    };
    bench.done(Done::Apply((0..4).map(done).collect()));
    let is_failing = |id| !bench.engine.toggle(id).troubles.is_empty();
    assert_eq!([0, 1, 2, 3].map(is_failing), [false, false, true, false]);
    bench.millis(500);
    assert_eq!(bench.jobs(), ["read 2"]);
}

/// What the last pass told.
fn pass(bench: &mut Bench) -> Option<(usize, usize, usize, usize)> {
    let mut newest_first = bench.notices().into_iter().rev();
    newest_first.find_map(|notice| match notice {
        News::Pass {
            toggles,
            changed,
            failed,
            late,
            ..
        } => Some((toggles, changed, failed, late)),
        _ => None,
    })
}

#[test]
fn changed_is_how_many_toggles_were_changed_at_the_target() {
    for (found, update) in [
        (present(&["eve"]), None),
        (present(&[]), Some(Ok(()))),
        (present(&[]), Some(Err(failure(Kind::Status(500))))),
    ] {
        let mut bench = Bench::serve(config(vec![opa()], &[0]));
        assert_eq!(bench.jobs(), ["query 0", "read 0"]);
        bench.done(read(0, Ok(found)));
        bench.done(Done::Query(0, Ok(users(&["eve"]))));
        if bench.jobs() == ["query 0"] {
            bench.done(Done::Query(0, Ok(users(&["eve"]))));
            assert_eq!(bench.jobs(), ["update 0 eve"]);
        }
        let changed = usize::from(matches!(update, Some(Ok(()))));
        if let Some(update) = update {
            assert_eq!(pass(&mut bench), None);
            bench.done(applied(0, update));
        }
        assert_eq!(pass(&mut bench), Some((1, changed, 0, 0)));
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
            bench.done(Done::Query(id, answer));
        }
        assert_eq!(bench.engine.source(0).last_success, last_success);
        assert_eq!(bench.engine.sources[0].passes.unanswered, is_unanswered);
    }
}
