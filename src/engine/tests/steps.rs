//! Steps at the target: retries, pauses, lost requests.

use super::super::State;
use super::*;

/// A toggle in sync with nobody, whose rule now allows these users; the update is in flight.
fn updating(keys: &[&str], readable: bool) -> Bench {
    let mut bench = Bench::in_sync(1, readable);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(keys))));
    assert_eq!(bench.jobs(), [format!("update 0 {}", keys.join(" "))]);
    bench
}

#[test]
fn a_retry_uses_the_newest_users() {
    let mut bench = updating(&["eve"], false);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["bob", "eve"]))));
    assert_eq!(bench.jobs(), Vec::<String>::new(), "one request at a time");
    bench.done(applied(0, Err(failure(Kind::Status(500)))));
    bench.millis(500);
    assert_eq!(bench.jobs(), ["update 0 bob eve"]);
}

#[test]
fn an_answer_that_has_become_old_is_followed_by_the_newest_users() {
    let mut bench = updating(&["eve"], true);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&[]))));
    bench.done(applied(0, Ok(())));
    assert_eq!(bench.jobs(), ["update 0 "]);
}

#[test]
fn a_toggle_is_not_in_sync_while_an_update_that_nobody_wants_any_more_is_out() {
    let mut bench = updating(&["eve"], true);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&[]))));
    assert_eq!(bench.engine.toggle(0).state, State::Syncing);
    bench.done(applied(0, Ok(())));
    assert_eq!(bench.jobs(), ["update 0 "]);
    assert_eq!(bench.engine.toggle(0).state, State::Syncing);
    bench.done(applied(0, Ok(())));
    assert_eq!(bench.engine.toggle(0).state, State::InSync);
}

#[test]
fn a_toggle_whose_newest_query_failed_is_left_as_it_is() {
    let mut bench = updating(&["eve"], false);
    bench.done(applied(0, Err(failure(Kind::Status(500)))));
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Err(failure(Kind::Undefined))));
    bench.millis(499);
    assert!(bench.jobs().iter().all(|job| !job.starts_with("update")));
    bench.millis(1);
    assert!(bench.jobs().iter().all(|job| !job.starts_with("update")));
    bench.done(Done::Query(0, Ok(users(&["bob"]))));
    assert_eq!(bench.jobs(), ["update 0 bob"]);
}

#[test]
fn a_callback_starts_at_once_although_a_retry_is_waiting() {
    let mut bench = updating(&["eve"], false);
    for _ in 0..5 {
        bench.done(applied(0, Err(failure(Kind::Status(500)))));
        bench.callback(0);
        assert_eq!(bench.jobs(), ["query 0"]);
        bench.done(Done::Query(0, Ok(users(&["eve"]))));
        assert_eq!(bench.jobs(), ["update 0 eve"]);
    }
}

#[test]
fn what_the_remote_asks_for_is_waited_for_even_at_a_callback() {
    let mut bench = updating(&["eve"], false);
    let busy = failure(Kind::Status(503)).pausing(Some(Duration::from_secs(7)));
    bench.done(applied(0, Err(busy)));
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["bob"]))));
    bench.millis(6_999);
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.millis(1);
    assert_eq!(bench.jobs(), ["update 0 bob"]);
}

#[test]
fn a_429_pauses_the_whole_target_and_nothing_else() {
    let mut bench = Bench::in_sync(2, false);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(&["eve"]))));
    bench.jobs();
    let busy = failure(Kind::Status(429)).pausing(Some(Duration::from_secs(3)));
    bench.done(applied(0, Err(busy)));
    bench.done(Done::Query(1, Ok(users(&["bob"]))));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0", "query 1"]);
    bench.millis(3_000);
    assert_eq!(bench.jobs(), ["update 1 bob", "update 0 eve"]);
}

#[test]
fn after_a_lost_update_what_can_be_read_is_read() {
    let mut bench = updating(&["eve"], true);
    bench.done(applied(0, Err(failure(Kind::Timeout))));
    bench.millis(500);
    assert_eq!(bench.jobs(), ["read 0"]);
    bench.done(read(0, Ok(present(&["eve"]))));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    assert!(!bench.is_failing());
}

#[test]
fn after_a_lost_update_the_users_are_sent_once_more_30_seconds_after_the_next_success() {
    let mut bench = updating(&["eve"], false);
    bench.done(applied(0, Err(failure(Kind::Lost))));
    bench.millis(500);
    assert_eq!(bench.jobs(), ["update 0 eve"]);
    bench.done(applied(0, Ok(())));
    let updates = |bench: &mut Bench, seconds: u64| {
        let mut updates = 0;
        for _ in 0..seconds {
            bench.millis(1_000);
            while let [job] = &bench.jobs()[..] {
                match job.as_str() {
                    "query 0" => bench.done(Done::Query(0, Ok(users(&["eve"])))),
                    _ => {
                        updates += 1;
                        bench.done(applied(0, Ok(())));
                    }
                }
            }
        }
        updates
    };
    assert_eq!(updates(&mut bench, 29), 0);
    assert_eq!(updates(&mut bench, 1), 1);
    assert_eq!(updates(&mut bench, 60), 0);
}

