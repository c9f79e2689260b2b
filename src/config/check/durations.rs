//! Durations such as `5m`.

use std::time::Duration;

use crate::config::problem::Problem;
use crate::config::reader::{Context, Node};
use crate::duration::{UNITS, Wrong, likely, parse, parse_or_zero};

/// A duration of more than zero; `default` is shown to who writes none.
pub(super) fn duration(cx: &mut Context, node: &Node, default: Duration) -> Option<Duration> {
    read(cx, node, default, parse)
}

/// A duration for which `"0s"` means: never.
pub(super) fn interval(cx: &mut Context, node: &Node, default: Duration) -> Option<Duration> {
    read(cx, node, default, parse_or_zero).filter(|duration| !duration.is_zero())
}

fn read(
    cx: &mut Context,
    node: &Node,
    default: Duration,
    parse: fn(&str) -> Result<Duration, Wrong>,
) -> Option<Duration> {
    let name = &node.place.name;
    let help = match node.plain().as_deref().and_then(likely) {
        Some(likely) => format!("write `{name} = \"{likely}\"`: {UNITS}"),
        None => {
            let default = humantime::format_duration(default);
            format!("write `{name} = \"{default}\"` or the like: {UNITS}")
        }
    };
    let text = cx.text_like(node, &help)?;
    let wrong = match parse(&text.value) {
        Ok(duration) => return Some(duration),
        Err(wrong) => wrong,
    };
    let code = match wrong {
        Wrong::NoDuration | Wrong::Months => "invalid-duration",
        Wrong::OutOfRange | Wrong::OutOfRangeOrZero => "out-of-range",
    };
    let message = format!("`{name}` {wrong}: {}", text.quoted());
    cx.report(Problem::error(code, &text.place, message, help));
    None
}
