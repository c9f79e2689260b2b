//! An OPAL that never calls back.

use super::*;

const RESYNC: Duration = Duration::from_secs(300);

fn registered() -> Bench {
    Bench::settled(config(vec![opal()], &[0]), true)
}

/// Answers everything, queries with these users; whether it is told that nobody calls.
fn answer(bench: &mut Bench, keys: &[&str]) -> bool {
    let now = bench.moment();
    while let Some(job) = bench.engine.next_job(now) {
        bench.done(match job {
            Job::Watch(id) => Done::Watch(id, Ok(true)),
            Job::Count(id, _) => Done::Count(id, Ok(None)),
            Job::Query(id, ..) => Done::Query(id, Ok(users(keys).into())),
            Job::Read(_, ids) => read(ids[0], Ok(present(keys))),
            Job::Apply(_, edits) => applied(edits[0].toggle, Ok(())),
            other => panic!("{} was not expected", short(&other)),
        });
    }
    let told = |notice: &News| matches!(notice, News::Unheard { .. });
    bench.notices().iter().any(told)
}

/// Lets this time pass, answering all the while; how often it was told that nobody calls.
fn wait(bench: &mut Bench, time: Duration, keys: &[&str]) -> usize {
    let seconds = 0..time.as_secs();
    let second = |_| {
        bench.millis(1000);
        usize::from(answer(bench, keys))
    };
    seconds.map(second).sum()
}

#[test]
fn changes_that_only_a_resync_finds_are_told_once_as_missed_calls() {
    let mut bench = registered();
    assert_eq!(
        wait(&mut bench, RESYNC * 2, &[]),
        0,
        "there was nothing to call for"
    );
    assert_eq!(wait(&mut bench, RESYNC * 2, &["ann"]), 1);
    assert_eq!(wait(&mut bench, RESYNC * 2, &["bob"]), 0, "it was told");
}

#[test]
fn once_opal_has_called_however_late_it_is_known_to_reach_us() {
    let mut bench = registered();
    bench.wait(RESYNC);
    assert!(!answer(&mut bench, &["ann"]));
    bench.callback(0);
    assert_eq!(wait(&mut bench, RESYNC, &["ann"]), 0);
    assert_eq!(wait(&mut bench, RESYNC * 2, &["bob"]), 0);
}
