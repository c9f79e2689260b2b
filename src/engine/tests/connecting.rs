//! Discovery, registration, the watch, readiness, leaving.

use super::*;
use crate::job::{Load, Writes};

pub(super) fn waiting_opal() -> String {
    waiting(&opal())
}

/// An OPAL source with one toggle, which the target has with nobody.
pub(super) fn connected(kind: String) -> Bench {
    let mut bench = Bench::serve(config(vec![kind], &[0]));
    assert_eq!(bench.jobs(), ["discover 0", "read 0"]);
    bench.done(read(0, Ok(present(&[]))));
    bench.done(Done::Discover(0, Ok(access())));
    assert_eq!(bench.jobs(), ["register 0"]);
    bench.done(Done::Register(0, Ok(())));
    bench
}

/// An OPA that tells which process it is, and what was written to it.
fn process(id: &str, data: u64) -> Evidence {
    Evidence {
        process: Some(id.to_owned()),
        says: None,
        writes: Some(Writes {
            data,
            policies: 1,
            // A whole load for each two writes.
            lists: data / 2,
        }),
    }
}

/// Eve has the toggle, by the word of the process `a`.
fn told_by_a() -> Bench {
    let mut bench = connected(waiting_opal());
    bench.jobs();
    bench.done(Done::Ready(0, Ok(process("a", 1))));
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
    assert_eq!(bench.jobs(), ["update 0 eve"]);
    bench.done(applied(0, Ok(())));
    bench
}

/// OPAL reports these loads.
fn loaded(bench: &mut Bench, loads: &[Load]) {
    let loads = loads.iter();
    loads.for_each(|load| bench.handle(Event::Loaded(0, *load)));
}

/// How often OPAL is asked now to load everything.
fn loads(bench: &mut Bench) -> usize {
    let jobs = bench.jobs();
    jobs.iter().filter(|job| *job == "load 0").count()
}

const EVERYTHING_TWICE: [Load; 4] = [Load::Data, Load::Data, Load::Policy, Load::Policy];

#[test]
fn an_opa_that_was_restarted_is_loaded_again_and_asked_for_users_only_then() {
    let mut bench = told_by_a();
    bench.callback(0);
    assert_eq!(bench.jobs(), ["ready 0"]);
    bench.done(Done::Ready(0, Ok(process("b", 1))));
    assert_eq!(bench.jobs(), ["watch 0", "load 0"]);
    bench.done(Done::Load(0, Ok(true)));
    bench.done(Done::Watch(0, Ok(true)));
    loaded(&mut bench, &[Load::Policy, Load::Data]);
    assert!(bench.engine.sources[0].passes.held_since.is_some());
    bench.millis(2000);
    let jobs = bench.jobs();
    assert!(
        jobs.contains(&"load 0".to_owned()),
        "one load may have begun before"
    );
    assert!(jobs.contains(&"ready 0".to_owned()), "{jobs:?}");
    bench.done(Done::Load(0, Ok(true)));
    bench.done(Done::Ready(0, Ok(process("b", 9))));
    loaded(&mut bench, &[Load::Policy, Load::Data]);
    assert_eq!(bench.jobs(), ["ready 0"]);
    bench.done(Done::Ready(0, Ok(process("b", 9))));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&[]).into())));
    assert!(bench.jobs().contains(&"update 0 ".to_owned()));
    bench.wait(Duration::from_secs(20));
    assert!(!bench.jobs().contains(&"load 0".to_owned()));
}

#[test]
fn opal_is_asked_again_at_once_where_it_sends_one_of_two_reports_twice() {
    for twice in [Load::Policy, Load::Data] {
        let mut bench = told_by_a();
        bench.callback(0);
        bench.jobs();
        bench.done(Done::Ready(0, Ok(process("b", 1))));
        assert_eq!(loads(&mut bench), 1);
        bench.done(Done::Load(0, Ok(true)));
        loaded(&mut bench, &[Load::Policy, Load::Data]);
        assert_eq!(loads(&mut bench), 1, "one load may have begun before");
        bench.done(Done::Load(0, Ok(true)));
        loaded(&mut bench, &[twice, twice]);
        assert_eq!(loads(&mut bench), 1, "the other report is lost");
    }
}

