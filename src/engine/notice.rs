//! What the engine has to tell, for the log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Failure;
use crate::users::{Change, Users};

/// Why a pass is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The program has just connected to the source, for the first time or anew.
    Connected,
    /// OPAL called back.
    Callback,
    /// OPA is somewhere else than before.
    Moved,
    /// The file holds something else than before.
    Changed,
    /// OPA has loaded everything.
    Ready,
    /// `poll_interval`, or `sync --interval`.
    Poll,
    /// `resync_interval`.
    Resync,
    /// The configuration was read again.
    Reload,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Connected => "connected",
            Cause::Callback => "callback",
            Cause::Moved => "moved",
            Cause::Changed => "changed",
            Cause::Ready => "ready",
            Cause::Poll => "poll",
            Cause::Resync => "resync",
            Cause::Reload => "reload",
        })
    }
}

/// One event for the log. A name is that of the source or toggle, with the word before it.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A source's OPA is known.
    Discovered {
        /// The source.
        name: String,
        /// OPA's address.
        opa: String,
    },
    /// OPAL will call us back.
    Registered {
        /// The source.
        name: String,
    },
    /// The registration is gone: OPAL was restarted, or somebody took it.
    Lost {
        /// The source.
        name: String,
    },
    /// OPAL has our registration and has never called, although there were changes to call for.
    Unheard {
        /// The source.
        name: String,
        /// Where OPAL was told to call.
        address: String,
    },
    /// OPA has not loaded everything: nothing is applied.
    Held {
        /// The source.
        name: String,
    },
    /// `max_removal` forbids an update.
    HeldBack {
        /// The toggle.
        name: String,
        /// What the update would have done.
        failure: Failure,
    },
    /// It does so no longer.
    Released {
        /// The toggle.
        name: String,
    },
    /// A pass's queries are all answered.
    Pass {
        /// The source.
        name: String,
        /// Why it ran.
        cause: Cause,
        /// How many toggles were asked for.
        toggles: usize,
        /// How many of them have other users than the last time.
        changed: usize,
        /// How many queries failed.
        failed: usize,
        /// How many had not been answered when the next pass began.
        late: usize,
        /// How long it took.
        took: Duration,
    },
    /// A toggle was created.
    Created {
        /// The toggle.
        name: String,
    },
    /// A toggle's users were set.
    Updated {
        /// The toggle.
        name: String,
        /// Its users now.
        users: Arc<Users>,
        /// Who came and who went, where that is known.
        change: Option<Change>,
    },
    /// Something failed.
    Failing {
        /// The source or toggle.
        name: String,
        /// What fails.
        what: &'static str,
        /// How.
        failure: Failure,
        /// How often in a row.
        count: u32,
        /// When it is tried again.
        retry_in: Option<Duration>,
    },
    /// Something that failed will be tried again.
    Retry {
        /// The source or toggle.
        name: String,
        /// What failed.
        what: &'static str,
        /// In how long.
        wait: Duration,
    },
    /// Something that failed works again.
    Mended {
        /// The source or toggle.
        name: String,
        /// What failed.
        what: &'static str,
        /// How often it had failed.
        count: u32,
    },
    /// The target asked for a pause (429).
    Paused {
        /// How long.
        wait: Duration,
    },
}
