//! `optoggles sync`.

mod answers;
mod failures;
mod names;
mod options;
mod report;
mod requests;
