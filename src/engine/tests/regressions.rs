//! What reloads, lost answers and an OPA that is not ready may not change.

use super::super::State;
use super::reload::reload;
use super::*;
use crate::config::MaxRemoval;

const HALF: MaxRemoval = MaxRemoval::Percent(50.0);

fn limited_blind() -> Config {
    let mut config = config(vec![opa()], &[0]);
    config.toggles[0].max_removal = HALF;
    config
}

/// a, b, c, d were sent; a alone is held.
fn held_blind() -> Bench {
    let mut bench = Bench::new(limited_blind(), Mode::Serve, false);
    assert_eq!(bench.jobs(), ["query 0", "create 0"]);
    bench.done(created(0, Ok(new_toggle(false))));
    bench.done(Done::Query(0, Ok(users(&["a", "b", "c", "d"]))));
    assert_eq!(bench.jobs(), ["update 0 a b c d"]);
    bench.done(applied(0, Ok(())));
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&["a"]))));
    assert_eq!(bench.jobs(), [""; 0]);
    assert_eq!(bench.engine.toggle(0).state, State::Held);
    bench
}

#[test]
fn a_reload_that_only_renews_the_targets_token_does_not_end_a_hold() {
    let mut renewed = limited_blind();
    with_header(&mut renewed, "Authorization", "new");
    for (what, changed) in [("nothing", limited_blind()), ("the token", renewed)] {
        let (_, mut next) = reload(held_blind(), changed);
        let mut sent = Vec::new();
        for _ in 0..6 {
            for job in next.jobs() {
                match job.as_str() {
                    "query 0" => next.done(Done::Query(0, Ok(users(&["a"])))),
                    "create 0" => {
                        let found = Present::plain(true, None);
                        next.done(created(0, Ok(Applied::Found(Observed::Present(found)))));
                    }
                    _ => sent.push(job),
                }
            }
        }
        assert_eq!(sent, [""; 0], "changed: {what}");
        assert_eq!(next.engine.toggle(0).state, State::Held, "changed: {what}");
    }
}

#[test]
fn the_limit_knows_what_was_in_flight_at_a_reload() {
    let mut before = Bench::new(limited_blind(), Mode::Serve, false);
    before.jobs();
    before.done(created(0, Ok(new_toggle(false))));
    before.done(Done::Query(0, Ok(users(&["a", "b"]))));
    assert_eq!(before.jobs(), ["update 0 a b"]);
    before.done(applied(0, Ok(())));
    before.callback(0);
    before.jobs();
    let many = ["a", "b", "c", "d", "e", "f", "g", "h"];
    before.done(Done::Query(0, Ok(users(&many))));
    assert_eq!(before.jobs(), ["update 0 a b c d e f g h"]);
    let (mut old, mut next) = reload(before, limited_blind());
    old.done(applied(0, Ok(())));
    let now = next.moment();
    next.engine.handle(Event::Ended(0), now);
    let mut sent = Vec::new();
    for _ in 0..6 {
        for job in next.jobs() {
            match job.as_str() {
                "query 0" => next.done(Done::Query(0, Ok(users(&["a"])))),
                "create 0" => {
                    let found = Present::plain(true, None);
                    next.done(created(0, Ok(Applied::Found(Observed::Present(found)))));
                }
                _ => sent.push(job),
            }
        }
    }
    assert_eq!(sent, [""; 0], "7 of 8 users are removed at once");
}

#[test]
fn nothing_is_applied_while_it_is_not_known_whether_opa_is_ready() {
    for answer in ["not ready", "refused"] {
        let mut bench = super::connecting::connected(super::connecting::waiting_opal());
        assert_eq!(bench.jobs(), ["ready 0"]);
        bench.done(Done::Ready(0, Ok(ready(Some(true)))));
        assert_eq!(bench.jobs(), ["query 0"]);
        bench.done(Done::Query(0, Ok(users(&["ann"]))));
        assert_eq!(bench.jobs(), ["update 0 ann"]);
        bench.done(applied(0, Ok(())));
        // OPA is restarted, OPAL calls.
        let mut sent = Vec::new();
        bench.callback(0);
        for _ in 0..1400 {
            for job in bench.jobs() {
                match job.as_str() {
                    "ready 0" if answer == "refused" => {
                        bench.done(Done::Ready(0, Err(failure(Kind::Refused))));
                    }
                    "ready 0" => bench.done(Done::Ready(0, Ok(ready(Some(false))))),
                    "watch 0" => bench.done(Done::Watch(0, Ok(true))),
                    "discover 0" => bench.done(Done::Discover(0, Ok(access()))),
                    // Somebody has taken ann away by hand.
                    "read 0" => bench.done(read(0, Ok(present(&[])))),
                    "update 0 ann" => {
                        sent.push(job);
                        bench.done(applied(0, Ok(())));
                    }
                    other => panic!("{other}"),
                }
            }
            bench.millis(250);
        }
        let state = bench.engine.toggle(0).state;
        assert_eq!(sent, [""; 0], "{answer}: {state:?}");
    }
}

