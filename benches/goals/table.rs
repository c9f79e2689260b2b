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
    /// The same work without the program, or the least that it takes; none where there is no such number.
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
    pub(crate) fn new(
        what: &str,
        goal: &str,
        unit: Unit,
        measured: Vec<f64>,
        floor: Vec<f64>,
    ) -> Row {
        Row {
            what: what.to_owned(),
            goal: goal.to_owned(),
            unit,
            measured,
            floor,
        }
    }

    /// One that has no floor.
    pub(crate) fn plain(what: &str, goal: &str, unit: Unit, measured: Vec<f64>) -> Row {
        Row::new(what, goal, unit, measured, Vec::new())
    }

    /// How many times its floor it is: more is worse.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (measured, floor) = (median(&self.measured), median(&self.floor));
        let ratio = match self.unit {
            // Nothing is as much as nothing.
            _ if measured == floor => 1.0,
            // For rates, the floor is the maximum.
            Unit::PerSecond => floor / measured,
            _ => measured / floor,
        };
        (!self.floor.is_empty()).then_some(ratio)
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    line(["what", "goal", "measured", "floor", "ratio"]) + "\n| --- | --- | ---: | ---: | ---: |"
}

/// A row, with the median and the spread of its runs.
pub(crate) fn show(row: &Row) -> String {
    let number = |value: f64| row.unit.number(value);
    let of = |choose: fn(f64, f64) -> f64| row.measured.iter().copied().reduce(choose);
    let spread = [of(f64::min), of(f64::max)].map(|it| it.map(number).unwrap_or_default());
    let mut measured = row.unit.with_name(median(&row.measured));
    if spread[0] != spread[1] {
        let _ = write!(measured, " ({})", spread.join("–"));
    }
    let ratio = row.ratio().map(|ratio| format!("{ratio:.1}"));
    let floor = ratio
        .is_some()
        .then(|| row.unit.with_name(median(&row.floor)));
    let (floor, ratio) = (floor.unwrap_or_default(), ratio.unwrap_or_default());
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
