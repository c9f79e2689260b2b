//! How many users one change may remove.

use std::fmt;

/// `max_removal`: the most users that may be removed from a toggle at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum MaxRemoval {
    /// Nothing is said: half of those who have it, where they are ten or more. A share says nothing of
    /// fewer.
    #[default]
    Unset,
    /// So many percent of those who have it.
    Percent(f64),
    /// So many users, and never all of them.
    Users(usize),
    /// Anybody may be removed.
    Off,
}

/// From how many users on the limit holds where the configuration says nothing.
const FROM: usize = 10;

impl MaxRemoval {
    /// Whether so many of those who have a toggle may be removed, after which so many are left.
    pub(crate) fn allows(self, removed: usize, of: usize, left: usize) -> bool {
        match self {
            MaxRemoval::Unset => of < FROM || removed * 2 <= of,
            MaxRemoval::Percent(percent) => removed as f64 * 100.0 <= percent * of as f64,
            MaxRemoval::Users(users) => removed == 0 || (removed <= users && left > 0),
            MaxRemoval::Off => true,
        }
    }

    /// Whether everybody may be removed, however many these are.
    pub(crate) fn allows_everybody(self) -> bool {
        match self {
            MaxRemoval::Percent(percent) => percent >= 100.0,
            MaxRemoval::Off => true,
            MaxRemoval::Unset | MaxRemoval::Users(_) => false,
        }
    }
}

impl fmt::Display for MaxRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxRemoval::Unset => f.write_str("\"50%\""),
            MaxRemoval::Percent(percent) => write!(f, "\"{percent}%\""),
            MaxRemoval::Users(users) => write!(f, "{users}"),
            MaxRemoval::Off => f.write_str("\"off\""),
        }
    }
}
