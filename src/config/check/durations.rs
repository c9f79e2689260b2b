//! Durations such as `5m`.

use std::time::Duration;

use crate::config::problem::Problem;
use crate::config::reader::{Context, Node, Text};

/// Less would be a loop without a pause.
const SHORTEST: Duration = Duration::from_millis(1);
/// More cannot be added to every clock, and is no interval anyway.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// humantime panics where the sum is just over what a `Duration` holds; that takes more digits.
const DIGITS: usize = 12;

/// A duration of more than zero.
pub(super) fn duration(cx: &mut Context, node: &Node) -> Option<Duration> {
    let (duration, text) = duration_or_zero(cx, node)?;
    if duration.is_zero() {
        let name = &text.place.name;
        let message = format!("`{name}` must be more than zero");
        let help = help(name, None);
        cx.report(Problem::error(
            "invalid-duration",
            &text.place,
            message,
            help,
        ));
        return None;
    }
    Some(duration)
}

/// A duration for which `"0s"` means: never.
pub(super) fn interval(cx: &mut Context, node: &Node) -> Option<Duration> {
    let (duration, _) = duration_or_zero(cx, node)?;
    Some(duration).filter(|duration| !duration.is_zero())
}

fn duration_or_zero(cx: &mut Context, node: &Node) -> Option<(Duration, Text)> {
    let name = &node.place.name;
    let meant = help(name, node.plain().as_deref().and_then(likely));
    let text = cx.text_like(node, &meant)?;
    let quoted = text.quoted();
    let mut units = text.value.split(|c: char| !c.is_alphabetic());
    let problem = if units.any(|unit| unit == "M") {
        let message = format!("`M` would be months in `{name}`: {quoted}");
        Problem::error("invalid-duration", &text.place, message, meant)
    } else {
        match parse(&text.value) {
            Some(duration) if duration.is_zero() || (SHORTEST..=LONGEST).contains(&duration) => {
                return Some((duration, text));
            }
            Some(_) => {
                let message = format!("`{name}` must be from 1ms to 1 year, not {quoted}");
                Problem::error("out-of-range", &text.place, message, help(name, None))
            }
            None => {
                let message = format!("`{name}` is not a duration: {quoted}");
                Problem::error("invalid-duration", &text.place, message, meant)
            }
        }
    };
    cx.report(problem);
    None
}

fn help(name: &str, likely: Option<String>) -> String {
    const UNITS: &str = "a number and its unit: ms, s, m, h, d";
    match likely {
        Some(likely) => format!("write `{name} = \"{likely}\"`: {UNITS}"),
        None => format!("write `{name} = \"10s\"` or the like: {UNITS}"),
    }
}

/// What may be meant by a number with a unit in other words, or with none.
fn likely(text: &str) -> Option<String> {
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
    Some(format!("{number}{unit}"))
}

fn parse(text: &str) -> Option<Duration> {
    if text.bytes().filter(u8::is_ascii_digit).count() > DIGITS {
        return None;
    }
    humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_too_long_for_any_clock_is_refused_and_no_panic() {
        assert_eq!(parse("1h 30m"), Some(Duration::from_secs(5400)));
        for wrong in ["", "5", "5 minuts", "-5s", "18446744073709551615s 1000ms"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_unit_in_other_words_is_understood() {
        for (text, expected) in [
            ("5 minuts", Some("5m")),
            ("5M", Some("5m")),
            ("30", Some("30s")),
            ("30 Sek", Some("30s")),
            ("10 millis", Some("10ms")),
            ("2 mons", None),
            ("1.5h", None),
            ("five", None),
            ("1h x", None),
        ] {
            assert_eq!(likely(text).as_deref(), expected, "{text}");
        }
    }
}
