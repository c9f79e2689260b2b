//! `optoggles sync`.

mod answers;
mod failures;
mod options;
mod report;
mod requests;
