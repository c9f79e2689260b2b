//! Much at once.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::opa::query_of;
use crate::support::{Fault, World};

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
    let authorization = world.opal.authorization();
    let call_back = || {
        for _ in 0..200 {
            let answer = daemon.post("/opa_update/main", &[("authorization", &authorization)]);
            assert_eq!(answer.status, 202);
        }
    };
    thread::scope(|scope| (0..50).for_each(|_| drop(scope.spawn(call_back))));
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
