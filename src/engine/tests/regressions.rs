//! What reloads, lost answers and an OPA that is not ready may not change.

use super::super::task::PROMPT;
use super::limit::with_limit;
use super::reload::reload;
use super::*;
use crate::config::MaxRemoval;

const HALF: MaxRemoval = MaxRemoval::Percent(50.0);
const MANY: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const NOTHING: [&str; 0] = [];

/// A target that cannot be read, and a toggle of which these users were sent.
fn sent(keys: &[&str]) -> Bench {
    let mut bench = Bench::new(with_limit(HALF), Mode::Serve, false);
    assert_eq!(bench.jobs(), ["query 0", "create 0"]);
    bench.done(created(0, Ok(new_toggle(false))));
    bench.done(Done::Query(0, Ok(users(keys).into())));
    assert_eq!(bench.jobs(), [format!("update 0 {}", keys.join(" "))]);
    bench.done(applied(0, Ok(())));
    bench
}

/// The rule allows these users now.
fn allow(bench: &mut Bench, keys: &[&str]) -> Vec<String> {
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(keys).into())));
    bench.jobs()
}

/// What is sent where the rule allows `a` alone, and the target says that the toggle exists.
fn sent_for_a(bench: &mut Bench) -> Vec<String> {
    bench.answer(|job| match job {
        "query 0" => Some(Done::Query(0, Ok(users(&["a"]).into()))),
        "create 0" => {
            let found = Observed::Present(Present::plain(true, None));
            Some(created(0, Ok(Applied::Found(found))))
        }
        _ => None,
    })
}

#[test]
fn the_limit_knows_what_was_in_flight_at_a_reload() {
    let mut before = sent(&["a", "b"]);
    assert_eq!(allow(&mut before, &MANY), ["update 0 a b c d e f g h"]);
    let (mut old, mut next) = reload(before, with_limit(HALF));
    old.done(applied(0, Ok(())));
    let moment = next.moment();
    next.engine.go_on([&mut old.engine].into_iter(), moment);
    assert_eq!(sent_for_a(&mut next), NOTHING, "7 of 8 users would go");
}

#[test]
fn the_limit_counts_who_may_have_come_with_an_update_that_was_lost() {
    let mut bench = sent(&["a", "b"]);
    assert_eq!(allow(&mut bench, &MANY), ["update 0 a b c d e f g h"]);
    // It was done, and the answer was lost.
    bench.done(applied(0, Err(failure(Kind::Timeout))));
    assert_eq!(allow(&mut bench, &["a"]), NOTHING, "7 of 8 users may go");
}

#[test]
fn nothing_is_applied_while_it_is_not_known_whether_opa_is_ready() {
    for answer in [Ok(ready(Some(false))), Err(failure(Kind::Refused))] {
        let config = config(vec![super::connecting::waiting_opal()], &[0, 0]);
        let mut bench = Bench::settled(config, true);
        bench.callback(0);
        bench.jobs();
        bench.done(Done::Ready(0, Ok(ready(Some(true)))));
        assert_eq!(bench.jobs(), ["query 0", "query 1"]);
        bench.done(Done::Query(0, Ok(users(&["ann"]).into())));
        assert_eq!(bench.jobs(), ["update 0 ann"]);
        let busy = failure(Kind::Status(429)).pausing(Some(Duration::from_secs(5)));
        bench.done(applied(0, Err(busy)));
        // This update waits for the end of the pause. Meanwhile OPA is restarted, and OPAL calls.
        bench.done(Done::Query(1, Ok(users(&["ann"]).into())));
        bench.callback(0);
        for _ in 0..1400 {
            let sent = bench.answer(|job| match job {
                "ready 0" => Some(Done::Ready(0, answer.clone())),
                "watch 0" => Some(Done::Watch(0, Ok(true))),
                "discover 0" => Some(Done::Discover(0, Ok(access()))),
                "read 0" => Some(read(0, Ok(present(&[])))),
                "read 1" => Some(read(1, Ok(present(&[])))),
                _ => None,
            });
            assert_eq!(sent, NOTHING, "{answer:?}");
            bench.millis(250);
        }
    }
}

#[test]
fn a_wait_that_another_opa_asked_for_does_not_hold_up_the_new_one() {
    let mut bench = super::connecting::connected(opal());
    assert_eq!(bench.jobs(), ["query 0"]);
    let busy = failure(Kind::Status(503)).pausing(Some(Duration::from_secs(300)));
    bench.done(Done::Query(0, Err(busy)));
    // OPAL is restarted, with another OPA.
    bench.millis(30_000);
    assert_eq!(bench.jobs(), ["watch 0"]);
    bench.done(Done::Watch(0, Ok(false)));
    assert_eq!(bench.jobs(), ["discover 0"]);
    bench.done(Done::Discover(0, Ok(opa_at("http://other:8181"))));
    assert_eq!(bench.jobs(), ["register 0"]);
    bench.done(Done::Register(0, Ok(())));
    assert_eq!(bench.jobs(), ["query 0"]);
}

