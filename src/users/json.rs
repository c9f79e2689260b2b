//! Sets of users as JSON. They can be large: a set is written while it is sent, and can take over the
//! memory of the text in which it was read, so that a million users are not in memory twice.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Users;

/// How much is written at once, at least, in bytes.
const PIECE: usize = 16 * 1024;

/// Reads as the list of the users, as JSON.
pub struct Json<'a> {
    users: &'a Users,
    next: usize,
    piece: Vec<u8>,
    /// How much of the piece has been read.
    read: usize,
}

impl Users {
    /// The list of the users as JSON, piece by piece.
    pub fn json(&self) -> Json<'_> {
        Json {
            users: self,
            next: 0,
            piece: Vec::new(),
            read: 0,
        }
    }
}

impl Json<'_> {
    fn write_piece(&mut self) -> io::Result<()> {
        self.piece.clear();
        self.read = 0;
        while self.piece.len() < PIECE && self.next <= self.users.len() {
            match self.next {
                0 => self.piece.push(b'['),
                next if next < self.users.len() => self.piece.push(b','),
                _ => {}
            }
            match self.next < self.users.len() {
                true => serde_json::to_writer(&mut self.piece, self.users.get(self.next))?,
                false => self.piece.push(b']'),
            }
            self.next += 1;
        }
        Ok(())
    }
}

impl Read for Json<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            self.write_piece()?;
        }
        let read = (&self.piece[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// What a list is read into, element by element.
trait Collect<'de>: Default {
    fn take<D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error>;
}

struct List<C>(PhantomData<C>);

impl<'de, C: Collect<'de>> List<C> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<C, D::Error> {
        deserializer.deserialize_seq(List(PhantomData))
    }
}

impl<'de, C: Collect<'de>> Visitor<'de> for List<C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<C, A::Error> {
        let mut all = C::default();
        while seq.next_element_seed(Element(&mut all))?.is_some() {}
        Ok(all)
    }
}

struct Element<'a, C>(&'a mut C);

impl<'de, C: Collect<'de>> DeserializeSeed<'de> for Element<'_, C> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.take(deserializer)
    }
}

/// A key as it stands in the text, unless there are escapes in it.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Collect<'de> for Users {
    fn take<D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        Key::deserialize(element).map(|Key(key)| self.push(&key))
    }
}

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Users, D::Error> {
        List::<Users>::read(deserializer).map(Users::sort)
    }
}

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

impl<'de> Collect<'de> for Keys {
    fn take<D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let key = <&str>::deserialize(element)?;
        let address = key.as_ptr().addr();
        if self.places.is_empty() {
            self.first = address;
        }
        // Answers have 64 MiB at most, so that a `u32` holds every place.
        let place = ((address - self.first) as u32, key.len() as u32);
        self.places.push(place);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys, D::Error> {
        List::read(deserializer)
    }
}

/// What no user's key is.
const EMPTY: &str = "an empty string";

/// The first element of a list that is no user's key, by its index and type.
#[derive(Default)]
struct FirstWrong {
    elements: usize,
    found: Option<(usize, &'static str)>,
}

impl<'de> Collect<'de> for FirstWrong {
    fn take<D: Deserializer<'de>>(&mut self, element: D) -> Result<(), D::Error> {
        let name = type_name(<&RawValue>::deserialize(element)?);
        if self.found.is_none() && name != "a string" {
            self.found = Some((self.elements, name));
        }
        self.elements += 1;
        Ok(())
    }
}

/// Says what is wrong with a JSON value that is not a list of user keys, by its types alone: values
/// can be what must not be shown.
///
/// It reads the value again, so that only an answer that is wrong costs this.
pub(crate) fn describe_wrong(value: &RawValue) -> String {
    match type_name(value) {
        "an array" => {
            let list =
                List::<FirstWrong>::read(&mut serde_json::Deserializer::from_str(value.get()));
            match list.ok().and_then(|list| list.found) {
                Some((index, EMPTY)) => format!(
                    "element {index} is {EMPTY}, which platforms take for users who are not signed in"
                ),
                Some((index, found)) => format!("element {index} is {found}, not a string"),
                None => "it is not a list of strings".to_owned(),
            }
        }
        other => format!("it is {other}, not a list of strings"),
    }
}

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
