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
        // It may be one that somebody is about to write, so that it is not taken for a new one.
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
    ///
    /// # Errors
    ///
    /// Where it cannot be said in JSON: then the file has to stay as it is.
    pub(super) fn to_text(&self) -> Result<String, Failure> {
        written(&self.name, self)
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

/// What stands in the file that messages call `name`, as text.
///
/// A map whose keys are strings, of values that were JSON, can always be written. Should that ever be
/// wrong, no text may take the place of the flags.
fn written(name: &str, content: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(content).map_err(|error| {
        let words = format!(
            "the flags of {name} cannot be written as JSON: {error}: the file stays as it is; \
             report this as a bug of optoggles"
        );
        Failure::new(Kind::Setup, words)
    })?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_an_error_and_no_text() {
        // JSON has no keys but strings.
        let content = BTreeMap::from([((1, 2), "flag")]);
        let failure = written("file f", &content).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "the flags of file f cannot be written as JSON: key must be a string: the file stays \
             as it is; report this as a bug of optoggles"
        );
    }
}