#[test]
fn after_a_lost_update_that_nobody_wants_any_more_the_target_is_read_once_more_after_30_seconds() {
    let mut bench = updating(&["eve"], true);
    bench.done(applied(0, Err(failure(Kind::Timeout))));
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&[]))));
    assert_eq!(bench.jobs(), ["read 0"]);
    bench.done(read(0, Ok(present(&[]))));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.millis(29_999);
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.millis(1);
    assert_eq!(
        bench.jobs(),
        ["read 0"],
        "the lost one may have been applied late"
    );
    bench.done(read(0, Ok(present(&["eve"]))));
    assert_eq!(
        bench.jobs(),
        ["query 0"],
        "somebody who asked later may have written it"
    );
    bench.done(Done::Query(0, Ok(users(&[]))));
    assert_eq!(bench.jobs(), ["update 0 "]);
}

#[test]
fn a_toggle_that_was_deleted_is_created_again_and_gets_its_users() {
    let mut bench = updating(&["eve"], false);
    bench.done(applied(0, Err(failure(Kind::Status(404)))));
    assert_eq!(bench.jobs(), ["create 0"]);
    bench.done(created(0, Ok(new_toggle(false))));
    assert_eq!(bench.jobs(), ["update 0 eve"]);
    bench.done(applied(0, Ok(())));
    assert!(!bench.is_failing());
}

#[test]
fn a_target_that_creates_but_does_not_find_is_a_failure_and_not_a_storm() {
    let mut bench = updating(&["eve"], false);
    bench.done(applied(0, Err(failure(Kind::Status(404)))));
    for wait in [500, 1000, 2000] {
        assert_eq!(bench.jobs(), ["create 0"]);
        bench.done(created(0, Ok(new_toggle(false))));
        assert_eq!(bench.jobs(), ["update 0 eve"]);
        bench.done(applied(0, Err(failure(Kind::Status(404)))));
        assert!(bench.is_failing());
        bench.millis(wait - 1);
        assert_eq!(bench.jobs(), Vec::<String>::new());
        bench.millis(1);
    }
}

#[test]
fn a_toggle_that_exists_but_cannot_be_seen_is_read_again_after_a_wait() {
    let mut bench = Bench::serve(config(vec![opa()], &[0]));
    bench.jobs();
    bench.done(read(0, Ok(Observed::Absent)));
    assert_eq!(bench.jobs(), ["create 0"]);
    bench.done(created(0, Ok(Applied::Found(Observed::Unknown))));
    assert_eq!(bench.jobs(), Vec::<String>::new());
    bench.millis(500);
    assert_eq!(bench.jobs(), ["read 0"]);
}

#[test]
fn toggles_are_created_although_no_users_are_known() {
    let mut bench = Bench::serve(config(vec![opal()], &[0]));
    bench.jobs();
    bench.done(Done::Discover(0, Err(failure(Kind::Refused))));
    bench.done(read(0, Ok(Observed::Absent)));
    assert!(bench.jobs().contains(&"create 0".to_owned()));
    bench.done(created(0, Ok(new_toggle(true))));
    assert!(!bench.jobs().iter().any(|job| job.starts_with("update")));
}

#[test]
fn a_failure_is_told_at_first_at_each_doubling_and_when_it_ends() {
    let mut bench = updating(&["eve"], false);
    let (mut told, mut retries) = (Vec::new(), 0);
    for failures in 1..=9 {
        bench.notices();
        bench.done(applied(0, Err(failure(Kind::Status(500)))));
        let notices = bench.notices();
        let tells = |notice: &News| matches!(notice, News::Failing { .. });
        told.extend(notices.iter().any(tells).then_some(failures));
        let is_retry = |notice: &&News| matches!(notice, News::Retry { .. });
        retries += notices.iter().filter(is_retry).count();
        bench.callback(0);
        bench.jobs();
        bench.done(Done::Query(0, Ok(users(&["eve"]))));
        bench.jobs();
    }
    assert_eq!(told, [1, 2, 4, 8]);
    assert_eq!(retries, 9, "for whoever counts them");
    bench.notices();
    bench.done(applied(0, Ok(())));
    let mended = |notice: &News| matches!(notice, News::Mended { count: 9, .. });
    assert!(bench.notices().iter().any(mended));
}
