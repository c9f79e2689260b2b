//! What can happen to the engine, and what can look different then.

use std::time::{Duration, Instant};

use crate::job::{Done, SourceId, ToggleId};

/// What an engine is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `serve`: called back by OPAL.
    Serve,
    /// `sync`: a pass every interval.
    Sync {
        /// Time between passes.
        interval: Duration,
    },
    /// `sync --once`, `sync --dry-run`: one pass, then finished.
    Once {
        /// No retry starts later.
        until: Instant,
        /// Whether nothing may be changed at the target.
        dry_run: bool,
        /// Whether changes are made that `max_removal` forbids.
        force: bool,
    },
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// OPAL called back.
    Callback(SourceId),
    /// A job has ended.
    Done(Done),
    /// A request that an engine before this one made for a toggle has ended.
    Ended(ToggleId),
    /// An engine before this one has left a source. It can have been one of ours under another name, so
    /// that our registration went with it.
    Left,
    /// Time has passed.
    Time,
    /// The program is to end: no new requests, but those that say goodbye.
    Stop,
}

/// A row of the status that can have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A source.
    Source(SourceId),
    /// A toggle.
    Toggle(ToggleId),
    /// The target.
    Target,
}
