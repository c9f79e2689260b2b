//! Passes and callbacks.

use super::*;
use crate::engine::pass::PATIENCE;
use crate::engine::task::PROMPT;

const NOTHING: [&str; 0] = [];

#[test]
fn a_query_that_hangs_delays_no_other_toggles_next_pass() {
    let mut bench = Bench::in_sync(2, true);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(1, Ok(users(&[]))));
    bench.callback(0);
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.wait(PATIENCE);
    assert_eq!(bench.jobs(), ["query 1"]);
    bench.done(Done::Query(1, Ok(users(&["eve"]))));
    assert_eq!(bench.jobs(), ["update 1 eve"]);
    bench.done(Done::Query(0, Err(failure(Kind::Timeout))));
    assert_eq!(bench.jobs(), ["query 0"], "it missed a callback");
}

#[test]
fn requests_that_hang_give_their_places_to_others() {
    let mut bench = Bench::in_sync(20, true);
    bench.callback(0);
    assert_eq!(bench.jobs().len(), 8);
    assert_eq!(bench.next_in(), Some(PROMPT));
    bench.wait(PROMPT);
    assert_eq!(bench.jobs().len(), 8);
}

#[test]
fn changes_go_before_a_resync_and_one_that_takes_long_is_taken_over_by_no_other() {
    for readable in [true, false] {
        let mut config = config(vec![opa()], &[0; 20]);
        config.concurrency = 1;
        let mut bench = Bench::settled(config, readable);
        // What is asked of OPA is answered, and whatever is asked of the target hangs.
        let target = |bench: &mut Bench, eve: ToggleId| {
            let mut at_target = Vec::new();
            loop {
                let jobs = bench.jobs();
                let queries = jobs
                    .iter()
                    .filter_map(|job| job.strip_prefix("query ")?.parse().ok());
                let queries: Vec<ToggleId> = queries.collect();
                at_target.extend(jobs.into_iter().filter(|job| !job.starts_with("query")));
                if queries.is_empty() {
                    return at_target;
                }
                for id in queries {
                    let keys: &[&str] = if id == eve { &["eve"] } else { &[] };
                    bench.done(Done::Query(id, Ok(users(keys))));
                }
            }
        };
        bench.wait(Duration::from_secs(300));
        let mut looks = target(&mut bench, 99);
        assert!(!bench.engine.target(0).is_overdue);
        bench.wait(Duration::from_secs(301));
        looks.extend(target(&mut bench, 99));
        assert!(
            bench.engine.target(0).is_overdue,
            "the next one would be due"
        );
        assert_eq!(
            looks.len(),
            2,
            "one, and one in the place of the one that hangs"
        );
        bench.callback(0);
        assert_eq!(target(&mut bench, 7), NOTHING);
        bench.millis(1000);
        assert_eq!(target(&mut bench, 7), ["update 7 eve"]);
    }
}

#[test]
fn an_opa_that_is_slower_than_resyncs_are_apart_keeps_no_change_from_the_target() {
    for readable in [true, false] {
        let mut config = config(vec![opa()], &[0]);
        config.resync_interval = Some(Duration::from_secs(1));
        let mut bench = Bench::settled(config, readable);
        bench.callback(0);
        let mut updates = 0;
        // Each query takes 1.5 s; the target answers at once.
        for _ in 0..6 {
            for _ in 0..3 {
                for job in bench.jobs() {
                    match job.split(' ').next() {
                        Some("read") => bench.done(read(0, Ok(present(&[])))),
                        Some("describe") => bench.done(described(0, Ok(()))),
                        Some("update") => updates += 1,
                        _ => {}
                    }
                }
                bench.millis(500);
            }
            if bench.engine.rules[0].query.is_running() {
                bench.done(Done::Query(0, Ok(users(&["eve"]))));
            }
        }
        assert!(updates > 0, "readable={readable}");
    }
}

#[test]
fn edits_that_come_while_a_write_is_under_way_are_one_job() {
    let terms = TargetTerms {
        at_once: Some(1),
        applies_together: true,
        ..target_terms(true, &[Some(0); 5])
    };
    let mut bench = Bench::with_terms(config(vec![opa()], &[0; 5]), Mode::Serve, terms);
    bench.jobs();
    let found = |id| match id {
        4 => (id, Ok(Observed::Absent)),
        _ => (id, Ok(present(&[]))),
    };
    bench.done(Done::Read(0, (0..5).map(found).collect()));
    assert_eq!(bench.jobs(), ["create 4"]);
    for toggle in 0..4 {
        // The first was asked before the target was read.
        bench.done(Done::Query(toggle, Ok(users(&["ann"]))));
        assert_eq!(bench.jobs(), [format!("query {toggle}")]);
        bench.done(Done::Query(toggle, Ok(users(&["ann"]))));
        assert_eq!(bench.jobs(), Vec::<String>::new());
    }
    bench.done(created(4, Ok(new_toggle(true))));
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
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&[]))));
    bench.done(Done::Query(1, Err(failure(Kind::Refused))));
    assert_eq!(bench.engine.source(0).last_success, well);
    assert!(!bench.engine.sources[0].passes.unanswered);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Err(failure(Kind::Refused))));
    bench.done(Done::Query(1, Err(failure(Kind::Refused))));
    assert!(
        bench.engine.sources[0].passes.unanswered,
        "nothing of it was answered"
    );
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&[]))));
    bench.done(Done::Query(1, Ok(users(&[]))));
    assert_eq!(bench.engine.source(0).last_success, Some(bench.now));
    assert!(!bench.engine.sources[0].passes.unanswered);
}
