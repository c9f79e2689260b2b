//! The users of a toggle: a sorted set of user keys, in one buffer.

mod json;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

pub use json::Keys;
pub(crate) use json::describe_wrong;

/// The set of user keys that the policy allows for a toggle: sorted, without duplicates.
///
/// All keys stand in one buffer, because sets of a million users are compared and kept. `Debug`
/// prints the number of users and not their names, which belong to the trace log alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users {
    text: String,
    /// Where each key ends in `text`.
    ends: Vec<u32>,
}

/// The difference between the users that the target has and those that it should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Users that come.
    pub added: Users,
    /// Users that go.
    pub removed: Users,
}

impl Users {
    /// How many users there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether one of the keys is empty: platforms take that for users who are not signed in.
    pub fn has_empty_key(&self) -> bool {
        self.ends.first() == Some(&0)
    }

    /// How long the keys are together, in bytes.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.get(index))
    }

    /// What has to change where the users are `observed`, so that they become these.
    pub fn change_from(&self, observed: &Users) -> Change {
        let mut change = Change::default();
        let mut desired = self.iter().peekable();
        let mut existing = observed.iter().peekable();
        loop {
            let order = match (desired.peek(), existing.peek()) {
                (None, None) => return change,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(here), Some(observed)) => here.cmp(observed),
            };
            match order {
                Ordering::Less => desired.next().map(|key| change.added.push(key)),
                Ordering::Greater => existing.next().map(|key| change.removed.push(key)),
                Ordering::Equal => desired.next().and(existing.next()).map(drop),
            };
        }
    }

    /// These users and those.
    pub fn and(&self, others: &Users) -> Users {
        if self.is_empty() {
            return others.clone();
        }
        self.iter().chain(others.iter()).collect()
    }

    /// How many of those are not among these.
    pub fn lacks(&self, others: &Users) -> usize {
        others.iter().filter(|key| !self.contains(key)).count()
    }

    fn contains(&self, key: &str) -> bool {
        let (mut start, mut end) = (0, self.len());
        while start < end {
            let middle = usize::midpoint(start, end);
            match self.get(middle).cmp(key) {
                Ordering::Less => start = middle + 1,
                Ordering::Equal => return true,
                Ordering::Greater => end = middle,
            }
        }
        false
    }

    fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start as usize..self.ends[index] as usize]
    }

    /// Appends a key; [`Users::sort`] has to follow unless keys come in order.
    ///
    /// Answers of more than 4 GiB are never read (the limit is 64 MiB), so that a `u32` holds every
    /// end.
    fn push(&mut self, key: &str) {
        self.text.push_str(key);
        self.ends.push(self.text.len() as u32);
    }

    /// Restores the invariant. OPA answers sets in order, so that the walk is nearly always all.
    fn sort(self) -> Users {
        let sorted = (1..self.len()).all(|index| self.get(index - 1) < self.get(index));
        if sorted {
            return self;
        }
        let mut keys: Vec<&str> = self.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let mut users = Users::default();
        keys.into_iter().for_each(|key| users.push(key));
        users
    }
}

impl Change {
    /// The changes of all environments together; none where one is not known.
    pub fn of_all(changes: &[Option<Arc<Change>>]) -> Option<Arc<Change>> {
        let mut all: Option<Arc<Change>> = None;
        for change in changes {
            let change = change.as_ref()?;
            all = Some(match all {
                Some(all) if !Arc::ptr_eq(&all, change) => Arc::new(all.or(change)),
                Some(all) => all,
                None => Arc::clone(change),
            });
        }
        all
    }

    /// This change and, after it, that one.
    pub fn then(&self, next: &Change) -> Change {
        let without = |users: &Users, others: &Users| users.change_from(others).added;
        Change {
            added: without(&self.added, &next.removed).and(&without(&next.added, &self.removed)),
            removed: without(&self.removed, &next.added).and(&without(&next.removed, &self.added)),
        }
    }

    /// Both changes together, where they are those of two environments.
    pub fn or(&self, other: &Change) -> Change {
        Change {
            added: self.added.and(&other.added),
            removed: self.removed.and(&other.removed),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

impl<'a> FromIterator<&'a str> for Users {
    fn from_iter<I: IntoIterator<Item = &'a str>>(keys: I) -> Users {
        let mut users = Users::default();
        keys.into_iter().for_each(|key| users.push(key));
        users.sort()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.len())
    }
}

#[cfg(test)]
mod tests;
