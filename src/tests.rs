//! What the tests of several modules share: remotes that answer anything.

pub(crate) mod anything;
pub(crate) mod canned;
