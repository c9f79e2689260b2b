//! What is a duration, and what is not.

use super::*;

#[test]
fn a_duration_is_a_sum_of_numbers_with_units() {
    assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
    for wrong in ["", "5", "5 minuts", "-5s", "-1s"] {
        assert_eq!(parse(wrong), Err(Wrong::NoDuration), "{wrong}");
    }
}

#[test]
fn what_no_clock_can_wait_for_is_out_of_range_and_no_panic() {
    for wrong in [
        "0s",
        "5ns",
        "367d",
        "99999999999999999999s",
        "18446744073709551615s 1000ms",
    ] {
        assert_eq!(parse(wrong), Err(Wrong::OutOfRange), "{wrong}");
    }
    assert_eq!(parse_or_zero("0s"), Ok(Duration::ZERO));
    assert_eq!(parse_or_zero("5ns"), Err(Wrong::OutOfRangeOrZero));
}
