//! Much at once.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::opa::query_of;
use crate::support::program::Daemon;
use crate::support::{Fault, World};

/// For what takes a while on a machine that is busy with other tests.
const LONG: Duration = Duration::from_secs(60);

/// How long OPA takes for an answer.
const QUERY: Duration = Duration::from_millis(50);

/// However many callbacks come, OPA is asked as often as it can answer, and once more after the last.
#[test]
fn ten_thousand_callbacks_from_fifty_clients_are_a_few_passes() {
    let world = World::of(&["us"]).build();
    world.opa.allow("us", &["ann"]);
    let daemon = world.serve_in_step();
    let query = query_of("us");
    world.opa.http.always(&query, Fault::Delay(QUERY));
    let before = world.queries("us");
    let begun = |seen: usize| {
        let seen = world.opa.http.seen(&query).split_off(seen);
        seen.into_iter().map(|seen| seen.received)
    };
    let start = Instant::now();
    call_back(&daemon, &world.opal.authorization(), 50, 200);
    world.opa.allow("us", &["bob"]);
    let last = Instant::now();
    world.opal.call_back();
    let answered = Instant::now();
    world.wait_for_users("us", &["bob"]);
    world.stays("few passes begin after the last callback", || {
        begun(before).filter(|begun| *begun > answered).count() <= 2
    });
    let (passes, end) = (begun(before).count(), begun(before).max().unwrap());
    let most = (end - start).div_duration_f64(QUERY) as usize + 1;
    assert!(passes <= most, "{passes} passes, more than {most}");
    assert!(end > last, "no pass has begun after the last callback");
}

/// So many clients call back, each so many times, and every call is accepted.
fn call_back(daemon: &Daemon, authorization: &str, clients: usize, times: usize) {
    let call = || {
        for _ in 0..times {
            let answer = daemon.post("/opa_update/main", &[("authorization", authorization)]);
            assert_eq!(answer.status, 202);
        }
    };
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(call);
        }
    });
}

#[test]
fn a_thousand_toggles_start_change_together_and_stay_as_they_are() {
    const TOGGLES: usize = 1000;
    let keys: Vec<String> = (0..TOGGLES).map(|n| format!("toggle-{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let world = World::of(&keys).build();
    let allow = |user: &str| {
        keys.iter()
            .for_each(|key| world.opa.allow(key, &[user, key]))
    };
    let all_have = |user: &str| {
        let what = format!("all toggles have {user}");
        world.stage.wait_within(LONG, &what, || {
            keys.iter().all(|key| world.store.has(key, &[user, key]))
        });
    };
    let counts = || {
        let queries = world.opa.http.count("GET /v1/data/app/rbac/*");
        let (created, updated) = (
            world.store.http.count("POST *"),
            world.store.http.count("PATCH *"),
        );
        (queries, created, updated)
    };
    allow("ann");
    let daemon = world.serve();
    all_have("ann");
    daemon.wait_healthy();
    let (queries, created, updated) = counts();
    assert_eq!((created, updated), (TOGGLES, TOGGLES));

    allow("bob");
    world.opal.call_back();
    all_have("bob");
    assert_eq!(counts(), (queries + TOGGLES, TOGGLES, 2 * TOGGLES));

    world.opal.call_back();
    world.stage.wait_within(LONG, "all are asked for", || {
        counts().0 == queries + 2 * TOGGLES
    });
    world.stays("nothing is sent", || {
        counts() == (queries + 2 * TOGGLES, TOGGLES, 2 * TOGGLES)
    });
}
