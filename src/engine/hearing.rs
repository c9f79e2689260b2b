//! An OPAL that is registered with and never calls back, although there were changes to call for.

use crate::job::SourceId;

use super::{Engine, Notice};

/// What is known of a source's callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hearing {
    /// None has come, and none was missed.
    #[default]
    Silent,
    /// A resync found other users, and nobody had called: the call may be on its way.
    Missed,
    /// That has lasted, and was told.
    Deaf,
    /// Callbacks come.
    Heard,
}

impl Engine {
    pub(super) fn heard_callback(&mut self, id: SourceId) {
        self.sources[id].hearing = Hearing::Heard;
    }

    /// A pass for which nobody called has found other users than before.
    pub(super) fn missed_callback(&mut self, id: SourceId) {
        let source = &mut self.sources[id];
        if source.has_registered && source.hearing == Hearing::Silent {
            source.hearing = Hearing::Missed;
        }
    }

    /// The registration is there, and is ours: whoever could call would have done so by now.
    pub(super) fn tell_if_deaf(&mut self, id: SourceId) {
        if self.sources[id].hearing != Hearing::Missed {
            return;
        }
        self.sources[id].hearing = Hearing::Deaf;
        let name = self.source_name(id);
        let advertised = self.config.sources[id].advertised_address();
        let Some(address) = advertised.map(ToString::to_string) else {
            return;
        };
        self.notices.push(Notice::Unheard { name, address });
    }
}
