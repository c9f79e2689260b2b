use proptest::prelude::*;

use super::*;

#[test]
fn a_longer_pause_wins_and_is_capped_at_five_minutes() {
    let now = Instant::now();
    let wait = |secs| Backoff::default().fail(now, Some(Duration::from_secs(secs)), 1.0);
    assert_eq!(wait(0), Duration::from_millis(450));
    assert_eq!(wait(7), Duration::from_secs(7));
    assert_eq!(wait(86_400), Duration::from_secs(300));
    assert_eq!(wait(u64::MAX), Duration::from_secs(300));
}

#[test]
fn a_try_before_the_wait_is_over_does_not_lengthen_it() {
    let start = Instant::now();
    let mut backoff = Backoff::default();
    let mut fail = |millis| backoff.fail(start + Duration::from_millis(millis), None, 0.0);
    let waits = [0, 100, 200, 699, 1199, 1300, 2300].map(|at| fail(at).as_millis());
    assert_eq!(waits, [500, 500, 500, 500, 1000, 1000, 2000]);
}

proptest! {
    #[test]
    fn timers_ring_in_order_once_and_only_the_last_setting_counts(
        settings in prop::collection::vec((0u8..6, 0u64..50), 0..40),
    ) {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut timers = Timers::new();
        let mut model = BTreeMap::new();
        for (key, millis) in settings {
            timers.set(key, at(millis));
            model.insert(key, millis);
        }
        let mut rung = Vec::new();
        for now in 0..50 {
            while let Some(key) = timers.pop(at(now)) {
                rung.push((now, key));
            }
            let next = model.iter().filter(|(_, due)| **due > now).map(|(_, due)| at(*due));
            prop_assert_eq!(timers.next(), next.min());
        }
        let mut expected: Vec<_> = model.into_iter().map(|(key, due)| (due, key)).collect();
        expected.sort_unstable();
        prop_assert_eq!(rung, expected);
    }
}
