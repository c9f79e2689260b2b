//! The entry of a callback, as OPAL gives it back: with the last report in it, which is users' data and can be
//! larger than any limit.

use std::fmt;
use std::io::{self, BufReader, Read};

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::http::Object;

/// What is looked at of an entry. Whatever else is in it is not kept and, where it comes later, not read.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) url: Option<String>,
    pub(super) authorization: Option<String>,
}

impl Entry {
    /// Reads until both are known. What cannot be understood has neither; fails if the body does not arrive.
    pub(super) fn read(&mut self, body: &mut dyn Read) -> io::Result<()> {
        let mut json = serde_json::Deserializer::from_reader(BufReader::new(body));
        match Place(self, "").deserialize(&mut json) {
            Err(error) if error.is_io() && !self.is_known() => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn is_known(&self) -> bool {
        self.url.is_some() && self.authorization.is_some()
    }
}

/// An object in an entry, by its name there; the entry itself has none.
struct Place<'e>(&'e mut Entry, &'static str);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Only an error ends it early.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Place(entry, place) = self;
        while let Some(name) = map.next_key::<String>()? {
            match (place, &*name) {
                ("", "url") => entry.url = map.next_value()?,
                ("", "config") => map.next_value_seed(Place(entry, "config"))?,
                ("config", "headers") => map.next_value_seed(Place(entry, "headers"))?,
                ("headers", "Authorization") => entry.authorization = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if entry.is_known() {
                return Err(A::Error::custom("all is known"));
            }
        }
        Ok(())
    }
}

/// The keys of all entries; none if they cannot be understood. Fails if the body does not arrive.
pub(super) fn keys(body: &mut dyn Read) -> io::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    let keys: serde_json::Result<Vec<Object<Key>>> = serde_json::from_reader(BufReader::new(body));
    match keys {
        Ok(keys) => Ok(keys.into_iter().map(|Object(it)| it.key).collect()),
        Err(error) if error.is_io() => Err(error.into()),
        Err(_) => Ok(Vec::new()),
    }
}
