//! The users of a toggle: a sorted set of user keys, in one buffer.

mod json;
mod keys;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use json::Json;
pub use keys::Keys;

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

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether one of the keys is empty: to a platform, that is whoever is not signed in.
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

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
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

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.len())
    }
}

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Users, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

/// Says what is wrong with a JSON value that is no list of user keys, by its types alone: values
/// can be what must not be shown.
///
/// It reads the value again, element by element, so that only an answer that is wrong costs this.
pub fn describe_wrong(value: &RawValue) -> String {
    match type_name(value) {
        "an array" => match serde_json::from_str::<FirstWrong>(value.get()) {
            Ok(FirstWrong(Some((index, EMPTY)))) => {
                format!(
                    "element {index} is {EMPTY}, which platforms take for users who are not signed in"
                )
            }
            Ok(FirstWrong(Some((index, found)))) => {
                format!("element {index} is {found}, not a string")
            }
            _ => "it is not a list of strings".to_owned(),
        },
        other => format!("it is {other}, not a list of strings"),
    }
}

/// What no user's key is.
const EMPTY: &str = "an empty string";

fn type_name(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        Some(b'"') if value.get() == "\"\"" => EMPTY,
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Users;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Users, A::Error> {
        let mut users = Users::default();
        while seq.next_element_seed(Key(&mut users))?.is_some() {}
        Ok(users.sort())
    }
}

/// One element of the list. It goes straight into the buffer, without an allocation of its own.
struct Key<'a>(&'a mut Users);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        self.0.push(key);
        Ok(())
    }
}

/// The index and type of the first element of a list that is not a string.
struct FirstWrong(Option<(usize, &'static str)>);

impl<'de> Deserialize<'de> for FirstWrong {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FirstWrong, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = FirstWrong;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FirstWrong, A::Error> {
                let mut wrong = None;
                let mut index = 0;
                while let Some(element) = seq.next_element::<&RawValue>()? {
                    let found = type_name(element);
                    if wrong.is_none() && found != "a string" {
                        wrong = Some((index, found));
                    }
                    index += 1;
                }
                Ok(FirstWrong(wrong))
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}

#[cfg(test)]
mod tests;
