//! Desired and observed users → what to do next at the target.

use std::sync::Arc;
use std::time::Instant;

use crate::users::{Change, Users};

/// What is known of a toggle at the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Observed {
    /// Nothing: it has to be read, or created to find out whether it exists.
    #[default]
    Unknown,
    /// The target does not have it.
    Absent,
    /// The target has it.
    Present(Present),
}

/// A toggle that the target has.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// Whether its metadata follow `spec`.
    pub(crate) described: bool,
    /// A target without environments counts as one.
    pub(crate) environments: Vec<Environment>,
}

/// A toggle in one environment of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Environment {
    /// Who has the toggle, if known.
    pub(crate) users: Option<Arc<Users>>,
    /// Users who are named in a flag that does not serve exactly these: for the removal limit, they have it.
    pub(crate) named: Option<Arc<Users>>,
    /// Whether only users can differ.
    pub(crate) in_order: bool,
}

/// What was sent to a toggle, for the removal limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The users who were sent or read last, and those who may have been added since.
    last: Option<Arc<Users>>,
    /// An update since then may or may not have been applied.
    in_doubt: bool,
    /// The changes in each environment, from the first removal on.
    steps: Vec<(Instant, Vec<Arc<Change>>)>,
}

/// How many users of one environment an update would remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) removed: usize,
    pub(crate) of: usize,
}

/// A step at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the toggle.
    Read,
    /// Create it.
    Create,
    /// Set its metadata to its `spec`.
    Describe,
    /// Set its users.
    Update,
}

impl Observed {
    /// The steps that remain until the toggle exists, is on for exactly the desired users in every environment,
    /// and follows its `spec`. Each can be taken without those before it.
    ///
    /// While the users are unknown, `desired` is none and nothing is done about them. A target that is not
    /// `readable` shows by a creation whether a toggle exists.
    pub fn steps(&self, desired: Option<&Users>, readable: bool) -> Vec<Step> {
        let present = match self {
            Observed::Unknown if readable => return vec![Step::Read],
            Observed::Unknown | Observed::Absent => return vec![Step::Create],
            Observed::Present(present) => present,
        };
        let lacks_users = desired.is_some_and(|desired| !present.is_on_for(desired));
        let steps = [
            lacks_users.then_some(Step::Update),
            (!present.described).then_some(Step::Describe),
        ];
        steps.into_iter().flatten().collect()
    }

    /// After a request whose outcome is unknown.
    pub(crate) fn forget_users(&mut self, readable: bool) {
        match self {
            Observed::Present(present) if !readable => {
                let environments = present.environments.iter_mut();
                environments.for_each(|environment| environment.users = None);
            }
            _ => *self = Observed::Unknown,
        }
    }

    /// Forgets all that could have been changed by hand: it is read again, or sent again.
    pub(crate) fn forget(&mut self, readable: bool) {
        self.forget_users(readable);
        if let Observed::Present(present) = self {
            present.described = false;
        }
    }

    /// The change of each environment, none where its users are unknown. Environments with the same users
    /// share it.
    pub(crate) fn changes_to(&self, desired: &Users) -> Vec<Option<Arc<Change>>> {
        let present = match self {
            Observed::Unknown => return vec![None],
            Observed::Absent => {
                return vec![Some(Arc::new(desired.change_from(&Users::default())))];
            }
            Observed::Present(present) => present,
        };
        let mut known: Vec<(&Arc<Users>, Arc<Change>)> = Vec::new();
        let mut changes = Vec::with_capacity(present.environments.len());
        for environment in &present.environments {
            changes.push(environment.users.as_ref().map(|users| {
                let mut known_changes = known.iter();
                if let Some((_, change)) = known_changes.find(|(it, _)| Arc::ptr_eq(it, users)) {
                    return Arc::clone(change);
                }
                let change = Arc::new(desired.change_from(users));
                known.push((users, Arc::clone(&change)));
                change
            }));
        }
        changes
    }

    /// Whether nothing but its users can differ from what is desired.
    pub(crate) fn is_in_order(&self) -> bool {
        let in_order = |present: &Present| present.environments.iter().all(|it| it.in_order);
        matches!(self, Observed::Present(present) if in_order(present))
    }

    /// What an update would remove in each environment, given its change there: from the users who have the
    /// toggle, and from those who had it before each removal in `history`. None where they are unknown.
    pub(crate) fn removals(
        &self,
        desired: &Users,
        changes: &[Option<Arc<Change>>],
        history: &History,
    ) -> Vec<Option<Removal>> {
        let nothing = Environment::default();
        let environments = match self {
            Observed::Present(present) => &present.environments[..],
            Observed::Unknown | Observed::Absent => std::slice::from_ref(&nothing),
        };
        let mut removals = Vec::new();
        for (number, (environment, change)) in environments.iter().zip(changes).enumerate() {
            let removal = environment.removal(desired, change.as_deref(), history);
            removals.push(removal);
            // Earlier removals alone hold nothing back.
            if let Some(removal) = removal.filter(|removal| removal.removed > 0) {
                let earlier = history.earlier(number, desired, removal);
                removals.extend(earlier.into_iter().map(Some));
            }
        }
        removals
    }

