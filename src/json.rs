//! Reading JSON that others wrote: what may decide who has a toggle has to be unambiguous.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;

use crate::error::quote;

/// The members of an object, each there once: parsers disagree about which of two counts. A struct that
/// serde derives is as strict.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Members<V>(BTreeMap<String, V>);

/// How an error begins for a member that is there twice: serde's for a struct, and ours.
const FIELD: &str = "duplicate field `";
const MEMBER: &str = "duplicate member `";

/// Whether a text that is not JSON is YAML, by the first line that is neither empty nor a comment.
pub(crate) fn is_yaml(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    first.is_some_and(|line| {
        let starts = [&b"---"[..], b"%YAML", b"- "];
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.$ ".contains(byte);
        let key = line.iter().take_while(|byte| is_plain(byte)).count();
        let is_member = key > 0 && (line[key..] == *b":" || line[key..].starts_with(b": "));
        is_member || starts.iter().any(|start| line.starts_with(start))
    })
}

/// What is wrong with JSON, and where, without quoting it.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Data if error.to_string().starts_with(MEMBER) => "has a member twice".into(),
        Category::Data => twice(error).unwrap_or_else(|| "does not hold what it should".into()),
        _ if error.is_eof() => "is cut off".into(),
        _ => "is not JSON".into(),
    };
    let (line, column) = (error.line(), error.column());
    format!("{what} (line {line} column {column})")
}

/// The error that a member is there twice, in words that name it.
pub(crate) fn twice(error: &serde_json::Error) -> Option<String> {
    let words = error.to_string();
    let of = |start| words.strip_prefix(start)?.rsplit_once('`');
    let (name, _) = of(FIELD).or_else(|| of(MEMBER))?;
    Some(format!("has the member `{}` twice", quote(name.as_bytes())))
}

impl<V> Default for Members<V> {
    fn default() -> Self {
        Members(BTreeMap::new())
    }
}

impl<V> Deref for Members<V> {
    type Target = BTreeMap<String, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<V> DerefMut for Members<V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Each(PhantomData))
    }
}

struct Each<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Each<V> {
    type Value = Members<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V>, A::Error> {
        let mut members = Members::default();
        while let Some((name, value)) = map.next_entry::<String, V>()? {
            match members.entry(name) {
                Entry::Vacant(new) => new.insert(value),
                Entry::Occupied(known) => {
                    return Err(A::Error::custom(format_args!("{MEMBER}{}`", known.key())));
                }
            };
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests;
