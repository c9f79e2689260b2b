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
