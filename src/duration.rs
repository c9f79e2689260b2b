//! Durations such as `5m`, as the configuration and the command line have them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Less would be a loop without a pause; more cannot be added to every clock, and is no wait anyway.
const RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(366 * 24 * 60 * 60);

/// humantime panics where the sum is just over what a `Duration` holds; that takes more digits.
const DIGITS: usize = 12;

/// What a duration is made of.
pub const UNITS: &str = "a number and its unit: ms, s, m, h, d";

/// Why a text is no duration that can be used. Its `Display` is what is to be said of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is none at all.
    NoDuration,
    /// It has `M`, which hardly anybody means.
    Months,
    /// It is too short or too long.
    OutOfRange,
    /// The same where zero would do.
    OutOfRangeOrZero,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::NoDuration => "is not a duration",
            Wrong::Months => "has `M`, which would be months",
            Wrong::OutOfRange => "is not between 1ms and 1 year",
            Wrong::OutOfRangeOrZero => "is neither 0s nor between 1ms and 1 year",
        })
    }
}

/// A duration from 1ms to a year.
///
/// # Errors
///
/// Where the text is no such duration.
pub fn parse(text: &str) -> Result<Duration, Wrong> {
    let mut units = text.split(|c: char| !c.is_alphabetic());
    if units.any(|unit| unit == "M") {
        return Err(Wrong::Months);
    }
    let right = read(text)?.filter(|duration| RANGE.contains(duration));
    right.ok_or(Wrong::OutOfRange)
}

/// The same, or zero.
///
/// # Errors
///
/// Where the text is no such duration.
pub fn parse_or_zero(text: &str) -> Result<Duration, Wrong> {
    match parse(text) {
        Err(Wrong::OutOfRange) if read(text) == Ok(Some(Duration::ZERO)) => Ok(Duration::ZERO),
        Err(Wrong::OutOfRange) => Err(Wrong::OutOfRangeOrZero),
        other => other,
    }
}

/// A duration; none where it is too long to be held.
fn read(text: &str) -> Result<Option<Duration>, Wrong> {
    let is_short = text.bytes().filter(u8::is_ascii_digit).count() <= DIGITS;
    let read = match is_short {
        true => humantime::parse_duration(text).map(Some),
        // With a digit for each number it shows whether it is one at all.
        false => humantime::parse_duration(&with_small_numbers(text)).map(|_| None),
    };
    match read {
        Err(humantime::DurationError::NumberOverflow) => Ok(None),
        read => read.map_err(|_| Wrong::NoDuration),
    }
}

fn with_small_numbers(text: &str) -> String {
    let mut small = text.to_owned();
    let mut before = ' ';
    small.retain(|c| {
        let before = std::mem::replace(&mut before, c);
        !(before.is_ascii_digit() && c.is_ascii_digit())
    });
    small
}

/// What may be meant by a number with a unit in other words, or with none.
pub fn likely(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim().to_lowercase();
    let is_number = !number.is_empty() && number.len() <= DIGITS;
    if !is_number || !unit.chars().all(char::is_alphabetic) || unit.starts_with("mo") {
        return None;
    }
    let unit = match unit.chars().next() {
        _ if unit == "ms" || unit.starts_with("mil") => "ms",
        None | Some('s') => "s",
        Some('m') => "m",
        Some('h') => "h",
        Some('d') => "d",
        Some(_) => return None,
    };
    Some(format!("{number}{unit}")).filter(|likely| parse(likely).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_sum_of_numbers_with_units() {
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "5", "5 minuts", "-5s", "-1s"] {
            assert_eq!(parse(wrong), Err(Wrong::NoDuration), "{wrong}");
        }
        assert_eq!(parse("5M"), Err(Wrong::Months));
    }

    #[test]
    fn what_no_clock_can_wait_for_is_out_of_range_and_no_panic() {
        for wrong in [
            "0s",
            "5ns",
            "367d",
            "99999999999999999999s",
            "18446744073709551615s 1000ms",
            "1844674407370955161518446744073709551615h",
        ] {
            assert_eq!(parse(wrong), Err(Wrong::OutOfRange), "{wrong}");
        }
        assert_eq!(parse("99999999999999999999"), Err(Wrong::NoDuration));
        assert_eq!(parse_or_zero("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_or_zero("5ns"), Err(Wrong::OutOfRangeOrZero));
    }

    #[test]
    fn a_unit_in_other_words_is_understood() {
        for (text, expected) in [
            ("5 minuts", Some("5m")),
            ("5M", Some("5m")),
            ("30", Some("30s")),
            ("30 Sek", Some("30s")),
            ("10 millis", Some("10ms")),
            ("0", None),
            ("2 mons", None),
            ("1.5h", None),
            ("five", None),
            ("1h x", None),
        ] {
            assert_eq!(likely(text).as_deref(), expected, "{text}");
        }
    }
}
