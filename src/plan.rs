//! Users wanted and users there → what to do next at the target.

use std::any::Any;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::users::{Change, Users};

/// What is known of a toggle at the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum There {
    /// Nothing: it has to be read, or created to see if it is there.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It is there.
    Present(Present),
}

/// A toggle that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// Whether its metadata follow `spec`.
    pub described: bool,
    /// Who has it, in each environment that it is kept in; a target without environments is one.
    pub environments: Vec<Environment>,
    /// What the target wants to be reminded of when the toggle is changed.
    pub memo: Memo,
}

/// A toggle in one environment of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    /// Who has the toggle, where that is known.
    pub users: Option<Arc<Users>>,
    /// Whether it is on for nobody else, whatever becomes of them: nothing but users can differ.
    pub in_order: bool,
}

/// What a target knows of a toggle, and nobody else can make sense of.
#[derive(Clone, Default)]
pub struct Memo(Option<Arc<dyn Any + Send + Sync>>);

/// Of how many users of one environment an update would remove how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// So many would lose the toggle.
    pub removed: usize,
    /// So many have it.
    pub of: usize,
}

/// One thing to do at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the toggle.
    Read,
    /// Create it.
    Create,
    /// Bring its metadata in line with `spec`.
    Describe,
    /// Set its users.
    Update,
}

impl There {
    /// The next step, if there is one, towards a toggle that exists, follows its `spec`, and is on
    /// for exactly the users that are wanted, in every environment.
    ///
    /// `wanted` is none where the users are not known: then nothing is done about them. `readable`
    /// tells whether the target can be read; where it cannot, creating tells if a toggle exists.
    pub fn next_step(&self, wanted: Option<&Users>, readable: bool) -> Option<Step> {
        match self {
            There::Unknown if readable => Some(Step::Read),
            There::Unknown | There::Absent => Some(Step::Create),
            There::Present(present) if !present.described => Some(Step::Describe),
            There::Present(present) => {
                let wanted = wanted?;
                (!present.is_on_for(wanted)).then_some(Step::Update)
            }
        }
    }

    /// Whether these users would be sent, now or after steps that come before; in a toggle that is
    /// created for a target that can be read, nobody is known to lose anything.
    pub fn lacks(&self, wanted: &Users, readable: bool) -> bool {
        match self {
            There::Unknown | There::Absent => !readable,
            There::Present(present) => !present.is_on_for(wanted),
        }
    }

    /// Forgets the users, after a request whose outcome is not known.
    pub fn forget_users(&mut self, readable: bool) {
        match self {
            There::Present(present) if !readable => {
                let environments = present.environments.iter_mut();
                environments.for_each(|environment| environment.users = None);
            }
            _ => *self = There::Unknown,
        }
    }

    /// Forgets all that could have been changed by hand, for a resync: what can be read is read
    /// again, the rest is sent again.
    pub fn forget(&mut self, readable: bool) {
        self.forget_users(readable);
        if let There::Present(present) = self {
            present.described = false;
        }
    }

    /// Who comes and who goes, in one environment or another, where these users are sent; none
    /// where it is not known who has the toggle.
    pub fn change_to(&self, wanted: &Users) -> Option<Change> {
        match self {
            There::Unknown => None,
            There::Absent => Some(wanted.change_from(&Users::default())),
            There::Present(present) => present.change_to(wanted),
        }
    }

    /// Whether nothing but its users can differ from what is wanted.
    pub fn is_in_order(&self) -> bool {
        let in_order = |present: &Present| present.environments.iter().all(|it| it.in_order);
        matches!(self, There::Present(present) if in_order(present))
    }

    /// What an update would take away, in each environment; none for one in which it is not known who
    /// has the toggle. `last` is who was sent last, for a target that cannot be read.
    pub fn removals(&self, wanted: &Users, last: Option<&Users>) -> Vec<Option<Removal>> {
        let removal = |users: Option<&Users>| {
            let users = users.or(last)?;
            Some(Removal {
                removed: wanted.change_from(users).removed.len(),
                of: users.len(),
            })
        };
        match self {
            There::Unknown | There::Absent => vec![removal(None)],
            There::Present(present) => {
                let environments = present.environments.iter();
                let users = environments.map(|environment| environment.users.as_deref());
                users.map(removal).collect()
            }
        }
    }

    /// The set that equals this one, if an environment has it.
    pub fn same(&self, users: &Users) -> Option<&Arc<Users>> {
        let There::Present(present) = self else {
            return None;
        };
        let known = present.environments.iter();
        let mut known = known.filter_map(|environment| environment.users.as_ref());
        known.find(|known| ***known == *users)
    }

    /// Takes note that the users were sent, with success.
    pub fn set_users(&mut self, users: &Arc<Users>) {
        if let There::Present(present) = self {
            for environment in &mut present.environments {
                *environment = Environment::of(Arc::clone(users));
            }
        }
    }
}

impl Present {
    /// A toggle of a target without environments, with these users where they are known.
    pub fn plain(described: bool, users: Option<Arc<Users>>) -> Present {
        let in_order = true;
        Present {
            described,
            environments: vec![Environment { users, in_order }],
            memo: Memo::default(),
        }
    }

    fn is_on_for(&self, wanted: &Users) -> bool {
        self.environments
            .iter()
            .all(|environment| environment.is_on_for(wanted))
    }

    fn change_to(&self, wanted: &Users) -> Option<Change> {
        let mut changes = self
            .environments
            .iter()
            .map(|environment| Some(wanted.change_from(environment.users.as_ref()?)));
        let first = changes.next().unwrap_or_else(|| Some(Change::default()))?;
        changes.try_fold(first, |all, change| Some(all.or(&change?)))
    }
}

impl Removal {
    /// By the share of those who have the toggle, and where that is the same, by their number.
    pub fn cmp_share(&self, other: &Removal) -> Ordering {
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
            in_order: true,
        }
    }

    /// Whether nothing is left to do for these users.
    pub fn is_on_for(&self, wanted: &Users) -> bool {
        self.in_order && self.users.as_deref() == Some(wanted)
    }
}

impl Memo {
    /// A memo of this.
    pub fn new<T: Send + Sync + 'static>(content: T) -> Memo {
        Memo(Some(Arc::new(content)))
    }

    /// What is in it, where it is of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

/// Two memos are equal where they are the same.
impl PartialEq for Memo {
    fn eq(&self, other: &Memo) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Memo" } else { "no Memo" })
    }
}

#[cfg(test)]
mod tests;
