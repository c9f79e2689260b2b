//! Sets of users as JSON: written while they are sent, and read into the memory of the text, so that a
//! million users are never in memory twice.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Cursor, Read};
use std::marker::PhantomData;
use std::mem;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Buffer, Users};
use crate::memory::give_back;

/// The least number of bytes that are written at once.
const PIECE: usize = 16 * 1024;

/// Reads as the list of the users, as JSON.
pub struct Json<'a> {
    users: &'a Users,
    /// Nothing in the keys needs an escape.
    is_plain: bool,
    next: usize,
    piece: Cursor<Vec<u8>>,
}

impl Users {
    /// The list of the users as JSON, piece by piece.
    pub fn json(&self) -> Json<'_> {
        Json {
            users: self,
            is_plain: is_plain(self.text()),
            next: 0,
            piece: Cursor::default(),
        }
    }
}

impl Json<'_> {
    fn write_piece(&mut self) -> io::Result<()> {
        self.piece.set_position(0);
        let piece = self.piece.get_mut();
        piece.clear();
        while piece.len() < PIECE && self.next <= self.users.len() {
            match self.next {
                0 => piece.push(b'['),
                next if next < self.users.len() => piece.push(b','),
                _ => {}
            }
            if self.next == self.users.len() {
                piece.push(b']');
            } else if self.is_plain {
                piece.push(b'"');
                piece.extend_from_slice(self.users.get(self.next).as_bytes());
                piece.push(b'"');
            } else {
                serde_json::to_writer(&mut *piece, self.users.get(self.next))?;
            }
            self.next += 1;
        }
        Ok(())
    }
}

impl Read for Json<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.fill_buf()?.is_empty() {
            self.write_piece()?;
        }
        self.piece.read(buffer)
    }
}

/// Whether a text is the same in JSON, between quotes (RFC 8259, 7).
fn is_plain(text: &str) -> bool {
    let needs_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // Without a way out of the loop, many bytes are looked at together.
    !text
        .bytes()
        .fold(false, |any, byte| any | needs_escape(byte))
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// Passes on the elements of a list, one by one.
struct Elements<T, F>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Elements<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            self.0(element);
        }
        Ok(())
    }
}

fn each<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    take: impl FnMut(T),
) -> Result<(), D::Error> {
    deserializer.deserialize_seq(Elements(take, PhantomData))
}

/// A key as it stands in the text, unless there are escapes in it.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Users, D::Error> {
        let mut buffer = Buffer::default();
        each(deserializer, |Key(key)| buffer.push(&key))?;
        Ok(buffer.sort())
    }
}

/// A list of user keys without escapes: any other is an error, and has to be read as [`Users`].
#[derive(Default)]
pub struct Keys {
    /// The address of the first key.
    first: usize,
    /// Each key's distance from the first, and its length.
    places: Vec<(u32, u32)>,
}

impl Keys {
    /// Whether one of the keys is empty.
    pub fn has_empty_key(&self) -> bool {
        self.places.iter().any(|(_, length)| *length == 0)
    }

    /// Moves the keys to the front of the text in which they were found, which becomes the users.
    pub fn take_from(mut self, mut text: Vec<u8>) -> Users {
        let before = self.first.saturating_sub(text.as_ptr().addr());
        let mut end = 0;
        let places = mem::take(&mut self.places).into_iter();
        let ends = places.map(|(start, length)| {
            let (start, length) = (before + start as usize, length as usize);
            text.copy_within(start..start + length, end);
            end += length;
            end as u32
        });
        let mut ends: Vec<u32> = ends.collect();
        ends.shrink_to_fit();
        text.truncate(end);
        text.shrink_to_fit();
        // Strings one after the other are a string.
        let text = String::from_utf8(text).unwrap_or_default();
        Buffer { text, ends }.sort()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        give_back(mem::take(&mut self.places));
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys, D::Error> {
        let mut keys = Keys::default();
        each(deserializer, |key: &'de str| {
            let address = key.as_ptr().addr();
            if keys.places.is_empty() {
                keys.first = address;
            }
            // Responses have 64 MiB at most, so a `u32` holds every place.
            let place = ((address - keys.first) as u32, key.len() as u32);
            keys.places.push(place);
        })?;
        Ok(keys)
    }
}

const EMPTY: &str = "an empty string";

/// Describes a JSON value that is not a list of user keys by its types alone, because values may have to
/// stay hidden.
///
/// It parses the value again, at the expense of invalid responses only.
pub(crate) fn describe_wrong(value: &RawValue) -> String {
    let (mut index, mut wrong) = (0, None);
    let mut list = serde_json::Deserializer::from_str(value.get());
    let read = each(&mut list, |element: &RawValue| {
        let name = type_name(element);
        if name != "a string" {
            wrong.get_or_insert((index, name));
        }
        index += 1;
    });
    match (type_name(value), read.ok().and(wrong)) {
        (_, Some((index, EMPTY))) => {
            format!(
                "element {index} is {EMPTY}, which platforms take for users who are not signed in"
            )
        }
        (_, Some((index, found))) => format!("element {index} is {found}, not a string"),
        ("an array", None) => "it is not a list of strings".to_owned(),
        (other, None) => format!("it is {other}, not a list of strings"),
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
