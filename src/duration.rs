//! Durations such as `5m`, as the configuration and the command line have them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Less would be a loop without a pause; more cannot be added to every clock.
const RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(366 * 24 * 60 * 60);

/// humantime panics where the sum is just over what a `Duration` holds; that takes more digits.
const DIGITS: usize = 12;

/// How a duration is written.
pub(crate) const EXAMPLES: &str = "30s, 5m or 1h 30m";

/// Why a text is not a duration that can be used. Its `Display` continues "it", or the name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    NoDuration,
    OutOfRange,
    /// The same where zero would do.
    OutOfRangeOrZero,
}

/// A duration in the log, such as `0.048s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::NoDuration => "is not a duration",
            Wrong::OutOfRange => "is not between 1ms and 1 year",
            Wrong::OutOfRangeOrZero => "is neither 0s nor between 1ms and 1 year",
        })
    }
}

/// A duration from 1ms to a year, as humantime reads it.
pub(crate) fn parse(text: &str) -> Result<Duration, Wrong> {
    read(text, |duration| RANGE.contains(duration), Wrong::OutOfRange)
}

/// The same, or zero.
pub(crate) fn parse_or_zero(text: &str) -> Result<Duration, Wrong> {
    let is_in = |it: &Duration| it.is_zero() || RANGE.contains(it);
    read(text, is_in, Wrong::OutOfRangeOrZero)
}

fn read(text: &str, is_in: impl Fn(&Duration) -> bool, outside: Wrong) -> Result<Duration, Wrong> {
    if text.bytes().filter(u8::is_ascii_digit).count() > DIGITS {
        return Err(outside);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if is_in(&duration) => Ok(duration),
        Ok(_) | Err(humantime::DurationError::NumberOverflow) => Err(outside),
        Err(_) => Err(Wrong::NoDuration),
    }
}

#[cfg(test)]
mod tests;
