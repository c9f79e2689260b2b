//! How many users one change may remove.

use std::fmt;

/// `max_removal`: the most users that one change may remove from a toggle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxRemoval {
    /// So many percent of those who have it.
    Percent(f64),
    /// So many users.
    Users(usize),
}

impl MaxRemoval {
    /// Whether so many of those who have a toggle may be removed at once.
    pub fn allows(self, removed: usize, of: usize) -> bool {
        match self {
            MaxRemoval::Percent(percent) => removed as f64 * 100.0 <= percent * of as f64,
            MaxRemoval::Users(users) => removed <= users,
        }
    }

    /// Whether everybody may be removed where it is not known how many have the toggle.
    pub fn allows_anything(self) -> bool {
        matches!(self, MaxRemoval::Percent(percent) if percent >= 100.0)
    }
}

impl fmt::Display for MaxRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxRemoval::Percent(percent) => write!(f, "\"{percent}%\""),
            MaxRemoval::Users(users) => write!(f, "{users}"),
        }
    }
}
