//! The users of a toggle: a sorted set of user keys, in one buffer.

mod json;

use std::cmp::Ordering;
use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::memory::give_back;

pub use json::Keys;
pub(crate) use json::describe_wrong;

/// The user keys that a rule allows: sorted, without duplicates, in one buffer, because sets of a million
/// users are compared and kept. `Debug` prints their number only: names belong to the trace log.
#[derive(Clone, Default)]
pub struct Users {
    buffer: Arc<Buffer>,
    /// Which keys of the buffer: a change that is most of a set shares the set's.
    places: Range<usize>,
}

/// Keys one after the other.
#[derive(Default)]
struct Buffer {
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
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Platforms take an empty key for users who are not signed in.
    pub(crate) fn has_empty_key(&self) -> bool {
        self.iter().next() == Some("")
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text().len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Those at these places, in their order. They keep the others in memory.
    pub(crate) fn part(&self, places: Range<usize>) -> Users {
        let start = self.places.start;
        Users {
            buffer: Arc::clone(&self.buffer),
            places: start + places.start..start + places.end,
        }
    }

    /// The change that turns `observed` into these users.
    pub fn change_from(&self, observed: &Users) -> Change {
        let (mut added, mut removed) = (Picked::of(self), Picked::of(observed));
        let (mut here, mut there) = (0, 0);
        while here < self.len() && there < observed.len() {
            let order = self.get(here).cmp(observed.get(there));
            match order {
                Ordering::Less => added.pick(here..here + 1),
                Ordering::Greater => removed.pick(there..there + 1),
                Ordering::Equal => {}
            }
            here += usize::from(order.is_le());
            there += usize::from(order.is_ge());
        }
        added.pick(here..self.len());
        removed.pick(there..observed.len());
        Change {
            added: added.users(),
            removed: removed.users(),
        }
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
        self.buffer.get(self.places.start + index)
    }

    /// Where each key ends in the text.
    fn ends(&self) -> impl Iterator<Item = usize> {
        let start = self.buffer.end(self.places.start);
        let ends = self.buffer.ends[self.places.clone()].iter();
        ends.map(move |end| *end as usize - start)
    }

    /// All keys, one after the other.
    fn text(&self) -> &str {
        self.buffer.text(self.places.clone())
    }
}

impl PartialEq for Users {
    fn eq(&self, other: &Users) -> bool {
        self.text() == other.text() && self.ends().eq(other.ends())
    }
}

impl Eq for Users {}

impl Buffer {
    fn get(&self, index: usize) -> &str {
        self.text(index..index + 1)
    }

    fn text(&self, places: Range<usize>) -> &str {
        &self.text[self.end(places.start)..self.end(places.end)]
    }

    /// Where so many keys end in the text.
    fn end(&self, count: usize) -> usize {
        match count {
            0 => 0,
            _ => self.ends[count - 1] as usize,
        }
    }

    /// Appends a key. Responses have 64 MiB at most, so a `u32` holds every end.
    fn push(&mut self, key: &str) {
        self.text.push_str(key);
        self.ends.push(self.text.len() as u32);
    }

    /// Appends many.
    fn append(&mut self, others: &Buffer, places: Range<usize>) {
        let (old, new) = (others.end(places.start), self.text.len());
        self.text.push_str(others.text(places.clone()));
        let ends = others.ends[places].iter();
        self.ends
            .extend(ends.map(|end| (*end as usize - old + new) as u32));
    }

    /// The users with these keys. OPA returns sets in order, so nearly always the check is all there is to do.
    fn sort(self) -> Users {
        let sorted = (1..self.ends.len()).all(|index| self.get(index - 1) < self.get(index));
        if sorted {
            return self.into();
        }
        let mut keys: Vec<&str> = (0..self.ends.len()).map(|index| self.get(index)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut sorted = Buffer::default();
        keys.into_iter().for_each(|key| sorted.push(key));
        sorted.into()
    }
}

impl From<Buffer> for Users {
    fn from(buffer: Buffer) -> Users {
        let places = 0..buffer.ends.len();
        let buffer = Arc::new(buffer);
        Users { buffer, places }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give_back(mem::take(&mut self.text).into_bytes());
        give_back(mem::take(&mut self.ends));
    }
}

/// Some of the users of a set, picked in order.
struct Picked<'a> {
    from: &'a Users,
    /// The earlier ones.
    copied: Buffer,
    /// The later ones, which stand side by side and are not copied yet.
    rest: Range<usize>,
}

impl Picked<'_> {
    fn of(from: &Users) -> Picked<'_> {
        Picked {
            from,
            copied: Buffer::default(),
            rest: 0..0,
        }
    }

    fn pick(&mut self, places: Range<usize>) {
        if places.is_empty() {
            return;
        }
        if places.start != self.rest.end {
            self.copy();
            self.rest.start = places.start;
        }
        self.rest.end = places.end;
    }

    fn copy(&mut self) {
        let places = self.from.part(self.rest.clone()).places;
        self.copied.append(&self.from.buffer, places);
    }

    /// Most of a set is not copied; a few keys do not keep all of it in memory.
    fn users(mut self) -> Users {
        if self.copied.ends.is_empty() && self.rest.len() >= self.from.len() / 2 {
            return self.from.part(self.rest.clone());
        }
        self.copy();
        self.copied.into()
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
        let mut buffer = Buffer::default();
        keys.into_iter().for_each(|key| buffer.push(key));
        buffer.sort()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.len())
    }
}

#[cfg(test)]
mod tests;
