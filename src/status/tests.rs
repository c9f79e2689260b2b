//! The times of `/status`, whatever the wall clock shows.

use proptest::prelude::*;

use super::*;

/// The latest that the clock of this machine can show: Linux counts nanoseconds in 64 bits.
const LATEST: i64 = i64::MAX / 1_000_000_000;

fn wall(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match seconds < 0 {
        true => SystemTime::UNIX_EPOCH - distance,
        false => SystemTime::UNIX_EPOCH + distance,
    }
}

proptest! {
    #[test]
    fn whatever_the_wall_clock_shows_times_stand_in_the_same_distance_from_it(
        seconds in -LATEST..LATEST,
        distance in -86_400i64..300,
    ) {
        let start = Instant::now();
        let at = start + Duration::from_secs(86_400);
        let then = start + Duration::from_secs((86_400 + distance).unsigned_abs());
        let clocks = Clocks { at, wall: wall(seconds) };
        let shown = clocks.time(Some(then));
        let expected = seconds + distance;
        // A clock from before 1970 is wrong, and humantime cannot write its times.
        prop_assert_eq!(shown.map(|time| time.0), (expected > 0).then(|| wall(expected)));
        prop_assert!(serde_json::to_string(&shown).is_ok());
    }
}

#[test]
fn a_worker_that_does_not_turn_when_it_should_fails_the_health_check() {
    let now = Instant::now();
    let patience = Duration::from_secs(15);
    let status = Status {
        begun: now,
        rows: Mutex::new(Rows {
            started: true,
            patience,
            ..Rows::default()
        }),
        audit: Arc::default(),
    };
    status.set_next_turn(now + Duration::from_secs(60));
    let after = |seconds| status.report(now + Duration::from_secs(seconds));
    assert_eq!(after(75).status, State::Ok);
    let late = after(76);
    assert_eq!(late.status, State::Failing);
    assert_eq!(late.reasons, ["the worker is stuck: its turn is 16s late"]);
    status.set_next_turn(now + Duration::from_secs(120));
    assert_eq!(after(76).status, State::Ok);
}
