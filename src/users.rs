//! The users of a toggle: a sorted set of user keys, in one buffer.

mod json;

use std::cmp::Ordering;
use std::fmt;
use std::mem;
use std::ops::Range;

use serde::Serialize;

use crate::memory::give_back;

pub use json::Keys;
pub(crate) use json::describe_wrong;

/// The user keys that a rule allows: sorted, without duplicates, in one buffer, because sets of a million
/// users are compared and kept. `Debug` prints their number only: names belong to the trace log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users {
    text: String,
    /// Where each key ends in `text`.
    ends: Vec<u32>,
}

/// The difference between the observed and the desired users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    #[serde(rename = "added_users")]
    pub(crate) added: Users,
    #[serde(rename = "removed_users")]
    pub(crate) removed: Users,
}

impl Users {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Platforms take an empty key for users who are not signed in.
    pub(crate) fn has_empty_key(&self) -> bool {
        self.ends.first() == Some(&0)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.get(index))
    }

    /// Those at these places, in their order.
    pub(crate) fn part(&self, places: Range<usize>) -> Users {
        let mut part = Users::default();
        part.append(self, places);
        part
    }

    /// The change that turns `observed` into these users.
    pub fn change_from(&self, observed: &Users) -> Change {
        let mut change = Change::default();
        let (mut here, mut there) = (0, 0);
        while here < self.len() && there < observed.len() {
            let (desired, existing) = (self.get(here), observed.get(there));
            let order = desired.cmp(existing);
            match order {
                Ordering::Less => change.added.push(desired),
                Ordering::Greater => change.removed.push(existing),
                Ordering::Equal => {}
            }
            here += usize::from(order.is_le());
            there += usize::from(order.is_ge());
        }
        change.added.append(self, here..self.len());
        change.removed.append(observed, there..observed.len());
        change
    }

    pub(crate) fn and(&self, others: &Users) -> Users {
        if self.is_empty() {
            return others.clone();
        }
        self.iter().chain(others.iter()).collect()
    }

    /// How many of the others are missing here.
    pub(crate) fn lacks(&self, others: &Users) -> usize {
        others.iter().filter(|key| !self.contains(key)).count()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
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
        &self.text[self.end(index)..self.end(index + 1)]
    }

    /// Where so many keys end in the text.
    fn end(&self, count: usize) -> usize {
        match count {
            0 => 0,
            _ => self.ends[count - 1] as usize,
        }
    }

    /// Appends a key; [`Users::sort`] has to follow unless keys come in order. Responses have 64 MiB at
    /// most, so a `u32` holds every end.
    fn push(&mut self, key: &str) {
        self.text.push_str(key);
        self.ends.push(self.text.len() as u32);
    }

    /// The same of many.
    fn append(&mut self, others: &Users, places: Range<usize>) {
        let (old, new) = (others.end(places.start), self.text.len());
        self.text
            .push_str(&others.text[old..others.end(places.end)]);
        let ends = others.ends[places].iter();
        self.ends
            .extend(ends.map(|end| (*end as usize - old + new) as u32));
    }

    /// OPA returns sets in order, so nearly always the check is all there is to do.
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

impl Drop for Users {
    fn drop(&mut self) {
        give_back(mem::take(&mut self.text).into_bytes());
        give_back(mem::take(&mut self.ends));
    }
}

impl Change {
    /// That of two environments together.
    pub(crate) fn and(&self, other: &Change) -> Change {
        Change {
            added: self.added.and(&other.added),
            removed: self.removed.and(&other.removed),
        }
    }

    pub(crate) fn then(&self, next: &Change) -> Change {
        let without = |users: &Users, others: &Users| users.change_from(others).added;
        Change {
            added: without(&self.added, &next.removed).and(&without(&next.added, &self.removed)),
            removed: without(&self.removed, &next.added).and(&without(&next.removed, &self.added)),
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