    /// An equal set that an environment already has.
    pub(crate) fn same(&self, users: &Users) -> Option<&Arc<Users>> {
        let Observed::Present(present) = self else {
            return None;
        };
        let environments = present.environments.iter();
        let mut known = environments.filter_map(|it| it.users.as_ref());
        known.find(|known| ***known == *users)
    }

    /// The users were sent successfully.
    pub fn set_users(&mut self, users: &Arc<Users>) {
        if let Observed::Present(present) = self {
            for environment in &mut present.environments {
                *environment = Environment {
                    users: Some(Arc::clone(users)),
                    in_order: true,
                    ..Environment::default()
                };
            }
        }
    }
}

impl Present {
    /// A toggle of a target without environments.
    pub(crate) fn plain(described: bool, users: Option<Arc<Users>>) -> Present {
        let environment = Environment {
            users,
            in_order: true,
            ..Environment::default()
        };
        Present {
            described,
            environments: vec![environment],
        }
    }

    fn is_on_for(&self, desired: &Users) -> bool {
        let is_on = |it: &Environment| it.in_order && it.users.as_deref() == Some(desired);
        self.environments.iter().all(is_on)
    }
}

impl Environment {
    fn removal(
        &self,
        desired: &Users,
        change: Option<&Change>,
        history: &History,
    ) -> Option<Removal> {
        let users = self.users.as_deref().or(history.last.as_deref());
        let had = match (users, self.named.as_deref()) {
            (Some(users), Some(named)) => &users.and(named),
            (users, named) => users.or(named)?,
        };
        let removed = match change.filter(|_| self.named.is_none()) {
            Some(change) => change.removed.len(),
            None => desired.change_from(had).removed.len(),
        };
        Some(Removal {
            removed,
            of: had.len(),
        })
    }
}

/// How many steps are kept: older ones are merged.
const STEPS: usize = 64;

impl History {
    /// Of a toggle that was just created, and has no users.
    pub(crate) fn of_new() -> History {
        History {
            last: Some(Arc::default()),
            ..History::default()
        }
    }

    pub(crate) fn forget_before(&mut self, start: Instant) {
        self.steps.retain(|(at, _)| *at >= start);
    }

    pub(crate) fn sent(
        &mut self,
        users: &Arc<Users>,
        changes: &[Option<Arc<Change>>],
        now: Instant,
    ) {
        let before = self.last.replace(Arc::clone(users));
        let is_known = changes.iter().all(Option::is_some);
        let unknown = match before {
            Some(before) if !is_known => Arc::new(users.change_from(&before)),
            _ => Arc::default(),
        };
        let change = |known: &Option<Arc<Change>>| known.as_ref().unwrap_or(&unknown).clone();
        self.note(changes.iter().map(change).collect(), now);
        self.in_doubt = false;
    }

    /// An update with these users may or may not have been applied: all who may have the toggle count.
    pub(crate) fn may_have(&mut self, sent: &Users) {
        if let Some(last) = &mut self.last {
            *last = Arc::new(last.and(sent));
        }
        self.in_doubt = true;
    }

    /// The toggle was read. If it differs from what was sent, it was changed by hand, and earlier removals no
    /// longer count.
    pub(crate) fn seen(&mut self, environments: &[Environment], now: Instant) {
        // If the users of one environment are unknown, the others prove nothing.
        let known = environments.iter().map(|it| it.users.as_ref());
        let known: Vec<&Arc<Users>> = known.collect::<Option<_>>().unwrap_or_default();
        let Some(largest) = known.iter().copied().max_by_key(|users| users.len()) else {
            return;
        };
        match &self.last {
            Some(last) if known.contains(&last) => {}
            Some(last) if self.in_doubt => {
                self.note(vec![Arc::new(largest.change_from(last))], now);
            }
            _ => self.steps.clear(),
        }
        self.in_doubt = false;
        if !self.last.as_ref().is_some_and(|last| known.contains(&last)) {
            self.last = Some(Arc::clone(largest));
        }
    }

    fn note(&mut self, changes: Vec<Arc<Change>>, now: Instant) {
        let removes = changes.iter().any(|change| !change.removed.is_empty());
        if removes || !self.steps.is_empty() {
            self.steps.push((now, changes));
        }
        if self.steps.len() > STEPS {
            let (_, first) = self.steps.remove(0);
            let (at, second) = &mut self.steps[0];
            let then = |(first, second): (&Arc<Change>, &Arc<Change>)| Arc::new(first.then(second));
            (*at, *second) = (*at, first.iter().zip(second.iter()).map(then).collect());
        }
    }

    /// What an update would remove from the users who had the toggle before each earlier removal, given what
    /// it removes from those who have it now.
    fn earlier(&self, environment: usize, desired: &Users, now: Removal) -> Vec<Removal> {
        let mut earlier = Vec::new();
        let mut removal = now;
        for (_, changes) in self.steps.iter().rev() {
            // If the environments have changed, any change of the step will do.
            let Some(change) = changes.get(environment).or(changes.last()) else {
                continue;
            };
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