#[test]
fn a_wait_that_another_opa_asked_for_does_not_hold_up_the_new_one() {
    let mut bench = super::connecting::connected(opal());
    assert_eq!(bench.jobs(), ["query 0"]);
    let pause = Some(Duration::from_secs(300));
    bench.done(Done::Query(
        0,
        Err(failure(Kind::Status(503)).pausing(pause)),
    ));
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
fn a_toggle_that_was_just_created_has_nobody_who_could_be_removed() {
    let mut bench = Bench::new(limited_blind(), Mode::Serve, false);
    assert_eq!(bench.jobs(), ["query 0", "create 0"]);
    bench.done(created(0, Ok(new_toggle(false))));
    bench.done(Done::Query(0, Ok(users(&[]))));
    assert_eq!(bench.jobs(), ["update 0 "]);
}

#[test]
fn reloads_do_not_put_off_the_resync_for_ever() {
    let mut bench = Bench::in_sync(1, true);
    let mut reads = 0;
    for _ in 0..24 {
        // A token is renewed by a reload every four minutes; a resync is due every five.
        bench.wait(Duration::from_secs(240));
        loop {
            let jobs = bench.jobs();
            if jobs.is_empty() {
                break;
            }
            for job in jobs {
                match job.as_str() {
                    "query 0" => bench.done(Done::Query(0, Ok(Users::default()))),
                    "read 0" => {
                        reads += 1;
                        bench.done(read(0, Ok(present(&[]))));
                    }
                    other => panic!("{other}"),
                }
            }
        }
        bench = reload(bench, config(vec![opa()], &[0])).1;
    }
    assert!(reads > 0, "nobody looked at the target for 96 minutes");
}

#[test]
fn polls_do_not_shorten_the_waits_of_a_target_that_fails() {
    let polled = polled("1s");
    let mut bench = Bench::new(config(vec![polled], &[0]), Mode::Serve, false);
    let mut updates = 0;
    for _ in 0..400 {
        loop {
            let jobs = bench.jobs();
            if jobs.is_empty() {
                break;
            }
            for job in jobs {
                match job.as_str() {
                    "query 0" => bench.done(Done::Query(0, Ok(users(&["ann"])))),
                    "create 0" => bench.done(created(0, Ok(new_toggle(false)))),
                    "update 0 ann" => {
                        updates += 1;
                        bench.done(applied(0, Err(failure(Kind::Status(500)))));
                    }
                    other => panic!("{other}"),
                }
            }
        }
        bench.millis(250);
    }
    // 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 47.5, 63.5, 79.5, 95.5 s
    assert!(updates <= 11, "{updates} updates in 100 s");
}

#[test]
fn the_limit_counts_who_may_have_come_with_an_update_that_was_lost() {
    let mut bench = Bench::new(limited_blind(), Mode::Serve, false);
    bench.jobs();
    bench.done(created(0, Ok(new_toggle(false))));
    bench.done(Done::Query(0, Ok(users(&["a", "b"]))));
    assert_eq!(bench.jobs(), ["update 0 a b"]);
    bench.done(applied(0, Ok(())));
    bench.callback(0);
    bench.jobs();
    let many = ["a", "b", "c", "d", "e", "f", "g", "h"];
    bench.done(Done::Query(0, Ok(users(&many))));
    assert_eq!(bench.jobs(), ["update 0 a b c d e f g h"]);
    // It was done, and the answer was lost.
    bench.done(applied(0, Err(failure(Kind::Timeout))));
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["a"]))));
    assert_eq!(bench.jobs(), [""; 0], "7 of 8 users may be removed at once");
}
