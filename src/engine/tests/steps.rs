//! Steps at the target: retries, pauses, lost requests.

use super::reload::reload;
use super::*;
use crate::engine::Subject;

/// A toggle in sync with nobody, whose rule now allows these users; the update is in flight.
fn updating(keys: &[&str], readable: bool) -> Bench {
    let mut bench = Bench::in_sync(1, readable);
    bench.callback(0);
    bench.jobs();
    bench.done(Done::Query(0, Ok(users(keys).into())));
    assert_eq!(bench.jobs(), [format!("update 0 {}", keys.join(" "))]);
    bench
}

#[test]
fn after_a_lost_update_the_target_is_read_once_more_after_30_seconds() {
    let mut bench = updating(&["eve"], true);
    bench.done(applied(0, Err(failure(Kind::Timeout))));
    bench.callback(0);
    assert_eq!(bench.jobs(), ["query 0"]);
    bench.done(Done::Query(0, Ok(users(&[]).into())));
    assert_eq!(bench.jobs(), ["read 0"]);
    bench.done(read(0, Ok(present(&[]))));
    bench.millis(29_999);
    assert_eq!(bench.jobs(), [""; 0]);
    bench.millis(1);
    assert_eq!(bench.jobs(), ["read 0"], "it may have been applied late");
}

#[test]
fn a_toggle_that_exists_but_cannot_be_seen_is_read_again_after_a_wait() {
    let mut bench = Bench::serve(config(vec![opa()], &[0]));
    bench.jobs();
    bench.done(read(0, Ok(Observed::absent())));
    assert_eq!(bench.jobs(), ["create 0"]);
    bench.done(created(0, Ok(Applied::Found(Observed::Unknown))));
    assert_eq!(bench.jobs(), [""; 0]);
    bench.millis(500);
    assert_eq!(bench.jobs(), ["read 0"]);
}

#[test]
fn a_target_that_creates_but_does_not_find_is_a_failure_and_not_a_storm() {
    let mut bench = updating(&["eve"], false);
    bench.done(applied(0, Err(failure(Kind::Status(404)))));
    assert_eq!(bench.jobs(), ["create 0"]);
    bench.done(created(0, Ok(new_toggle(false))));
    for wait in [500, 1000, 2000] {
        assert_eq!(bench.jobs(), ["update 0 eve"]);
        bench.done(applied(0, Err(failure(Kind::Status(404)))));
        assert!(bench.is_failing());
        assert_eq!(bench.jobs(), ["create 0"]);
        bench.done(created(0, Ok(new_toggle(false))));
        bench.millis(wait - 1);
        assert_eq!(bench.jobs(), Vec::<String>::new());
        bench.millis(1);
    }
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
        bench.done(Done::Query(0, Ok(users(&["eve"]).into())));
        bench.jobs();
    }
    assert_eq!(told, [1, 2, 4, 8]);
    assert_eq!(retries, 9, "for whoever counts them");
    bench.notices();
    bench.done(applied(0, Ok(())));
    let mended = |notice: &News| matches!(notice, News::Mended { count: 9, .. });
    assert!(bench.notices().iter().any(mended));
}

#[test]
fn each_change_is_late_15_seconds_after_the_policy_may_have_changed_also_after_a_reload() {
    let three = || config(vec![opa(), opa(), opa()], &[0, 1, 2]);
    let mut bench = Bench::settled(three(), true);
    let query = |bench: &mut Bench, id: usize| {
        bench.callback(id);
        assert_eq!(bench.jobs(), [format!("query {id}")]);
        bench.millis(3000);
    };
    (0..3).for_each(|id| query(&mut bench, id));
    // In time.
    bench.done(Done::Query(0, Ok(Users::default().into())));
    let (_, mut bench) = reload(bench, three());
    bench.answer(|job| (job == "query 0").then(|| Done::Query(0, Ok(Users::default().into()))));
    bench.notices();
    let mut late = |millis| {
        bench.millis(millis);
        let late = bench.engine.take_notices().into_iter();
        let late = late.filter(|it| matches!(it.news, News::Late { .. }));
        late.map(|it| it.subject).collect::<Vec<Subject>>()
    };
    assert_eq!(late(8999), []);
    assert_eq!(late(1), [Subject::Toggle(1)]);
    assert_eq!(late(2999), []);
    assert_eq!(late(1), [Subject::Toggle(2)]);
    assert_eq!(late(60_000), [], "each is told once");
}

#[test]
fn half_a_minute_after_a_start_each_toggle_is_looked_at_or_sent_once_more() {
    for (readable, again) in [(true, "read 0"), (false, "update 0 ")] {
        for mode in [
            Mode::Serve,
            Mode::Sync {
                interval: Duration::from_secs(3600),
            },
        ] {
            let mut bench = Bench::new(config(vec![opal()], &[0]), mode, readable);
            bench.settle(readable);
            let mut asked = |millis| {
                bench.millis(millis);
                let mut asked = Vec::new();
                bench.answer(|job| {
                    asked.push(job.to_owned());
                    Some(match job {
                        "query 0" => Done::Query(0, Ok(users(&[]).into())),
                        "watch 0" => Done::Watch(0, Ok(true)),
                        "read 0" => read(0, Ok(present(&[]))),
                        _ => applied(0, Ok(())),
                    })
                });
                asked.iter().filter(|job| *job == again).count()
            };
            assert_eq!(asked(29_999), 0);
            let expected = usize::from(mode == Mode::Serve);
            assert_eq!(
                asked(1),
                expected,
                "what the process before sent may be applied late"
            );
            assert_eq!(asked(60_000), 0);
        }
    }
}
