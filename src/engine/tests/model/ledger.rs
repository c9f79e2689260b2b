//! What the lines of the audit log add up to: each update's change, from what the targets had on.

use std::collections::{BTreeMap, BTreeSet};

use super::remote::Remote;
use super::setup::{Place, places};
use super::*;
use crate::engine::toggle::Existence;
use crate::engine::{Update, Why};

pub(super) struct Ledger {
    users: BTreeMap<Place, Users>,
    /// Who had the toggle when it was last in sync.
    in_sync: BTreeMap<Place, Arc<Users>>,
    /// How often others had changed something by the last check, and where the engine does not know of it.
    meddled: BTreeMap<Place, usize>,
    unknown: BTreeSet<Place>,
}

impl Ledger {
    pub(super) fn new(remote: &Remote) -> Ledger {
        let has = |place| (place, remote.has(place).unwrap_or_default());
        Ledger {
            users: places().map(has).collect(),
            in_sync: BTreeMap::new(),
            meddled: remote.meddled(),
            unknown: BTreeSet::new(),
        }
    }

    /// Starts over from what is there.
    pub(super) fn start_over(&mut self, place: Place, remote: &Remote) {
        let has = remote.has(place).unwrap_or_default();
        self.users.insert(place, has);
    }

    pub(super) fn add(&mut self, place: Place, update: &Update) {
        let Update {
            users, change, why, ..
        } = update;
        if *why == Some(Why::Drift) {
            let before = self.in_sync.get(&place);
            assert_eq!(before, Some(users), "no drift: {place:?}");
        }
        let has = self.users.get_mut(&place).unwrap();
        match (why, change) {
            (Some(_), Some(change)) => {
                *has = change.removed.change_from(has).removed.and(&change.added);
                assert!(users.lacks(&change.added) == 0, "{place:?}");
            }
            // It is not known what that has put right.
            _ => *has = Users::clone(users),
        }
    }

    /// Fails unless the lines say what a target has, where the engine knows that, by its own ids. No line
    /// tells what others change.
    pub(super) fn check(&mut self, place: Place, engine: &Engine, local: Place, remote: &Remote) {
        let (id, number) = local;
        let toggle = &engine.toggles[id];
        let environment = &toggle.environments[number];
        if let Some(desired) = engine.desired(id).filter(|it| environment.is_on_for(it)) {
            self.in_sync.insert(place, Arc::clone(desired));
        }
        let meddled = remote.meddled_at(place);
        if self.meddled.insert(place, meddled) != Some(meddled) {
            self.unknown.insert(place);
        }
        if remote.is_meddled_with(place) {
            return;
        }
        if self.unknown.remove(&place) {
            self.start_over(place, remote);
        }
        let observed = environment.observed.as_ref();
        let is_known = observed.is_some_and(|it| it.users.is_some());
        let is_there = toggle.existence == Existence::Present;
        if is_there && is_known && environment.sending.is_none() {
            let has = remote.has(place);
            assert_eq!(has.as_ref(), self.users.get(&place), "{place:?}");
        }
    }
}