#[test]
fn an_opa_that_is_seen_for_the_first_time_takes_no_toggle_away_before_it_is_loaded_again() {
    let mut bench = Bench::serve(config(vec![waiting_opal()], &[0]));
    bench.jobs();
    bench.done(read(0, Ok(present(&["ann", "eve"]))));
    bench.connect();
    bench.jobs();
    bench.done(Done::Ready(0, Ok(process("a", 1))));
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
    assert_eq!(bench.jobs(), ["load 0", "ready 0"]);
    bench.done(Done::Load(0, Ok(true)));
    bench.done(Done::Ready(0, Ok(process("a", 1))));
    assert!(bench.engine.sources[0].passes.held_since.is_some());
    loaded(&mut bench, &EVERYTHING_TWICE);
    assert!(bench.jobs().contains(&"ready 0".to_owned()));
    bench.done(Done::Ready(0, Ok(process("a", 4))));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
    assert!(bench.jobs().contains(&"update 0 eve".to_owned()));
}

#[test]
fn a_toggle_that_was_just_created_can_be_taken_away_from_no_one() {
    let mut bench = Bench::new(config(vec![waiting_opal()], &[0]), Mode::Serve, false);
    bench.jobs();
    bench.done(created(0, Ok(new_toggle(false))));
    bench.connect();
    bench.jobs();
    bench.done(Done::Ready(0, Ok(process("a", 1))));
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
    assert_eq!(bench.jobs(), ["update 0 eve"]);
}

#[test]
fn a_load_that_is_not_reported_is_asked_for_again_and_after_a_minute_the_removal_limit_has_to_do() {
    let mut bench = told_by_a();
    let mut config = Config::clone(&bench.engine.config);
    config.toggles[0].max_removal = crate::config::MaxRemoval::Unset;
    bench.engine.config = Arc::new(config);
    bench.callback(0);
    bench.jobs();
    let mut count = 0;
    for _ in 0..30 {
        bench.done(Done::Ready(0, Ok(process("b", 3))));
        count += loads(&mut bench);
        if !bench.engine.sources[0].load.is_idle() {
            bench.done(Done::Load(0, Ok(true)));
        }
        bench.millis(2000);
        count += loads(&mut bench);
    }
    assert_eq!(count, 4, "at once, and every 15 s");
    // Once, after the start.
    bench.done(read(0, Ok(present(&["eve"]))));
    assert!(bench.is_failing());
    bench.done(Done::Ready(0, Ok(process("b", 3))));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&[]).into())));
    assert!(
        !bench.jobs().contains(&"update 0 ".to_owned()),
        "one of one would go"
    );
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Ready(0, Ok(process("b", 4))));
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["ann", "eve"]).into())));
    assert!(bench.jobs().contains(&"update 0 ann eve".to_owned()));
    bench.wait(Duration::from_secs(240));
    assert_eq!(loads(&mut bench), 1, "with the resync");
}

#[test]
fn opal_is_not_asked_again_and_again_where_its_policy_is_never_reported() {
    let mut bench = told_by_a();
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Ready(0, Ok(process("b", 1))));
    let mut count = loads(&mut bench);
    for _ in 0..10 {
        if bench.engine.sources[0].load.is_running() {
            bench.done(Done::Load(0, Ok(true)));
        }
        loaded(&mut bench, &[Load::Data]);
        bench.millis(300);
        count += loads(&mut bench);
    }
    assert_eq!(
        count, 3,
        "once more for the data, once for the policy, and then every 15 s"
    );
}

#[test]
fn processes_that_answer_in_turn_do_not_have_everything_loaded_each_time() {
    let mut bench = told_by_a();
    let mut loads = 0;
    for turn in 0..10 {
        bench.callback(0);
        let mut jobs = bench.jobs();
        if jobs.contains(&"ready 0".to_owned()) {
            let id = if turn % 2 == 0 { "b" } else { "a" };
            bench.done(Done::Ready(0, Ok(process(id, 1))));
            jobs = bench.jobs();
        }
        loads += jobs.iter().filter(|job| *job == "load 0").count();
        if jobs.contains(&"query 0".to_owned()) {
            bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
        }
        if bench.engine.sources[0].load.is_running() {
            bench.done(Done::Load(0, Ok(true)));
        }
        bench.millis(1000);
    }
    assert_eq!(loads, 1);
}

