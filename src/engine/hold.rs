//! The removal limit: what would take a toggle away from too many users at once is not applied.

use crate::error::Failure;
use crate::job::ToggleId;
use crate::plan::Step;

use super::task::State;
use super::{Engine, Mode, Notice, Thing, Trouble};

impl Engine {
    /// Why the next update of a toggle may not be made; none where it may, or where there is none.
    ///
    /// A set that becomes empty removes everybody. Where it is not known who has the toggle, only an
    /// empty set is held.
    pub(super) fn held_back(&self, id: ToggleId) -> Option<Failure> {
        let limit = self.config.toggles[id].max_removal?;
        if matches!(self.mode, Mode::Once { force: true, .. }) {
            return None;
        }
        let toggle = &self.toggles[id];
        let wanted = toggle.wanted.as_deref()?;
        if toggle.there.next_step(Some(wanted), self.terms.readable) != Some(Step::Update) {
            return None;
        }
        match toggle.there.removal(wanted, toggle.last_sent.as_deref()) {
            Some((removed, of)) => {
                let allowed = limit.allows(removed, of);
                (!allowed).then(|| Failure::held(removed, Some(of), limit))
            }
            None => {
                let held = wanted.is_empty() && !limit.allows_anything();
                held.then(|| Failure::held(0, None, limit))
            }
        }
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
        self.notices.push(Notice::Failing {
            name,
            what: "update",
            failure,
            count: 1,
            retry_in: None,
        });
    }
}
