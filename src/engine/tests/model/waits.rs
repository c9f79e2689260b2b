//! Retries, pauses and callbacks, in time.

use std::cell::Cell;

use super::setup::{Fate, Setup};
use super::world::World;
use super::*;

/// What fails takes longer than what goes well: when it has failed, the users are known, and no news of
/// them hurry it.
const LATENCY: Duration = Duration::from_millis(100);

/// How long a program that has just started waits between the tries of this request, in seconds.
fn waits(request: &'static str, readable: bool) -> Vec<f64> {
    let mut world = World::new(Setup::plain(readable));
    world.settle();
    let left = Cell::new(8);
    world.decide(move |job, _| match left.get() {
        tries @ 1.. if short(job).starts_with(request) => {
            left.set(tries - 1);
            Fate::Failed(LATENCY, failure(Kind::Status(500)))
        }
        _ => Fate::Answered(Duration::ZERO),
    });
    world.log.clear();
    world.reboot();
    world.wait(Duration::from_secs(120));
    world.assert_in_sync();
    let tries = world.log.iter().filter(|(_, job)| job.starts_with(request));
    let tries: Vec<Instant> = tries.map(|(at, _)| *at).take(9).collect();
    let waits = tries.windows(2).map(|pair| pair[1] - pair[0] - LATENCY);
    waits.map(|wait| wait.as_secs_f64()).collect()
}

#[test]
fn every_request_is_tried_again_after_the_same_waits() {
    for (request, readable) in [
        ("discover 0", true),
        ("register 0", true),
        ("watch 0", true),
        ("ready 0", true),
        ("query 0", true),
        ("read 2", true),
        ("create 2", false),
        ("describe 2", false),
        ("update 2", false),
    ] {
        let waits = waits(request, readable);
        let full = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0];
        assert_eq!(waits.len(), full.len(), "{request}: {waits:?}");
        for (wait, full) in waits.iter().zip(full) {
            assert!((0.9 * full..=full).contains(wait), "{request}: {waits:?}");
        }
        assert!(
            waits.iter().zip(full).any(|(wait, full)| *wait < full),
            "never shortened"
        );
    }
}

/// A toggle's query, or its update, has failed; and the remote may have asked for a pause.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Query(Option<u64>),
    Update(Option<u64>),
    None,
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    let pause = || prop::option::of(0_u64..3000);
    prop_oneof![
        pause().prop_map(Trouble::Query),
        pause().prop_map(Trouble::Update),
        Just(Trouble::None),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_callback_starts_its_pass_at_once_while_retries_wait(
        troubles in prop::collection::vec(any_trouble(), 1..7),
        // No retry is due yet.
        passed in 0_u64..499,
        target in prop::option::of(0_u64..1000),
    ) {
        let mut bench = Bench::in_sync(troubles.len() + 1, false);
        bench.callback(0);
        bench.jobs();
        for (id, trouble) in troubles.iter().enumerate() {
            let fail = |pause: Option<u64>| {
                failure(Kind::Status(503)).pausing(pause.map(Duration::from_millis))
            };
            match trouble {
                Trouble::Query(pause) => bench.done(Done::Query(id, Err(fail(*pause)))),
                Trouble::Update(pause) => {
                    bench.done(Done::Query(id, Ok(users(&["eve"]))));
                    bench.jobs();
                    bench.done(applied(id, Err(fail(*pause))));
                }
                Trouble::None => bench.done(Done::Query(id, Ok(users(&[])))),
            }
        }
        // One toggle more is told to leave the whole target alone.
        let busy = failure(Kind::Status(429)).pausing(target.map(Duration::from_millis));
        let last = troubles.len();
        bench.done(Done::Query(last, Ok(users(&["eve"]))));
        bench.jobs();
        bench.done(applied(last, Err(busy)));
        bench.millis(passed);
        bench.callback(0);
        let asks = |(_, trouble): &(usize, &Trouble)| match trouble {
            Trouble::Query(pause) => pause.is_none(),
            _ => true,
        };
        let asked: Vec<usize> = troubles.iter().enumerate().filter(asks).map(|(id, _)| id).collect();
        let queries: Vec<String> = asked.iter().chain([&last]).map(|id| format!("query {id}")).collect();
        prop_assert_eq!(bench.jobs(), queries);
        for id in &asked {
            bench.done(Done::Query(*id, Ok(users(&["zoe"]))));
        }
        let sends = |id: &&usize| match troubles[**id] {
            Trouble::Update(pause) => pause.is_none(),
            _ => true,
        };
        let paused = target.is_some_and(|pause| passed < pause);
        let told = asked.iter().filter(sends).filter(|_| !paused);
        let updates: Vec<String> = told.map(|id| format!("update {id} zoe")).collect();
        prop_assert_eq!(bench.jobs(), updates);
    }
}
