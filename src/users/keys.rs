//! Where the keys of a list stand in its text, so that the text's memory becomes that of the set: an
//! answer of a million users would otherwise be in memory twice.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::Users;

/// A list of user keys that stand in the text as they are, without escapes. Another list is an error,
/// and has to be read as [`Users`].
#[derive(Default)]
pub struct Keys {
    /// The address of the first key.
    first: usize,
    /// Where each key begins, counted from the first, and how long it is.
    places: Vec<(u32, u32)>,
}

impl Keys {
    /// Whether one of the keys is empty.
    pub fn has_empty_key(&self) -> bool {
        self.places.iter().any(|(_, length)| *length == 0)
    }

    /// The users, in the memory of the text in which the keys were found, and of no other: they move
    /// to its front.
    pub fn take_from(self, mut text: Vec<u8>) -> Users {
        let before = self.first.saturating_sub(text.as_ptr().addr());
        let mut end = 0;
        let places = self.places.into_iter();
        let ends = places.map(|(start, length)| {
            let (start, length) = (before + start as usize, length as usize);
            text.copy_within(start..start + length, end);
            end += length;
            end as u32
        });
        let ends = ends.collect();
        text.truncate(end);
        text.shrink_to_fit();
        // Keys are text, and so is what they are one after the other.
        let text = String::from_utf8(text).unwrap_or_default();
        Users { text, ends }.sort()
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Keys, A::Error> {
        let mut keys = Keys::default();
        while seq.next_element_seed(Key(&mut keys))?.is_some() {}
        Ok(keys)
    }
}

struct Key<'a>(&'a mut Keys);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string without escapes")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<(), E> {
        let Keys { first, places } = self.0;
        let address = key.as_ptr().addr();
        if places.is_empty() {
            *first = address;
        }
        // Answers have 64 MiB at most, so that a `u32` holds every place.
        places.push(((address - *first) as u32, key.len() as u32));
        Ok(())
    }
}
