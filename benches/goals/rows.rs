//! What is measured: a function for each group of lines in the table.

pub(crate) mod bytes;
pub(crate) mod growth;
pub(crate) mod large;
pub(crate) mod many;
pub(crate) mod size;
pub(crate) mod times;

use crate::table::Row;

/// A group of rows by its name, measured in so many runs.
pub(crate) type Group = (&'static str, fn(usize) -> Vec<Row>);

/// All groups, in the order of the table.
pub(crate) const ALL: [Group; 16] = [
    ("latency", times::latency),
    ("trace", times::trace),
    ("start", times::start),
    ("slow", times::slow_target),
    ("apart", times::apart),
    ("passes", times::passes),
    ("flagd", times::flagd),
    ("unchanged", bytes::unchanged),
    ("bytes", bytes::one_of_many),
    ("burst", many::burst),
    ("updates", many::updates),
    ("large", large::unchanged),
    ("full", large::full_update),
    ("growth", growth::exponents),
    ("idle", size::idle),
    ("binary", size::binary),
];

/// Measures so many times.
fn repeat<T>(runs: usize, measure: impl FnMut(usize) -> T) -> Vec<T> {
    (0..runs).map(measure).collect()
}
