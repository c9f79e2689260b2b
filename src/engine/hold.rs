//! The removal limit: what would take a toggle away from too many users at once is not applied.

use crate::error::Failure;
use crate::job::ToggleId;

use super::task::State;
use super::{Engine, Mode, Notice, Thing, Trouble};

impl Engine {
    /// Why the next update of a toggle may not be made; none where it may, or where there is none. Other
    /// steps may come before it, which a dry run does not take.
    ///
    /// A set that becomes empty removes everybody. The limit holds in each environment by itself: what
    /// is not known of one lets nothing through in another. Where it is not known in one who has the
    /// toggle, an empty set is held too.
    pub(super) fn held_back(&self, id: ToggleId) -> Option<Failure> {
        let limit = self.config.toggles[id].max_removal?;
        if matches!(self.mode, Mode::Once { force: true, .. }) {
            return None;
        }
        let toggle = &self.toggles[id];
        let wanted = toggle.wanted.as_deref()?;
        if !toggle.there.lacks(wanted, self.terms.readable) {
            return None;
        }
        let removals = toggle.there.removals(wanted, toggle.last_sent.as_deref());
        let known = removals.iter().flatten();
        let too_many = known.filter(|it| !limit.allows(it.removed, it.of));
        let key = &self.config.toggles[id].key;
        if let Some(most) = too_many.max_by(|one, other| one.cmp_share(other)) {
            return Some(Failure::held(most.removed, Some(most.of), limit, key));
        }
        let some_unknown = removals.contains(&None);
        let held = some_unknown && wanted.is_empty() && !limit.allows_anything();
        held.then(|| Failure::held(0, None, limit, key))
    }

    /// Leaves a toggle as it is, and says why: once, as long as the numbers are the same.
    pub(super) fn keep_back(&mut self, id: ToggleId, failure: Failure) {
        self.touched.insert(Thing::Toggle(id));
        let name = self.toggle_name(id);
        let apply = &mut self.toggles[id].apply;
        apply.state = State::Idle;
        if matches!(&apply.trouble, Some(known) if known.failure.kind == failure.kind) {
            return;
        }
        apply.trouble = Some(Trouble {
            what: "update",
            failure: failure.clone(),
            count: 1,
        });
        self.notices.push(Notice::HeldBack { name, failure });
    }
}
