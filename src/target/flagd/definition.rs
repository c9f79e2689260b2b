//! The text of a file of flags, parsed only where it is changed: all else stays as it was written.

use std::collections::BTreeMap;

use serde::Serialize;
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
    /// Parses a text, which messages call `name`; none: that of a new file.
    pub(super) fn parse(name: &str, text: Option<&'t str>) -> Result<Definition<'t>, Failure> {
        let unreadable = |error: serde_json::Error| {
            let help = match error.is_eof() {
                true => "it may still be being written",
                false => "correct it, or move it away to have a new one written",
            };
            let words = format!("{name} {}: {help}", describe_json(&error));
            Failure::new(Kind::Answer, words)
        };
        // It may be about to be written, so it does not count as a new one.
        if text.is_some_and(|text| text.trim_ascii().is_empty()) {
            let words = format!("{name} is empty: remove it, or write `{{}}` into it");
            return Err(Failure::new(Kind::Answer, words));
        }
        let mut others: BTreeMap<String, &RawValue> =
            serde_json::from_str(text.unwrap_or(NEW)).map_err(unreadable)?;
        let flags = match others.remove("flags") {
            None => BTreeMap::new(),
            Some(flags) => serde_json::from_str(flags.get()).map_err(|_| {
                let words = format!(
                    "the flags of {name} are not an object: write `\"flags\": {{\"key\": {{…}}}}`"
                );
                Failure::new(Kind::Misfit, words)
            })?,
        };
        let flags: BTreeMap<String, &RawValue> = flags;
        let flags = flags.into_iter();
        Ok(Definition {
            name: name.to_owned(),
            others,
            flags: flags.map(|(key, flag)| (key, Entry::Kept(flag))).collect(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.flags.len()
    }

    /// A flag, if there is one; an error where it is not boolean.
    pub(super) fn flag(&self, key: &str) -> Result<Option<Flag<'t>>, Failure> {
        let flag = match self.flags.get(key) {
            None => return Ok(None),
            Some(Entry::Changed(flag)) => return Ok(Some(flag.clone())),
            Some(Entry::Kept(flag)) => Flag::parse(flag),
        };
        flag.map(Some).ok_or_else(|| {
            let words = format!(
                "the flag {key} in {} is not boolean: give the toggle another key, or remove the flag",
                self.name
            );
            Failure::new(Kind::Misfit, words)
        })
    }

    pub(super) fn put(&mut self, key: &str, flag: Flag<'t>) {
        self.flags.insert(key.to_owned(), Entry::Changed(flag));
    }

    /// The whole text in the order of its keys, a line for each user, so that a commit shows who comes and
    /// goes.
    pub(super) fn to_text(&self) -> Result<String, Failure> {
        let others = self.others.iter();
        let mut members: BTreeMap<&str, Member> = others
            .map(|(name, value)| (name.as_str(), Member::Kept(value)))
            .collect();
        members.insert("flags", Member::Flags(&self.flags));
        let mut text = serde_json::to_string_pretty(&members).map_err(|error| {
            let words = format!(
                "the flags of {} cannot be written as JSON: {error}: the file stays as it is; \
                 please report this bug of optoggles",
                self.name
            );
            Failure::new(Kind::Setup, words)
        })?;
        text.push('\n');
        Ok(text)
    }
}
