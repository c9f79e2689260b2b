//! Desired and observed users → what an update changes, and how much it removes.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Failure;
use crate::users::{Change, Users};

/// What a target says of a toggle.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// Nothing: it has to be asked about this toggle alone, or again.
    Unknown,
    /// The target does not have it; and the environments, by index, in which it could not be kept either.
    Absent(Vec<(usize, Failure)>),
    /// The target has it.
    Present(Present),
}

/// A toggle that the target has.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// Whether its metadata follow `spec`.
    pub described: bool,
    /// Each environment that it is kept in, or why that cannot be told or kept; a target without
    /// environments is one.
    pub environments: Vec<Result<Environment, Failure>>,
}

/// A toggle in one environment of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    /// Who has the toggle, where that is known.
    pub users: Option<Arc<Users>>,
    /// Who is named there although the flag, as it is, does not serve exactly these users: for the
    /// removal limit they count as having it.
    pub named: Option<Arc<Users>>,
    /// Whether it is on for no other user, whatever becomes of these: nothing but users can differ.
    pub in_order: bool,
}

/// What was sent for a toggle in an environment, for the removal limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Who was sent last, or found at the target, with those who may have been sent since.
    last: Option<Arc<Users>>,
    /// An update may have been done since `last`, or may not.
    in_doubt: bool,
    /// What was changed, and when, from the first removal on.
    steps: Vec<(Instant, Arc<Change>)>,
}

/// How many of how many users of one environment an update would remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) removed: usize,
    pub(crate) of: usize,
}

impl Observed {
    /// The target does not have it.
    pub(crate) fn absent() -> Observed {
        Observed::Absent(Vec::new())
    }
}

impl Present {
    /// A toggle of a target without environments, with these users where they are known.
    pub fn plain(described: bool, users: Option<Arc<Users>>) -> Present {
        Present {
            described,
            environments: vec![Ok(Environment {
                users,
                named: None,
                in_order: true,
            })],
        }
    }
}

impl Removal {
    /// By the share of those who have the toggle, and where that is the same, by their number.
    pub(crate) fn cmp_share(&self, other: &Removal) -> Ordering {
        let share = |it: &Removal| it.removed as f64 / it.of.max(1) as f64;
        let by_share = share(self).total_cmp(&share(other));
        by_share.then(self.removed.cmp(&other.removed))
    }
}

impl Environment {
    /// One in which exactly these users have the toggle, and nothing else is to be done.
    pub fn of(users: Arc<Users>) -> Environment {
        Environment {
            users: Some(users),
            named: None,
            in_order: true,
        }
    }

    /// What an update would take away, given its change: from those who have the toggle, and from those
    /// who had it before each removal in `history`. None where it is not known who has it.
    pub(crate) fn removals(
        &self,
        desired: &Users,
        change: Option<&Change>,
        history: &History,
    ) -> Option<Vec<Removal>> {
        let users = self.users.as_deref().or(history.last.as_deref());
        let had = match (users, self.named.as_deref()) {
            (Some(users), Some(named)) => &users.and(named),
            (users, named) => users.or(named)?,
        };
        let removed = match change.filter(|_| self.named.is_none()) {
            Some(change) => change.removed.len(),
            None => desired.lacks(had),
        };
        let of = had.len();
        let mut removals = vec![Removal { removed, of }];
        // What takes nothing away now is not held for what was taken away before.
        if removed > 0 {
            removals.extend(history.earlier(desired, removals[0]));
        }
        Some(removals)
    }

    /// Whether nothing is left to do for these users.
    pub fn is_on_for(&self, desired: &Users) -> bool {
        // Sets are large, and mostly the same one.
        let is_same = |users: &Users| std::ptr::eq(users, desired) || users == desired;
        self.in_order && self.users.as_deref().is_some_and(is_same)
    }
}

/// How many steps are kept apart: older ones are taken together.
const STEPS: usize = 64;

impl History {
    pub(crate) fn forget_before(&mut self, start: Instant) {
        self.steps.retain(|(at, _)| *at >= start);
    }

    /// These users were sent, with this change where it is known.
    pub(crate) fn sent(&mut self, users: &Arc<Users>, change: Option<&Arc<Change>>, now: Instant) {
        let before = self.last.replace(Arc::clone(users));
        let change = match (change, before) {
            (Some(change), _) => Arc::clone(change),
            (None, Some(before)) if !(before.is_empty() && self.steps.is_empty()) => {
                Arc::new(users.change_from(&before))
            }
            (None, _) => Arc::default(),
        };
        self.note(change, now);
        self.in_doubt = false;
    }

    /// Whether exactly these users were sent last, or found.
    pub(crate) fn ends_with(&self, users: &Users) -> bool {
        self.last.as_deref() == Some(users)
    }

    /// These users were sent, and it is not known whether that was done: who may have the toggle has it.
    pub(crate) fn may_have(&mut self, sent: &Users) {
        if let Some(last) = &mut self.last {
            *last = Arc::new(last.and(sent));
        }
        self.in_doubt = true;
    }

    /// The target says who has the toggle. Where that is not what was sent, it was changed by hand, and
    /// what was removed before counts no longer.
    pub(crate) fn seen(&mut self, users: &Arc<Users>, now: Instant) {
        match &self.last {
            Some(last) if last == users => {}
            Some(last) if self.in_doubt => {
                let change = Arc::new(users.change_from(last));
                self.note(change, now);
            }
            _ => self.steps.clear(),
        }
        self.in_doubt = false;
        self.last = Some(Arc::clone(users));
    }

    fn note(&mut self, change: Arc<Change>, now: Instant) {
        if !change.removed.is_empty() || !self.steps.is_empty() {
            self.steps.push((now, change));
        }
        if self.steps.len() > STEPS {
            let (_, first) = self.steps.remove(0);
            let second = &mut self.steps[0].1;
            *second = Arc::new(first.then(second));
        }
    }

    /// What an update would take away from those who had the toggle before each removal that is known of,
    /// given what it takes away from those who have it now.
    fn earlier(&self, desired: &Users, mut removal: Removal) -> Vec<Removal> {
        let mut earlier = Vec::new();
        for (_, change) in self.steps.iter().rev() {
            let Change { added, removed } = &**change;
            removal.of = (removal.of + removed.len()).saturating_sub(added.len());
            removal.removed =
                (removal.removed + desired.lacks(removed)).saturating_sub(desired.lacks(added));
            if !removed.is_empty() {
                earlier.push(removal);
            }
        }
        earlier
    }
}

#[cfg(test)]
mod tests;
