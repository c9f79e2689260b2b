//! Toggles that are read in one job, and what it does not tell.

use super::*;

/// Some toggles that can be read in one job, and that have just been found not to be told by it.
fn told_nothing(toggles: usize) -> Bench {
    let mut bench = Bench::reading(4, &vec![Some(0); toggles]);
    let ids: Vec<String> = (0..toggles).map(|id| id.to_string()).collect();
    assert_eq!(reads(&mut bench), [format!("read {}", ids.join(" "))]);
    let unknown = (0..toggles).map(|id| (id, Ok(Observed::Unknown)));
    bench.done(Done::Read(0, unknown.collect()));
    bench
}

fn reads(bench: &mut Bench) -> Vec<String> {
    let jobs = bench.jobs().into_iter();
    jobs.filter(|job| job.starts_with("read")).collect()
}

#[test]
fn what_can_be_read_together_is_read_in_one_job() {
    let mut bench = Bench::reading(4, &[Some(0), Some(1), Some(0), None, Some(0)]);
    assert_eq!(reads(&mut bench), ["read 0 2 4", "read 1", "read 3"]);
    // They failed together, and are read together again as soon as one of them is due.
    let failed = |id| (id, Err(failure(Kind::Status(500))));
    bench.done(Done::Read(0, [0, 2, 4].map(failed).to_vec()));
    bench.millis(500);
    assert_eq!(reads(&mut bench), ["read 0 2 4"]);
    let found = |id| (id, Ok(present(&[])));
    bench.done(Done::Read(0, [0, 2, 4].map(found).to_vec()));
    bench.wait(Duration::from_secs(300));
    assert_eq!(reads(&mut bench), ["read 0 2 4"]);
}

#[test]
fn a_batch_gives_its_place_back_in_whatever_order_its_results_come() {
    let mut bench = Bench::reading(1, &[Some(0), Some(0), None]);
    assert!(bench.jobs().contains(&"read 0 1".to_owned()));
    let found = |id| (id, Ok(present(&[])));
    bench.done(Done::Read(0, [1, 0].map(found).to_vec()));
    assert_eq!(bench.jobs(), ["read 2"]);
}

#[test]
fn what_a_read_of_several_does_not_tell_is_read_by_itself_at_the_same_time() {
    let mut bench = told_nothing(6);
    assert!(!bench.is_failing());
    assert_eq!(reads(&mut bench), ["read 0", "read 1", "read 2", "read 3"]);
    bench.done(read(1, Ok(present(&[]))));
    assert_eq!(reads(&mut bench), ["read 4"], "whoever hangs delays nobody");
    bench.done(read(2, Ok(present(&[]))));
    assert_eq!(reads(&mut bench), ["read 5"]);
    bench.done(read(0, Err(failure(Kind::Timeout))));
    bench.done(read(3, Err(failure(Kind::Status(500)))));
    assert!(bench.is_failing());
    bench.millis(500);
    assert_eq!(reads(&mut bench), ["read 0", "read 3"], "and so they stay");
}

#[test]
fn a_target_that_never_tells_of_a_toggle_is_a_failure_and_not_a_storm() {
    let mut bench = told_nothing(1);
    assert_eq!(reads(&mut bench), ["read 0"]);
    bench.done(read(0, Ok(Observed::Unknown)));
    assert!(bench.is_failing());
    assert_eq!(reads(&mut bench), Vec::<String>::new());
    bench.millis(500);
    assert_eq!(reads(&mut bench), ["read 0"]);
}