#[test]
fn a_request_to_load_that_fails_after_all_is_loaded_is_no_failure() {
    let mut bench = told_by_a();
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Ready(0, Ok(process("b", 1))));
    bench.jobs();
    loaded(&mut bench, &EVERYTHING_TWICE);
    bench.done(Done::Ready(0, Ok(process("b", 5))));
    bench.done(Done::Load(0, Err(failure(Kind::Status(502)))));
    bench.wait(Duration::from_secs(20));
    let troubles = bench.engine.source(0).troubles;
    assert!(troubles.is_empty(), "{troubles:?}");
}

#[test]
fn an_opa_that_hangs_on_the_question_for_its_bundles_alone_is_asked_for_users() {
    let waiting = waiting(&opa());
    let says = |says| Ok(ready(says));
    let fails = |kind| Err(failure(kind));
    for (answers, asked) in [
        (vec![says(Some(true))], true),
        (vec![says(None)], true),
        (vec![fails(Kind::Timeout)], true),
        (vec![fails(Kind::Refused)], false),
        (vec![says(Some(false))], false),
        (vec![says(Some(false)), fails(Kind::Timeout)], false),
        (vec![says(Some(false)), says(None)], false),
        (vec![fails(Kind::Refused), says(Some(true))], true),
    ] {
        let mut bench = Bench::serve(config(vec![waiting.clone()], &[0]));
        assert_eq!(bench.jobs(), ["ready 0", "read 0"]);
        let mut jobs = Vec::new();
        for answer in answers.clone() {
            bench.done(Done::Ready(0, answer));
            jobs = bench.jobs();
            bench.millis(500);
            jobs.extend(bench.jobs());
        }
        let is_asked = jobs.contains(&"query 0".to_owned());
        assert_eq!(is_asked, asked, "{answers:?}");
    }
}

#[test]
fn writes_that_opa_counts_are_followed_by_a_pass_although_opal_does_not_call() {
    let mut bench = connected(opal());
    bench.jobs();
    bench.done(Done::Query(0, Ok(Users::default().into())));
    for (writes, is_followed) in [(3, false), (3, false), (4, true), (1, true), (1, false)] {
        bench.millis(5000);
        let now = bench.moment();
        let count = bench.engine.next_job(now);
        assert!(matches!(count, Some(Job::Count(0, _))), "{count:?}");
        bench.done(Done::Count(0, Ok(process("a", writes).writes)));
        let queries = bench.answer(|job| match job {
            "query 0" => None,
            _ => Some(Done::Watch(0, Ok(true))),
        });
        assert_eq!(!queries.is_empty(), is_followed, "{writes}");
        if is_followed {
            bench.done(Done::Query(0, Ok(Users::default().into())));
        }
    }
}

#[test]
fn a_hold_that_lasts_a_minute_is_a_failure_that_says_the_way_out() {
    let mut bench = connected(waiting_opal());
    for _ in 0..40 {
        bench.jobs();
        bench.done(Done::Ready(0, Ok(ready(Some(false)))));
        bench.millis(2000);
    }
    let troubles = bench.engine.source(0).troubles;
    let words = troubles[0].failure.to_string();
    assert!(words.contains("wait_until_ready = false"), "{words}");
    bench.jobs();
    bench.done(Done::Ready(0, Ok(ready(Some(true)))));
    assert!(!bench.is_failing());
}

#[test]
fn a_long_pass_asks_again_if_opa_is_still_ready() {
    let mut bench = Bench::serve(Config {
        concurrency: 1,
        ..config(vec![waiting_opal()], &[0, 0])
    });
    bench.connect();
    bench.jobs();
    bench.done(Done::Ready(0, Ok(ready(Some(true)))));
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.millis(1500);
    bench.done(Done::Query(0, Ok(Users::default().into())));
    let jobs = bench.jobs();
    assert!(
        jobs.contains(&"ready 0".into()) && !jobs.contains(&"query 1".into()),
        "{jobs:?}"
    );
}
