//! The table: the goals, the measurements, and the cost without the program.

use std::fmt::Write;

/// A line of the table.
pub(crate) struct Row {
    pub(crate) what: String,
    /// As it is written in the table.
    pub(crate) goal: String,
    pub(crate) unit: Unit,
    /// One per run.
    pub(crate) measured: Vec<f64>,
    /// The same work without the program, if that is possible.
    pub(crate) floor: Vec<f64>,
}

/// How a number is shown.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Of seconds.
    Milliseconds,
    Seconds,
    /// Of kB.
    Megabytes,
    Bytes,
    Count,
    PerSecond,
    /// An exponent, or a ratio.
    Plain,
}

impl Row {
    pub(crate) fn new(what: impl ToString, goal: &str, unit: Unit, measured: Vec<f64>) -> Row {
        Row {
            what: what.to_string(),
            goal: goal.to_owned(),
            unit,
            measured,
            floor: Vec::new(),
        }
    }

    pub(crate) fn floor(self, floor: Vec<f64>) -> Row {
        Row { floor, ..self }
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    line(["what", "goal", "measured", "floor", "ratio"]) + "\n| --- | --- | ---: | ---: | ---: |"
}

/// A row, with the median and the spread of its runs.
pub(crate) fn show(row: &Row) -> String {
    let middle = median(&row.measured);
    let number = |value: f64| row.unit.number(value);
    let lowest = row.measured.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = row
        .measured
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let mut measured = row.unit.with_name(middle);
    if number(lowest) != number(highest) {
        let _ = write!(measured, " ({}–{})", number(lowest), number(highest));
    }
    let (floor, ratio) = match row.floor.is_empty() {
        true => (String::new(), String::new()),
        false => {
            let floor = median(&row.floor);
            // For rates, the floor is the maximum.
            let ratio = match row.unit {
                Unit::PerSecond => floor / middle,
                _ => middle / floor,
            };
            (row.unit.with_name(floor), format!("{ratio:.1}"))
        }
    };
    line([&*row.what, &*row.goal, &*measured, &*floor, &*ratio])
}

fn line(cells: [&str; 5]) -> String {
    format!("| {} |", cells.join(" | "))
}

impl Unit {
    fn number(self, value: f64) -> String {
        match self {
            Unit::Milliseconds => format!("{:.2}", value * 1e3),
            Unit::Seconds => format!("{value:.3}"),
            Unit::Megabytes => format!("{:.1}", value / 1e3),
            Unit::Bytes | Unit::Count | Unit::PerSecond => format!("{value:.0}"),
            Unit::Plain => format!("{value:.2}"),
        }
    }

    fn with_name(self, value: f64) -> String {
        let name = match self {
            Unit::Milliseconds => " ms",
            Unit::Seconds => " s",
            Unit::Megabytes => " MB",
            Unit::Bytes => " B",
            Unit::PerSecond => "/s",
            Unit::Count | Unit::Plain => "",
        };
        self.number(value) + name
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}