#[test]
fn reloads_do_not_put_off_the_resync_for_ever() {
    let mut bench = Bench::in_sync(1, true);
    let mut reads = 0;
    // A token is renewed by a reload every four minutes; a resync is due every five.
    for _ in 0..24 {
        bench.wait(Duration::from_secs(240));
        bench.answer(|job| {
            reads += usize::from(job == "read 0");
            Some(match job {
                "query 0" => Done::Query(0, Ok(Users::default().into())),
                _ => read(0, Ok(present(&[]))),
            })
        });
        bench = reload(bench, config(vec![opa()], &[0])).1;
    }
    assert!(reads > 0, "the target was not read for 96 minutes");
}

#[test]
fn polls_do_not_shorten_the_waits_of_a_target_that_fails() {
    let config = config(vec![polled("1s")], &[0]);
    let mut bench = Bench::new(config, Mode::Serve, false);
    let mut updates = 0;
    for _ in 0..400 {
        bench.answer(|job| {
            updates += usize::from(job == "update 0 ann");
            Some(match job {
                "query 0" => Done::Query(0, Ok(users(&["ann"]).into())),
                "create 0" => created(0, Ok(new_toggle(false))),
                _ => applied(0, Err(failure(Kind::Status(500)))),
            })
        });
        bench.millis(250);
    }
    // 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 47.5, 63.5, 79.5, 95.5 s
    assert!(updates <= 11, "{updates} updates in 100 s");
}

#[test]
fn a_lost_update_that_was_done_is_told_once_although_two_engines_read_it() {
    let mut bench = Bench::settled(config(vec![opal()], &[0, 0]), true);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["ann"]).into())));
    bench.done(Done::Query(1, Ok(users(&[]).into())));
    assert_eq!(bench.jobs(), ["update 0 ann"]);
    bench.done(applied(0, Err(failure(Kind::Timeout))));
    bench.millis(600);
    assert_eq!(bench.jobs(), ["read 0"]);
    let (mut old, mut next) = reload(bench, config(vec![opal()], &[0, 0]));
    old.done(read(0, Ok(present(&["ann"]))));
    let jobs = next.jobs();
    assert!(jobs.contains(&"read 0".to_owned()), "{jobs:?}");
    next.done(read(0, Ok(present(&["ann"]))));
    let mut told = old.engine.take_notices();
    told.extend(next.engine.take_notices());
    let updates = told.iter();
    let updates = updates.filter(|it| matches!(it.news, News::Updated(_)));
    assert_eq!(updates.count(), 1);
}

#[test]
fn a_lost_update_is_not_forgotten_for_one_that_an_older_engine_has_lost() {
    let config = || config(vec![opal()], &[0]);
    let changed = |users: &[&str]| {
        let users = Arc::new(self::users(users));
        let present = Present::plain(false, Some(users));
        read(0, Ok(Observed::Present(present)))
    };
    let go_on = |next: &mut Bench, older: &mut [&mut Bench]| {
        let moment = next.moment();
        let older = older.iter_mut().map(|old| &mut old.engine);
        next.engine.go_on(older, moment);
    };
    let mut first = Bench::settled(config(), true);
    assert_eq!(allow(&mut first, &["ann"]), ["update 0 ann"]);
    let (mut first, mut second) = reload(first, config());
    // It was not done.
    first.done(applied(0, Err(failure(Kind::Timeout))));
    go_on(&mut second, &mut [&mut first]);
    assert_eq!(second.jobs(), ["query 0", "read 0"]);
    second.done(changed(&[]));
    assert_eq!(second.jobs(), ["describe 0"]);
    second.done(Done::Query(0, Ok(users(&["bob"]).into())));
    second.wait(PROMPT);
    assert_eq!(second.jobs(), ["query 0"]);
    second.done(Done::Query(0, Ok(users(&["bob"]).into())));
    assert_eq!(second.jobs(), ["update 0 bob"]);
    // It was done; the description is still under way.
    second.done(applied(0, Err(failure(Kind::Timeout))));
    let (mut second, mut third) = reload(second, config());
    second.done(described(0, Ok(())));
    go_on(&mut third, &mut [&mut first, &mut second]);
    assert_eq!(third.jobs(), ["query 0", "read 0"]);
    third.done(changed(&["bob"]));
    let told = third.notices();
    assert!(
        matches!(&told[..], [News::Updated(it)] if *it.users == users(&["bob"])),
        "{told:?}"
    );
}
