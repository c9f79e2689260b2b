//! What is measured: a function for each group of lines in the table.

pub(crate) mod bytes;
pub(crate) mod evaluations;
pub(crate) mod growth;
pub(crate) mod large;
pub(crate) mod many;
pub(crate) mod size;
pub(crate) mod times;

use std::array;

use crate::table::{Row, median};

/// A group of rows by its name, measured in so many runs.
pub(crate) type Group = (&'static str, fn(usize) -> Vec<Row>);

/// All groups, in the order of the table.
pub(crate) const ALL: [Group; 16] = [
    ("latency", times::latency),
    ("trace", times::trace),
    ("start", times::start),
    ("slow", times::slow_target),
    ("apart", times::apart),
    ("flagd", times::flagd),
    ("rules", many::rules),
    ("large", large::million),
    ("growth", growth::exponents),
    ("unchanged", bytes::unchanged),
    ("bytes", bytes::one_of_many),
    ("burst", many::burst),
    ("evaluations", evaluations::rates),
    ("updates", many::updates),
    ("idle", size::idle),
    ("binary", size::binary),
];

/// Measures so many times.
fn repeat<T>(times: usize, measure: impl FnMut(usize) -> T) -> Vec<T> {
    (0..times).map(measure).collect()
}

/// Medians of so many samples in each run, measured and of the floor. The two take turns, so that they see the
/// same machine.
fn in_turn<const N: usize>(
    runs: usize,
    samples: usize,
    mut measure: impl FnMut() -> [f64; N],
    mut floor: impl FnMut() -> [f64; N],
) -> [[Vec<f64>; 2]; N] {
    let runs = repeat(runs, |_| repeat(samples, |_| [measure(), floor()]));
    array::from_fn(|index| {
        [0, 1].map(|side| {
            let run = |run: &Vec<[[f64; N]; 2]>| {
                let samples: Vec<f64> = run.iter().map(|sample| sample[side][index]).collect();
                median(&samples)
            };
            runs.iter().map(run).collect()
        })
    })
}
