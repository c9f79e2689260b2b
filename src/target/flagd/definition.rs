//! The text of a file of flags, taken apart as far as it is changed: all else stays as it was
//! written.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::flag::Flag;
use crate::error::{Failure, Kind, describe_json};

/// What a new file begins with. Editors check and complete by the schema.
const NEW: &str = r#"{"$schema": "https://flagd.dev/schema/v0/flags.json"}"#;

/// The flags, and what else is in the file.
pub(super) struct Definition<'t> {
    /// For messages.
    name: String,
    others: BTreeMap<String, &'t RawValue>,
    flags: BTreeMap<String, Entry<'t>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'t> {
    Kept(&'t RawValue),
    Changed(Flag<'t>),
}

/// A member of the file, in the order of its names.
#[derive(Serialize)]
#[serde(untagged)]
enum Member<'a> {
    Kept(&'a RawValue),
    Flags(&'a BTreeMap<String, Entry<'a>>),
}

impl<'t> Definition<'t> {
    /// Takes a text apart, which messages call `name`; none: that of a new file.
    ///
    /// # Errors
    ///
    /// Where it is no JSON object with an object of flags.
    pub(super) fn parse(name: &str, text: Option<&'t str>) -> Result<Definition<'t>, Failure> {
        let unreadable = |error: serde_json::Error| {
            let help = match error.is_eof() {
                true => "it may not be written to its end yet",
                false => "mend it, or move it away and a new one is written",
            };
            let words = format!("{name} {}: {help}", describe_json(&error));
            Failure::new(Kind::Answer, words)
        };
        let mut others: BTreeMap<String, &RawValue> =
            serde_json::from_str(text.unwrap_or(NEW)).map_err(unreadable)?;
        let flags = match others.remove("flags") {
            None => BTreeMap::new(),
            Some(flags) => serde_json::from_str(flags.get()).map_err(|_| {
                let words = format!(
                    "the flags of {name} are no object: write them as `\"flags\": {{\"key\": {{…}}}}`"
                );
                Failure::new(Kind::Misfit, words)
            })?,
        };
        let kept = |(key, flag): (String, &'t RawValue)| (key, Entry::Kept(flag));
        let flags: BTreeMap<String, &RawValue> = flags;
        Ok(Definition {
            name: name.to_owned(),
            others,
            flags: flags.into_iter().map(kept).collect(),
        })
    }

    /// How many flags there are.
    pub(super) fn len(&self) -> usize {
        self.flags.len()
    }

    /// A flag, if it is there.
    ///
    /// # Errors
    ///
    /// Where it is no boolean flag.
    pub(super) fn flag(&self, key: &str) -> Result<Option<Flag<'t>>, Failure> {
        let flag = match self.flags.get(key) {
            None => return Ok(None),
            Some(Entry::Changed(flag)) => return Ok(Some(flag.clone())),
            Some(Entry::Kept(flag)) => Flag::parse(flag),
        };
        let words = || {
            format!(
                "the flag {key} in {} is not boolean: give the toggle another key, or take the \
                 flag away",
                self.name
            )
        };
        flag.map(Some)
            .ok_or_else(|| Failure::new(Kind::Misfit, words()))
    }

    /// Puts a flag in the place of the one with this key.
    pub(super) fn put(&mut self, key: &str, flag: Flag<'t>) {
        self.flags.insert(key.to_owned(), Entry::Changed(flag));
    }

    /// The whole, in the order of the keys, a line for each user, so that a commit shows who comes
    /// and who goes.
    pub(super) fn to_text(&self) -> String {
        // A map whose keys are strings, of values that were JSON, can always be written.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Serialize for Definition<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let others = self.others.iter();
        let mut members: BTreeMap<&str, Member> = others
            .map(|(name, value)| (name.as_str(), Member::Kept(value)))
            .collect();
        members.insert("flags", Member::Flags(&self.flags));
        serializer.collect_map(members)
    }
}
